//! A thousand tokens, JWTs and certificates that are not valid: none is taken, and all are answered
//! alike.

use std::collections::BTreeMap;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use casetrail::wire::limits::FAILURE_ANSWER;
use casetrail::wire::v1::{CreateTokenRequest, RevokeGrantRequest, Role};
use futures_util::{StreamExt, stream};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tonic::{Code, Status};

use super::world::{
    Caller, Pair, Root, SignerKey, World, by_shared_secret, claims, client_params, hex,
    seconds_now, specification, unsigned,
};
use crate::harness::Random;

/// JWTs that are wrong, each with what is wrong.
fn jwts(world: &World) -> Vec<(&'static str, String)> {
    let signer = &world.signer;
    let good = claims("worker", Role::Admin, "org-1");
    let header = signer.header();
    let with = |of: &Value, name: &str, value: Value| {
        let mut changed = of.clone();
        changed[name] = value;
        changed
    };
    let without = |name: &str| {
        let mut changed = good.clone();
        changed.as_object_mut().unwrap().remove(name);
        changed
    };
    let signed = |claims: &Value| signer.sign(&header, claims);
    let headed = |header: &Value| signer.sign(header, &good);
    let other = SignerKey::new(&signer.kid);
    let none = |alg: &str| unsigned(&json!({"alg": alg, "kid": signer.kid}), &good);
    let by_public_key = |key: &[u8]| by_shared_secret(key, &signer.kid, &good);
    let now = seconds_now();
    let right = signed(&good);
    let parts: Vec<&str> = right.split('.').collect();
    let mut all = vec![
        ("alg none", format!("{}.", none("none"))),
        ("alg none", format!("{}.", none("NONE"))),
        ("alg none", format!("{}.", none("nOnE"))),
        ("alg none", format!("{}.{}", none("none"), parts[2])),
        ("alg none", none("none")),
        ("public key as secret", by_public_key(&signer.public())),
        (
            "public key as secret",
            by_public_key(URL_SAFE_NO_PAD.encode(signer.public()).as_bytes()),
        ),
        ("wrong key", other.sign(&header, &good)),
        (
            "wrong algorithm",
            headed(&with(&header, "alg", json!("ES256"))),
        ),
        (
            "wrong algorithm",
            headed(&with(&header, "alg", json!("RS256"))),
        ),
        (
            "wrong algorithm",
            headed(&with(&header, "alg", json!("HS256"))),
        ),
        ("wrong algorithm", headed(&with(&header, "alg", json!("")))),
        (
            "wrong algorithm",
            headed(&with(&header, "alg", json!(["EdDSA"]))),
        ),
        ("kid", headed(&with(&header, "kid", json!("key-2")))),
        ("kid", headed(&with(&header, "kid", json!("")))),
        (
            "kid",
            headed(&with(&header, "kid", json!("../../../dev/null"))),
        ),
        ("kid", headed(&with(&header, "kid", json!("key-1\u{0}")))),
        ("kid", headed(&with(&header, "kid", json!("' OR '1'='1")))),
        ("kid", headed(&with(&header, "kid", json!(1)))),
        ("kid", headed(&json!({"alg": "EdDSA"}))),
        (
            "key of its own",
            other.sign(&with(&header, "jwk", other.jwk()), &good),
        ),
        (
            "key of its own",
            other.sign(
                &with(&header, "jku", json!("http://127.0.0.1:1/keys.json")),
                &good,
            ),
        ),
        (
            "critical header",
            headed(&with(&header, "crit", json!(["exp"]))),
        ),
        ("critical header", headed(&with(&header, "crit", json!([])))),
        ("expired", signed(&with(&good, "exp", json!(now - 1)))),
        ("expired", signed(&with(&good, "exp", json!(now - 86_400)))),
        ("expired", signed(&with(&good, "exp", json!(0)))),
        ("expired", signed(&with(&good, "exp", json!(-1)))),
        ("lifetime", signed(&with(&good, "exp", json!(now + 90_000)))),
        ("lifetime", signed(&with(&good, "exp", json!(i64::MAX)))),
        ("type", headed(&with(&header, "typ", json!("logout+jwt")))),
        ("type", headed(&with(&header, "typ", json!("secevent+jwt")))),
        (
            "type",
            headed(&with(&header, "typ", json!("application/dpop+jwt"))),
        ),
        ("expiry", signed(&without("exp"))),
        ("expiry", signed(&with(&good, "exp", json!("9999999999")))),
        ("expiry", signed(&with(&good, "exp", json!(1e300)))),
        ("expiry", signed(&with(&good, "exp", Value::Null))),
        (
            "not yet valid",
            signed(&with(&good, "nbf", json!(now + 300))),
        ),
        ("not yet valid", signed(&with(&good, "nbf", json!("0")))),
        ("not yet valid", signed(&with(&good, "nbf", json!({})))),
        ("audience", signed(&with(&good, "aud", json!("another")))),
        (
            "audience",
            signed(&with(&good, "aud", json!(["another", "third"]))),
        ),
        (
            "audience",
            signed(&with(&good, "aud", json!([["casetrail-test"]]))),
        ),
        (
            "audience",
            signed(&with(&good, "aud", json!({"casetrail-test": 1}))),
        ),
        ("audience", signed(&without("aud"))),
        (
            "issuer",
            signed(&with(&good, "iss", json!("https://issuer.example/"))),
        ),
        (
            "issuer",
            signed(&with(&good, "iss", json!(["https://issuer.example"]))),
        ),
        ("issuer", signed(&without("iss"))),
        ("subject", signed(&without("sub"))),
        ("subject", signed(&with(&good, "sub", json!("")))),
        ("subject", signed(&with(&good, "sub", json!("two words")))),
        ("subject", signed(&with(&good, "sub", json!(7)))),
        ("role", signed(&without("casetrail_role"))),
        (
            "role",
            signed(&with(&good, "casetrail_role", json!("root"))),
        ),
        (
            "role",
            signed(&with(&good, "casetrail_role", json!("unspecified"))),
        ),
        (
            "role",
            signed(&with(&good, "casetrail_role", json!("ADMIN"))),
        ),
        (
            "role",
            signed(&with(&good, "casetrail_role", json!(["admin"]))),
        ),
        ("organisation", signed(&without("casetrail_organisation"))),
        (
            "organisation",
            signed(&with(&good, "casetrail_organisation", json!("a b"))),
        ),
        ("other claims", {
            let more = with(&good, "casetrail_role", json!("auditor"));
            let claims = URL_SAFE_NO_PAD.encode(more.to_string());
            format!("{}.{claims}.{}", parts[0], parts[2])
        }),
        ("shape", format!("{}.{}", parts[0], parts[1])),
        ("shape", format!("{right}.{}", parts[2])),
        ("shape", format!("{right}.")),
        ("shape", format!("{}..{}", parts[0], parts[2])),
        ("shape", format!(".{}.{}", parts[1], parts[2])),
        ("shape", "..".to_owned()),
        ("shape", "...".to_owned()),
        ("shape", ".".to_owned()),
        ("shape", format!("{}.{}.{}=", parts[0], parts[1], parts[2])),
        ("shape", format!("{}.{}.", parts[0], parts[1])),
        ("shape", format!("{}.{}", right, "A".repeat(6_000))),
        ("shape", format!("{}.{}", "[".repeat(3_000), parts[1])),
        ("deep", signed(&with(&good, "x", nested(120)))),
    ];
    // "deep" is well formed and right: it only shows that the depth does no harm.
    all.pop();
    let mut random = Random(7);
    while all.len() < 500 {
        let mut bytes = right.clone().into_bytes();
        for _ in 0..=random.below(3) {
            let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
            match random.below(3) {
                0 => bytes[at] = b"ABCxyz019-_.="[usize::try_from(random.below(13)).unwrap()],
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, b'A'),
            }
        }
        let forged = String::from_utf8(bytes).unwrap();
        if forged != right {
            all.push(("fuzzed", forged));
        }
    }
    all
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!(1), |inner, _| json!([inner]))
}

/// Tokens that are wrong.
async fn tokens(world: &World) -> Vec<(&'static str, String)> {
    let admin = world.admin().await;
    let right = world.token("worker", Role::Admin, "org-1").await;
    let revoked = world.token("revoked", Role::Admin, "org-1").await;
    let grant_id = revoked.grant_id.clone();
    let revocation = RevokeGrantRequest { grant_id };
    admin.admin().revoke_grant(revocation).await.unwrap();
    let closed = world.token("closed", Role::Admin, "org-1").await;
    let closing = casetrail::wire::v1::CloseAccountRequest {
        name: "closed".to_owned(),
    };
    admin.admin().close_account(closing).await.unwrap();
    let expired = CreateTokenRequest {
        account: Some(specification("expired", Role::Admin, "org-1")),
        expires_on: "2024-02-29".to_owned(),
    };
    let expired = admin
        .admin()
        .create_token(expired)
        .await
        .unwrap()
        .into_inner();
    let mut all = vec![
        ("revoked", revoked.token),
        ("closed account", closed.token),
        ("expired", expired.token),
        ("shape", String::new()),
        ("shape", "casetrail_".to_owned()),
        ("shape", format!("{0}{0}", right.token)),
        ("shape", right.token.to_uppercase()),
        ("shape", format!(" {}", right.token)),
        (
            "shape",
            right.token.trim_start_matches("casetrail_").to_owned(),
        ),
        ("shape", "x".repeat(7_000)),
        ("shape", right.grant_id.clone()),
    ];
    let mut random = Random(8);
    while all.len() < 300 {
        let mut bytes = right.token.clone().into_bytes();
        let begin = "casetrail_".len();
        match random.below(3) {
            // One of the right length that is all chance.
            0 => {
                for byte in &mut bytes[begin..] {
                    *byte = b"ABCDEFGHIJKLMNOPabcdefghijklmnop0123456789-_"
                        [usize::try_from(random.below(44)).unwrap()];
                }
            }
            // One character is another one.
            1 => {
                let at = begin + usize::try_from(random.below(43)).unwrap();
                bytes[at] = if bytes[at] == b'Q' { b'R' } else { b'Q' };
            }
            _ => bytes.truncate(usize::try_from(random.below(bytes.len() as u64)).unwrap()),
        }
        all.push(("fuzzed", String::from_utf8(bytes).unwrap()));
    }
    all
}

/// What a caller learns: all of it has to be the same for all.
fn told(status: &Status) -> (Code, String, Vec<u8>) {
    (
        status.code(),
        status.message().to_owned(),
        status.details().to_vec(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_of_eight_hundred_forged_tokens_and_jwts_is_taken_and_all_are_answered_alike() {
    let world = World::without_lock_out().await;
    let panics = panics_of_the_server();
    let all = [jwts(&world), tokens(&world).await].concat();
    assert_eq!(all.len(), 800);
    let channel = world.channel().await;
    let nobody = Caller::new(channel.clone(), None);
    let expected = told(&nobody.is_known().await.unwrap_err());
    assert_eq!(expected.0, Code::Unauthenticated);
    let mut times: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    let calls = stream::iter(all).map(|(what, token)| {
        let caller = Caller::new(channel.clone(), Some(&token));
        async move {
            let began_at = Instant::now();
            let answer = caller.is_known().await;
            (what, token, began_at.elapsed(), answer)
        }
    });
    let mut calls = calls.buffer_unordered(64);
    while let Some((what, token, time, answer)) = calls.next().await {
        let status = answer.expect_err(&format!("{what} was taken: {token}"));
        assert_eq!(told(&status), expected, "{what}");
        assert!(time >= FAILURE_ANSWER, "{what} was answered after {time:?}");
        times.entry(what).or_default().push(time);
    }
    for (what, mut times) in times {
        times.sort();
        let median = times[times.len() / 2];
        println!(
            "{what}: {} answered, the median after {median:?}",
            times.len()
        );
    }
    // The ones that they were made from are taken.
    let right = world.jwt("worker", Role::Admin, "org-1");
    Caller::new(channel.clone(), Some(&right))
        .is_known()
        .await
        .unwrap();
    Caller::new(channel.clone(), Some(&world.admin_token))
        .is_known()
        .await
        .unwrap();
    assert_eq!(panics_of_the_server(), panics);
    world.end().await;
}

/// By how much the medians of answer times may lie apart. The differences that noise makes are smaller,
/// and what is to be told apart by a stranger would be larger than these many measurements can hide.
const APART_MAX: Duration = Duration::from_millis(25);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_of_all_kinds_are_answered_after_one_time() {
    let world = World::without_lock_out().await;
    let header = world.signer.header();
    let good = claims("worker", Role::Admin, "org-1");
    let mut expired = good.clone();
    expired["exp"] = json!(seconds_now() - 1);
    let mut unknown = header.clone();
    unknown["kid"] = json!("key-2");
    let kinds = [
        ("none", None),
        ("token", Some("casetrail_wrong".to_owned())),
        ("long", Some("x".repeat(7_000))),
        ("shape", Some("a.b.c".to_owned())),
        ("key", Some(world.signer.sign(&unknown, &good))),
        (
            "signature",
            Some(SignerKey::new("key-1").sign(&header, &good)),
        ),
        ("claims", Some(world.signer.sign(&header, &expired))),
    ];
    let channel = world.channel().await;
    let mut times: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for round in 0..31 {
        // All of a round at once, so that noise hits all, and in another order each time.
        let mut kinds = kinds.clone();
        kinds.rotate_left(round % 7);
        let calls = kinds.map(|(what, token)| {
            let caller = Caller::new(channel.clone(), token.as_deref());
            async move {
                let began_at = Instant::now();
                caller.is_known().await.unwrap_err();
                (what, began_at.elapsed())
            }
        });
        for (what, time) in futures_util::future::join_all(calls).await {
            times.entry(what).or_default().push(time);
        }
    }
    let medians: BTreeMap<_, _> = times
        .into_iter()
        .map(|(what, mut times)| {
            times.sort();
            (times[times.len() / 2], what)
        })
        .collect();
    let (first, last) = (medians.first_key_value(), medians.last_key_value());
    let apart = *last.unwrap().0 - *first.unwrap().0;
    assert!(apart < APART_MAX, "{medians:?}");
    assert!(*first.unwrap().0 >= FAILURE_ANSWER, "{medians:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_of_two_hundred_certificates_that_are_not_valid_is_taken() {
    let world = World::without_lock_out().await;
    let panics = panics_of_the_server();
    let mallory = Root::new("client root");
    let enrolled_params = client_params("worker");
    let enrolled = world.client_root.sign(&enrolled_params);
    world.enrol(&enrolled, "worker", Role::Admin, "org-1").await;
    let caller = Caller::new(world.channel_of(&enrolled).await.unwrap(), None);
    caller.is_known().await.unwrap();

    let dated = |from: (i32, u8, u8), until: (i32, u8, u8)| {
        let mut params = client_params("worker");
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        params
    };
    let as_server = || {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params
    };
    // Signed by the key of a client, whose certificate is shown with it: that is no authority.
    let by_client = || {
        let key = KeyPair::from_pem(&enrolled.key).unwrap();
        let issuer = Issuer::from_params(&enrolled_params, &key);
        let mut pair = signed(&client_params("worker"), |params, key| {
            params.signed_by(key, &issuer).unwrap()
        });
        pair.certificate.push_str(&enrolled.certificate);
        pair
    };
    let self_signed = || {
        signed(&client_params("worker"), |params, key| {
            params.self_signed(key).unwrap()
        })
    };
    let mut taken = Vec::new();
    for number in 0..200 {
        let (what, pair) = match number % 9 {
            5 => ("self-signed", self_signed()),
            6 => ("signed by a client", by_client()),
            7 => ("changed", changed(&enrolled, number)),
            // Its name is that of the enrolled one.
            0 => ("not enrolled", world.client_root.client("worker")),
            1 => ("another root", mallory.client("worker")),
            2 => {
                let pair = world.client_root.sign(&dated((2020, 1, 1), (2024, 1, 1)));
                ("expired", pair)
            }
            3 => {
                let pair = world.client_root.sign(&dated((2400, 1, 1), (2500, 1, 1)));
                ("not yet valid", pair)
            }
            4 => ("for servers", world.client_root.sign(&as_server())),
            // The enrolled certificate, with a key that is not its own.
            _ => {
                let mut pair = mallory.client("worker");
                pair.certificate.clone_from(&enrolled.certificate);
                ("key of another", pair)
            }
        };
        // All but the first kind are enrolled, where they can be: the connection has to refuse them.
        if (1..8).contains(&(number % 9)) {
            let name = format!("worker-{number}");
            world.enrol(&pair, &name, Role::Admin, "org-1").await;
        }
        let answer = match world.channel_of(&pair).await {
            Ok(channel) => Caller::new(channel, None).is_known().await,
            Err(_) => continue,
        };
        match answer {
            Ok(()) => taken.push((number, what)),
            Err(status) => assert!(
                what != "not enrolled" || status.code() == Code::Unauthenticated,
                "{status:?}"
            ),
        }
    }
    assert_eq!(taken, []);
    assert_eq!(panics_of_the_server(), panics);
    world.end().await;
}

fn signed(
    params: &CertificateParams,
    sign: impl FnOnce(&CertificateParams, &KeyPair) -> rcgen::Certificate,
) -> Pair {
    let key = KeyPair::generate().unwrap();
    let certificate = sign(params, &key);
    Pair {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
        sha256: hex(&Sha256::digest(certificate.der())),
    }
}

/// The pair with one bit of the certificate changed, in its last part, which is the signature.
fn changed(pair: &Pair, number: usize) -> Pair {
    let mut der = CertificateDer::from_pem_slice(pair.certificate.as_bytes())
        .unwrap()
        .to_vec();
    let at = der.len() - 1 - number / 9 % 60;
    der[at] ^= 1;
    let text = base64::engine::general_purpose::STANDARD.encode(&der);
    Pair {
        certificate: format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"),
        key: pair.key.clone(),
        sha256: hex(&Sha256::digest(&der)),
    }
}

/// How often code of the server panicked in this process. It is counted from the first call on.
fn panics_of_the_server() -> usize {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    static COUNTING: Once = Once::new();
    COUNTING.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let is_of_a_test = panic
                .location()
                .is_some_and(|it| it.file().starts_with("tests/"));
            if !is_of_a_test {
                COUNT.fetch_add(1, Ordering::Relaxed);
            }
            told(panic);
        }));
    });
    COUNT.load(Ordering::Relaxed)
}
