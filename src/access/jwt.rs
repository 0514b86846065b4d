//! JWTs of an OpenID Connect issuer (RFC 7519, RFC 8725): a signed statement of who calls, with
//! their role and organisation.
//!
//! Invariants:
//! - The key decides the algorithm, and the header has to agree: only asymmetric ones are taken, so
//!   that `none`, or a public key used as a shared secret, is nothing.
//! - Keys come from the issuer's file alone, never from what a token carries or points to.
//! - Issuer, audience, subject and expiry are a must, and the expiry is not far away: a JWT can't be
//!   taken back by its issuer. Claims of another type than the standard has
//!   are refused, never taken as absent.
//!
//! The file of keys (a JWKS) is read again when it has changed. There is no fetching from a URL: a
//! server for protected persons should not depend on one, and a timer with curl does it as well.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use ring::signature as ring_signature;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::identity::{Basis, Identity, Refused, Who};
use super::table;
use crate::wire::moment::Moment;
use crate::wire::validate;

/// What the account's name of a caller by JWT begins with, before the subject: it is never that of an
/// account of this server.
pub(super) const ACCOUNT_PREFIX: &str = "oidc:";

/// How many identities are kept whose signature was verified.
const KEPT_MAX: usize = 10_000;

/// After how many microseconds it is looked again whether the file of keys has changed.
const LOOK_INTERVAL_MICROS: i64 = 1_000_000;

/// How long a JWT may hold from the time on at which it is taken, unless it is said.
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// By how many seconds the clocks of two machines may differ.
const CLOCK_SKEW_SECONDS: i64 = 30;

/// An issuer of JWTs, and how their claims are read.
#[derive(Debug)]
pub struct Issuer {
    issuer: String,
    audience: String,
    role_claim: String,
    organisation_claim: String,
    lifetime_max: Duration,
    file: PathBuf,
    state: Mutex<State>,
}

/// The keys as the file had them last.
#[derive(Default)]
struct State {
    keys: HashMap<String, (Algorithm, DecodingKey)>,
    stamp: Option<Stamp>,
    looked_at: i64,
    /// Whose signature was verified, by the SHA-256 of the token, and since when they hold.
    kept: HashMap<[u8; 32], (Identity, i64)>,
}

/// By what a change of a file is told.
type Stamp = (SystemTime, u64);

/// Why the keys of an issuer can't be had.
#[derive(Debug)]
pub enum IssuerError {
    /// The file can't be read.
    Io {
        /// The file.
        file: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The file is no JWKS, or has no key that can be used.
    Keys {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        cause: String,
    },
}

impl fmt::Display for IssuerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { file, cause } => {
                write!(formatter, "{} can't be read: {cause}", file.display())
            }
            Self::Keys { file, cause } => write!(
                formatter,
                "{} is no JWKS (RFC 7517) with keys to verify by: {cause}",
                file.display()
            ),
        }
    }
}

impl std::error::Error for IssuerError {}

impl Issuer {
    /// The issuer of this name, for tokens to this audience. `role_claim` and `organisation_claim`
    /// are the names of the claims that tell the caller's role (`case_worker`, `supervisor`,
    /// `forensic`, `monitor`, `auditor`, `admin`) and organisation.
    ///
    /// # Errors
    /// The file of keys can't be read, or holds none that can be used.
    pub fn new(
        issuer: String,
        audience: String,
        (role_claim, organisation_claim): (String, String),
        file: PathBuf,
    ) -> Result<Self, IssuerError> {
        install_verifiers();
        let stamp = stamp_of(&file)?;
        let state = State {
            keys: read(&file)?,
            stamp: Some(stamp),
            ..State::default()
        };
        Ok(Self {
            issuer,
            audience,
            role_claim,
            organisation_claim,
            lifetime_max: LIFETIME_MAX,
            file,
            state: Mutex::new(state),
        })
    }

    /// The same where a JWT may hold for so long from the time on at which it is taken; 24 hours unless
    /// it is said.
    #[must_use]
    pub fn with_lifetime_max(self, lifetime_max: Duration) -> Self {
        Self {
            lifetime_max,
            ..self
        }
    }

    /// Who calls by a JWT.
    ///
    /// # Errors
    /// Why it is not taken.
    pub(super) fn identify(&self, token: &str, now: Moment) -> Result<Identity, Refused> {
        let sha256: [u8; 32] = Sha256::digest(token).into();
        let key = {
            let mut state = self.state();
            state.look(&self.file, now.0);
            if let Some((identity, not_before)) = state.kept.get(&sha256) {
                let holds = *not_before <= now.0 && identity.is_in_time(now);
                return holds.then(|| identity.clone()).ok_or(Refused::JwtTime);
            }
            let header = decode_header(token).map_err(|_| Refused::JwtHeader)?;
            if header.crit.is_some() || !is_taken_type(header.typ.as_deref()) {
                return Err(Refused::JwtHeader);
            }
            let key = header.kid.and_then(|kid| state.keys.get(&kid).cloned());
            key.filter(|(algorithm, _)| *algorithm == header.alg)
                .ok_or(Refused::JwtKey)?
        };
        let (algorithm, key) = key;
        // Times and names are checked below, by this server's clock and more strictly.
        let mut validation = Validation::new(algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let claims = decode::<Map<String, Value>>(token, &key, &validation);
        let claims = claims.map_err(|_| Refused::JwtSignature)?.claims;
        let (identity, not_before) = self.check(&claims, now)?;
        let mut state = self.state();
        if state.kept.len() >= KEPT_MAX {
            state.kept.clear();
        }
        state.kept.insert(sha256, (identity.clone(), not_before));
        Ok(identity)
    }

    /// Checks the claims of a token whose signature is right.
    fn check(&self, claims: &Map<String, Value>, now: Moment) -> Result<(Identity, i64), Refused> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let is_audience = |value: &Value| value.as_str() == Some(&self.audience);
        let is_for_us = claims.get("aud").is_some_and(|audience| match audience {
            Value::Array(several) => several.iter().any(is_audience),
            one => is_audience(one),
        });
        if text("iss") != Some(&self.issuer) || !is_for_us {
            return Err(Refused::JwtClaims);
        }
        let micros = |seconds: i64| seconds.saturating_mul(1_000_000);
        let expires = claims.get("exp").and_then(Value::as_i64);
        let expires = micros(expires.ok_or(Refused::JwtClaims)?);
        let not_before = match claims.get("nbf") {
            None => i64::MIN,
            Some(time) => micros(
                time.as_i64()
                    .ok_or(Refused::JwtClaims)?
                    .saturating_sub(CLOCK_SKEW_SECONDS),
            ),
        };
        let lifetime_max = i64::try_from(self.lifetime_max.as_micros()).unwrap_or(i64::MAX);
        let latest = now.0.saturating_add(lifetime_max);
        if expires <= now.0 || latest < expires || now.0 < not_before {
            return Err(Refused::JwtTime);
        }
        let account = format!("{ACCOUNT_PREFIX}{}", text("sub").unwrap_or_default());
        let organisation = text(&self.organisation_claim).unwrap_or_default();
        let role = text(&self.role_claim).and_then(table::role_named);
        let are_references = [account.as_str(), organisation]
            .iter()
            .all(|text| validate::reference("claim", text).is_ok());
        match role {
            Some(role) if are_references && account != ACCOUNT_PREFIX => {
                let who = Who {
                    account: account.into(),
                    organisation: organisation.into(),
                    role: Some(role),
                };
                let identity = Identity::new(Arc::new(who), Basis::Until(expires));
                Ok((identity, not_before))
            }
            _ => Err(Refused::JwtClaims),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Reads the keys again where the file has changed. Where it can't be read the keys stay.
    fn look(&mut self, file: &Path, now: i64) {
        if (0..LOOK_INTERVAL_MICROS).contains(&now.saturating_sub(self.looked_at)) {
            return;
        }
        self.looked_at = now;
        let stamp = stamp_of(file).ok();
        if stamp == self.stamp {
            return;
        }
        self.stamp = stamp;
        match read(file) {
            Ok(keys) => {
                tracing::info!(keys = keys.len(), "the keys for JWTs were read again");
                self.keys = keys;
                // What was signed by a key that is gone no longer holds.
                self.kept.clear();
            }
            Err(error) => tracing::warn!(%error, "the keys for JWTs stay as they are"),
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("State").finish_non_exhaustive()
    }
}

fn stamp_of(file: &Path) -> Result<Stamp, IssuerError> {
    let io = |cause| IssuerError::Io {
        file: file.to_owned(),
        cause,
    };
    let metadata = std::fs::metadata(file).map_err(io)?;
    Ok((metadata.modified().map_err(io)?, metadata.len()))
}

/// The keys of a file by their identifiers, each with the algorithm that it is for.
fn read(file: &Path) -> Result<HashMap<String, (Algorithm, DecodingKey)>, IssuerError> {
    let wrong = |cause: String| IssuerError::Keys {
        file: file.to_owned(),
        cause,
    };
    let text = std::fs::read_to_string(file).map_err(|cause| IssuerError::Io {
        file: file.to_owned(),
        cause,
    })?;
    let set: JwkSet = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let mut keys = HashMap::new();
    for jwk in &set.keys {
        let Some((algorithm, key_id)) = algorithm_of(jwk).zip(jwk.common.key_id.clone()) else {
            continue;
        };
        if !is_to_verify(jwk) {
            continue;
        }
        let key = match &jwk.algorithm {
            AlgorithmParameters::RSA(it) => rsa_key(&it.n, &it.e),
            _ => DecodingKey::from_jwk(jwk).ok(),
        };
        let key = key.ok_or_else(|| wrong(format!("the key {key_id:?} is malformed")))?;
        if keys.insert(key_id, (algorithm, key)).is_some() {
            return Err(wrong("two keys have one identifier (kid)".to_owned()));
        }
    }
    if keys.is_empty() {
        let cause = "none has a kid, is to verify signatures and is for RS256, PS256, ES256, ES384 or EdDSA".to_owned();
        return Err(wrong(cause));
    }
    Ok(keys)
}

/// Whether a key is to verify signatures, as far as it says what for (RFC 7517, sections 4.2 and 4.3).
fn is_to_verify(jwk: &Jwk) -> bool {
    let key_use = jwk.common.public_key_use.as_ref();
    let operations = jwk.common.key_operations.as_ref();
    key_use.is_none_or(|it| *it == PublicKeyUse::Signature)
        && operations.is_none_or(|it| it.contains(&KeyOperations::Verify))
}

/// Whether a token is of a type that is taken, by its header: an ID token or one of OAuth (RFC 9068), and
/// not one that is made for something else.
fn is_taken_type(typ: Option<&str>) -> bool {
    typ.is_none_or(|typ| {
        let short = match typ.split_once('/') {
            Some((of, short)) if of.eq_ignore_ascii_case("application") => short,
            _ => typ,
        };
        let is = |name: &str| short.eq_ignore_ascii_case(name);
        is("JWT") || is("at+jwt")
    })
}

/// The one algorithm that a key is for; none for a key that is not taken.
fn algorithm_of(jwk: &Jwk) -> Option<Algorithm> {
    let said = jwk.common.key_algorithm;
    let (algorithm, name) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) if said == Some(KeyAlgorithm::PS256) => {
            (Algorithm::PS256, KeyAlgorithm::PS256)
        }
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(it) if it.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::EllipticCurve(it) if it.curve == EllipticCurve::P384 => {
            (Algorithm::ES384, KeyAlgorithm::ES384)
        }
        AlgorithmParameters::OctetKeyPair(it) if it.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    said.is_none_or(|said| said == name).then_some(algorithm)
}

/// A key of RSA by its modulus and exponent, in the form in which ring takes it: RSAPublicKey in DER
/// (RFC 8017, appendix A.1.1).
fn rsa_key(modulus: &str, exponent: &str) -> Option<DecodingKey> {
    let integer = |text: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let first = bytes.iter().position(|byte| *byte != 0)?;
        let mut bytes = bytes.get(first..)?.to_vec();
        if bytes.first().is_some_and(|byte| *byte >= 0x80) {
            bytes.insert(0, 0);
        }
        der(0x02, &bytes)
    };
    let both = [integer(modulus)?, integer(exponent)?].concat();
    Some(DecodingKey::from_rsa_der(&der(0x30, &both)?))
}

/// A value in DER behind its tag and length; none where it is longer than any key.
fn der(tag: u8, value: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(value.len()).ok()?;
    let mut encoded = vec![tag];
    match length.to_be_bytes() {
        [0, low @ 0..0x80] => encoded.push(low),
        [0, low] => encoded.extend([0x81, low]),
        [high, low] => encoded.extend([0x82, high, low]),
    }
    encoded.extend(value);
    Some(encoded)
}

/// Verifies signatures by ring, which TLS brings along.
struct ByRing {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl signature::Verifier<Vec<u8>> for ByRing {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        use ring_signature::{
            ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
            RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
        };
        let algorithm: &'static dyn VerificationAlgorithm = match self.algorithm {
            Algorithm::RS256 => &RSA_PKCS1_2048_8192_SHA256,
            Algorithm::PS256 => &RSA_PSS_2048_8192_SHA256,
            Algorithm::ES256 => &ECDSA_P256_SHA256_FIXED,
            Algorithm::ES384 => &ECDSA_P384_SHA384_FIXED,
            Algorithm::EdDSA => &ED25519,
            _ => return Err(signature::Error::new()),
        };
        let key = self.key.try_get_as_bytes();
        let key = UnparsedPublicKey::new(algorithm, key.map_err(|_| signature::Error::new())?);
        let verified = key.verify(message, signature);
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for ByRing {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// Has the library verify by ring. It signs nothing here.
fn install_verifiers() {
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: |_, _| Err(Error::from(ErrorKind::InvalidAlgorithm)),
        verifier_factory: |algorithm, key| {
            Ok(Box::new(ByRing {
                algorithm: *algorithm,
                key: key.clone(),
            }))
        },
        key_utils: KeyUtils::new_unimplemented(),
    };
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // Nothing else in this process uses the library.
        PROVIDER.install_default().ok();
    });
}
