//! What is said over the wire and stored: the generated types of `proto/casetrail/v1`, the limits,
//! the validation of everything that arrives, and the encodings.
//!
//! Invariants: input is checked in `validate` and nowhere else; what passed it has the types that
//! say so. No error, log line or Debug print of this floor shows a value that might be personal.
//!
//! This floor knows no lifecycle, no case state, no log, no clock.

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

pub mod block;
pub mod day;
pub mod edtf;
pub mod encoded;
pub mod event_type;
pub mod header;
pub mod json;
pub mod limits;
pub mod moment;
pub mod outline;
mod private;
mod scratch;
pub mod strict;
pub mod validate;

/// The generated types of the protocol, as `proto/casetrail/v1` defines and documents them.
#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated"
)]
pub mod v1 {
    tonic::include_proto!("casetrail.v1");
    include!(concat!(env!("OUT_DIR"), "/servers/casetrail.v1.rs"));
}

/// The descriptors of the protocol and of all that it imports, with comments: an encoded
/// `google.protobuf.FileDescriptorSet`, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/casetrail.v1.descriptors.bin"));

/// The descriptors of [`FILE_DESCRIPTOR_SET`], decoded once.
pub fn descriptor_pool() -> &'static DescriptorPool {
    #[expect(
        clippy::expect_used,
        reason = "build.rs wrote the set; a test decodes it"
    )]
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
        DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("build.rs writes valid descriptors")
    });
    &POOL
}
