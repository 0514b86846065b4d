//! Compiles the protocol without protoc, and keeps its descriptors for reflection and JSON.

use std::{env, error::Error, fs, path::PathBuf};

const FILES: [&str; 8] = [
    "casetrail/v1/event.proto",
    "casetrail/v1/case.proto",
    "casetrail/v1/alert.proto",
    "casetrail/v1/case_service.proto",
    "casetrail/v1/monitor_service.proto",
    "casetrail/v1/audit_service.proto",
    "casetrail/v1/admin_service.proto",
    "casetrail/v1/personal_service.proto",
];

/// Messages that hold personal data or a secret: `wire::private` writes their Debug, which shows none
/// of it.
const PERSONAL: [&str; 7] = [
    ".casetrail.v1.PersonalValue",
    ".casetrail.v1.PersonName",
    ".casetrail.v1.PersonNamePart",
    ".casetrail.v1.PersonIdentifier",
    ".casetrail.v1.Coordinates",
    ".casetrail.v1.CreateTokenResponse",
    ".casetrail.v1.SearchByNameRequest",
];

/// Enumerations that stand in the snapshots of the views.
const IN_SNAPSHOTS: [&str; 6] = [
    ".casetrail.v1.CaseKind",
    ".casetrail.v1.CaseStatus",
    ".casetrail.v1.Credibility",
    ".casetrail.v1.EventType",
    ".casetrail.v1.LegalCategory",
    ".casetrail.v1.WishesOutcome",
];

/// Refuses what this version does not know; see `wire::strict`.
const CODEC: &str = "crate::wire::strict::StrictCodec";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    // The source information carries the comments, from which a test drives the must-fields.
    compiler.include_imports(true).include_source_info(true);
    let descriptors = compiler.open_files(FILES)?.file_descriptor_set();
    let out = PathBuf::from(env::var("OUT_DIR")?).join("casetrail.v1.descriptors.bin");
    fs::write(out, compiler.encode_file_descriptor_set())?;
    let mut config = tonic_prost_build::Config::new();
    config.enable_type_names();
    let mut builder = tonic_prost_build::configure().build_server(false);
    for name in IN_SNAPSHOTS {
        builder = builder.enum_attribute(name, "#[derive(serde::Serialize, serde::Deserialize)]");
    }
    builder
        .bytes(".")
        .skip_debug(PERSONAL)
        .codec_path(CODEC)
        // The stored bytes of a block go to the wire as they are; see `wire::block`.
        .extern_path(
            ".casetrail.v1.RecordBlock",
            "crate::wire::block::RecordBlock",
        )
        .compile_fds_with_config(descriptors.clone(), config)?;

    // The servers' side is generated apart, since what goes to many watchers is encoded once there;
    // see `wire::encoded`.
    let servers = PathBuf::from(env::var("OUT_DIR")?).join("servers");
    fs::create_dir_all(&servers)?;
    tonic_prost_build::configure()
        .build_client(false)
        .codec_path(CODEC)
        .extern_path(".casetrail.v1", "crate::wire::v1")
        .extern_path(
            ".casetrail.v1.WatchStatusResponse",
            "crate::wire::encoded::Encoded",
        )
        .out_dir(servers)
        .compile_fds(descriptors)?;
    Ok(())
}
