//! Certificates that clients show: verified when the connection is made, and again while it is used.
//!
//! A connection can outlive the certificate by which it was made. The chain is verified anew by the
//! same verifier, which knows of times, roots and uses; nothing of a certificate is read here.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use sha2::{Digest, Sha256};

use crate::wire::moment::Moment;

/// For how many microseconds a verification counts.
const VERIFIED_MICROS: i64 = 5 * 1_000_000;

/// A certificate that a client has shown, and whose key it has.
pub struct Certificate {
    sha256: [u8; 32],
    shown: CertificateDer<'static>,
    /// What is between it and the root.
    between: Vec<CertificateDer<'static>>,
    verifier: Arc<dyn ClientCertVerifier>,
    /// When it was verified last, in microseconds since 1970.
    verified_at: AtomicI64,
}

impl Certificate {
    /// The certificate of a connection, with those between it and the root; none where none was shown.
    pub fn of_chain(
        chain: &[CertificateDer<'_>],
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Option<Self> {
        let (shown, between) = chain.split_first()?;
        Some(Self {
            sha256: Sha256::digest(shown).into(),
            shown: shown.clone().into_owned(),
            between: between.iter().map(|it| it.clone().into_owned()).collect(),
            verifier,
            verified_at: AtomicI64::new(i64::MIN),
        })
    }

    /// Its SHA-256.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// Whether it was verified so lately that it counts.
    pub(super) fn is_verified(&self, now: Moment) -> bool {
        let verified_at = self.verified_at.load(Ordering::Relaxed);
        (0..VERIFIED_MICROS).contains(&now.0.saturating_sub(verified_at))
    }

    /// Whether it is valid: verified anew where it was not lately.
    pub(super) fn is_valid(&self, now: Moment) -> bool {
        if self.is_verified(now) {
            return true;
        }
        let Ok(micros) = u64::try_from(now.0) else {
            return false;
        };
        let time = UnixTime::since_unix_epoch(Duration::from_micros(micros));
        let verified = self
            .verifier
            .verify_client_cert(&self.shown, &self.between, time);
        if verified.is_ok() {
            self.verified_at.store(now.0, Ordering::Relaxed);
        }
        verified.is_ok()
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.sha256 == other.sha256
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Certificate")
            .finish_non_exhaustive()
    }
}
