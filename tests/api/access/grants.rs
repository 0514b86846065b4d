//! Accounts and their grants: how they begin and end.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use casetrail::ledger::Clock;
use casetrail::wire::moment::Moment;
use casetrail::wire::v1::{
    self, CloseAccountRequest, CreateTokenRequest, ListAccountsRequest, RevokeGrantRequest, Role,
    WatchStatusRequest,
};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
};
use serde_json::json;
use tokio::sync::watch;
use tonic::Code;
use tonic_types::StatusExt;

use super::world::{
    Caller, SignerKey, World, by_shared_secret, claims, reason, specification, unsigned, until,
    with_signature,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_revoked_ends_at_once_also_for_what_was_opened_by_it() {
    let world = World::start().await;
    let token = world.token("worker-1", Role::CaseWorker, "org-1").await;
    let other = world.token("worker-1", Role::CaseWorker, "org-1").await;
    let (caller, other) = (
        world.by_token(&token.token).await,
        world.by_token(&other.token).await,
    );
    let watch = |caller: &Caller| {
        let mut monitor = caller.monitor();
        async move {
            let opened = monitor.watch_status(WatchStatusRequest::default()).await;
            let mut answers = opened.unwrap().into_inner();
            // It has caught up, and waits.
            answers.message().await.unwrap();
            answers
        }
    };
    let (mut ending, mut going_on) = (watch(&caller).await, watch(&other).await);
    let revocation = RevokeGrantRequest {
        grant_id: token.grant_id.clone(),
    };
    let mut admin = world.admin().await.admin();
    admin.revoke_grant(revocation.clone()).await.unwrap();
    assert_eq!(
        caller.is_known().await.unwrap_err().code(),
        Code::Unauthenticated
    );
    other.is_known().await.unwrap();
    let ended = loop {
        match ending.message().await {
            Ok(Some(_)) => {}
            ended => break ended,
        }
    };
    assert_eq!(ended.unwrap_err().code(), Code::Unauthenticated);
    // The other one of the account goes on, with a sign of life.
    let answer = tokio::time::timeout(Duration::from_secs(60), going_on.message()).await;
    assert!(answer.unwrap().unwrap().is_some());
    let again = admin.revoke_grant(revocation).await.unwrap_err();
    assert_eq!(
        (again.code(), reason(&again)),
        (Code::NotFound, "GRANT_NOT_FOUND".into())
    );
    world.end().await;
}

#[tokio::test]
async fn an_account_has_one_role_and_organisation_until_it_is_closed() {
    let world = World::start().await;
    let mut admin = world.admin().await.admin();
    let token = world.token("worker-1", Role::CaseWorker, "org-1").await;
    let create = |name: &str, role, organisation: &str| CreateTokenRequest {
        account: Some(specification(name, role, organisation)),
        expires_on: String::new(),
    };
    for other in [
        create("worker-1", Role::Supervisor, "org-1"),
        create("worker-1", Role::CaseWorker, "org-2"),
    ] {
        let status = admin.create_token(other).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status)),
            (Code::AlreadyExists, "OTHER_ACCOUNT".into())
        );
    }
    for (wrong, field) in [
        (
            create("two words", Role::CaseWorker, "org-1"),
            "account.name",
        ),
        (create("oidc:x", Role::CaseWorker, "org-1"), "account.name"),
        (
            create("worker-2", Role::Unspecified, "org-1"),
            "account.role",
        ),
        (
            create("worker-2", Role::CaseWorker, ""),
            "account.organisation",
        ),
    ] {
        let status = admin.create_token(wrong).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let bad = status.get_details_bad_request().unwrap();
        assert_eq!(bad.field_violations[0].field, field);
    }
    let caller = world.by_token(&token.token).await;
    caller.is_known().await.unwrap();
    let close = || CloseAccountRequest {
        name: "worker-1".to_owned(),
    };
    admin.close_account(close()).await.unwrap();
    assert_eq!(
        caller.is_known().await.unwrap_err().code(),
        Code::Unauthenticated
    );
    let status = admin.close_account(close()).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::NotFound, "ACCOUNT_NOT_FOUND".into())
    );
    // The name is free for another account; the closed one stays on record.
    let another = admin
        .create_token(create("worker-1", Role::Supervisor, "org-2"))
        .await;
    let another = another.unwrap().into_inner();
    world
        .by_token(&another.token)
        .await
        .is_known()
        .await
        .unwrap();
    assert!(caller.is_known().await.is_err());
    let listed = admin.list_accounts(ListAccountsRequest {}).await.unwrap();
    let listed = listed.into_inner().accounts;
    let told: Vec<_> = listed
        .iter()
        .map(|it| {
            (
                it.name.as_str(),
                it.role(),
                it.organisation.as_str(),
                it.closed,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("admin", Role::Admin, "server", false),
            ("worker-1", Role::CaseWorker, "org-1", true),
            ("worker-1", Role::Supervisor, "org-2", false),
        ]
    );
    world.end().await;
}

#[tokio::test]
async fn the_last_admin_can_not_shut_everybody_out() {
    let world = World::start().await;
    let mut admin = world.admin().await.admin();
    let listed = admin.list_accounts(ListAccountsRequest {}).await.unwrap();
    let grant_id = listed.into_inner().accounts[0].grants[0].grant_id.clone();
    let revocation = RevokeGrantRequest { grant_id };
    let status = admin.revoke_grant(revocation.clone()).await.unwrap_err();
    assert_eq!(reason(&status), "LAST_ADMIN");
    let name = "admin".to_owned();
    let status = admin
        .close_account(CloseAccountRequest { name })
        .await
        .unwrap_err();
    assert_eq!(reason(&status), "LAST_ADMIN");
    world.token("second", Role::Admin, "org-1").await;
    admin.revoke_grant(revocation).await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn a_certificate_acts_for_its_account_until_it_is_revoked() {
    let world = World::start().await;
    let pair = world.client_root.client("worker");
    let caller = Caller::new(world.channel_of(&pair).await.unwrap(), None);
    assert_eq!(
        caller.is_known().await.unwrap_err().code(),
        Code::Unauthenticated
    );
    let grant_id = world
        .enrol(&pair, "worker-1", Role::CaseWorker, "org-1")
        .await;
    caller.is_known().await.unwrap();
    // A token of the call counts before the certificate of the connection, also where it is wrong.
    let channel = world.channel_of(&pair).await.unwrap();
    let wrong = Caller::new(channel, Some("casetrail_wrong"));
    assert_eq!(
        wrong.is_known().await.unwrap_err().code(),
        Code::Unauthenticated
    );
    let mut admin = world.admin().await.admin();
    let again = v1::EnrolCertificateRequest {
        account: Some(specification("worker-2", Role::CaseWorker, "org-1")),
        certificate_sha256: pair.sha256.clone(),
        expires_on: String::new(),
    };
    let status = admin.enrol_certificate(again).await.unwrap_err();
    assert_eq!(reason(&status), "CERTIFICATE_ENROLLED");
    admin
        .revoke_grant(RevokeGrantRequest { grant_id })
        .await
        .unwrap();
    assert_eq!(
        caller.is_known().await.unwrap_err().code(),
        Code::Unauthenticated
    );
    world.end().await;
}

#[tokio::test]
async fn jwts_follow_the_keys_of_the_issuer() {
    let world = World::start().await;
    let next = SignerKey::new("key-2");
    let claims = claims("worker", Role::CaseWorker, "org-1");
    let by = |key: &SignerKey| key.sign(&key.header(), &claims);
    let (old, new) = (by(&world.signer), by(&next));
    let channel = world.channel().await;
    let known = |token: &str| {
        let caller = Caller::new(channel.clone(), Some(token));
        async move { caller.is_known().await.is_ok() }
    };
    assert!(known(&old).await && !known(&new).await);
    let keys = |keys: serde_json::Value| {
        std::fs::write(world.file("keys.json"), json!({ "keys": keys }).to_string()).unwrap();
    };
    // While the new key comes and the old one goes, either holds as long as it is in the file.
    keys(json!([world.signer.jwk(), next.jwk()]));
    until(async || known(&new).await).await;
    assert!(known(&old).await);
    keys(json!([next.jwk()]));
    until(async || !known(&old).await).await;
    assert!(known(&new).await);
    // A file that is damaged leaves the keys as they are.
    std::fs::write(world.file("keys.json"), "{").unwrap();
    for _ in 0..3 {
        assert!(known(&new).await && !known(&old).await);
    }
    world.end().await;
}

#[tokio::test]
async fn what_is_es256_is_taken_as_well_but_no_signature_of_another_form() {
    let world = World::without_lock_out().await;
    let random = SystemRandom::new();
    let [fixed, asn1] = [
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        &ECDSA_P256_SHA256_ASN1_SIGNING,
    ];
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(fixed, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(fixed, pkcs8.as_ref(), &random).unwrap();
    let point = key.public_key().as_ref();
    let [x, y] = [&point[1..33], &point[33..]].map(|it| URL_SAFE_NO_PAD.encode(it));
    let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "x": x, "y": y});
    std::fs::write(world.file("keys.json"), json!({"keys": [jwk]}).to_string()).unwrap();
    let claims = claims("worker", Role::CaseWorker, "org-1");
    let headed = |alg: &str| unsigned(&json!({"alg": alg, "kid": "ec"}), &claims);
    let signed_by = |key: &EcdsaKeyPair, signed: &str| {
        let signature = key.sign(&random, signed.as_bytes()).unwrap();
        with_signature(signed, signature.as_ref())
    };
    let caller = world.by_token(&signed_by(&key, &headed("ES256"))).await;
    until(async || caller.is_known().await.is_ok()).await;
    let in_asn1 = EcdsaKeyPair::from_pkcs8(asn1, pkcs8.as_ref(), &random).unwrap();
    for forged in [
        // r = s = 0, which holds for every message where the range isn't looked at.
        with_signature(&headed("ES256"), &[0; 64]),
        with_signature(&headed("ES256"), &[0xff; 64]),
        with_signature(&headed("ES256"), &[]),
        // RFC 7518, section 3.4: r and s as they are, not in ASN.1.
        signed_by(&in_asn1, &headed("ES256")),
        signed_by(&key, &headed("ES384")),
        signed_by(&key, &headed("RS256")),
        by_shared_secret(point, "ec", &claims),
        by_shared_secret(x.as_bytes(), "ec", &claims),
    ] {
        assert!(world.by_token(&forged).await.is_known().await.is_err());
    }
    caller.is_known().await.unwrap();
    world.end().await;
}

/// The modulus of a key of RSA that was made for this test, and tokens signed by it in the two ways of
/// padding, valid until 2100.
const RSA_MODULUS: &str = "xS3Jjg1L40cYg7_LXwn3aLGOmLyH3H-m9UkGJRWkoEUn4j6IJywMQZycg2e4aX5i4ta2WMKGSUXqLOG-\
    J5bHtUicJuwsmo5Df6afKoobHlEzo4Hifa2LcVE-dTr7t4ZTPRC9pHOuwN4ur8ajs91FgsxzxkPtYjg5\
    ojhNDxvpfDBRpQpHJrSy80uk71GXSaJkyW2T7fmfQGcn4t8axdoAy_plXLglBetU-EMjO2S-or7HTRVp\
    yCwaPENL9WYqF3NYrlK_AsvzPxJK_oVOu7UT6SDwca3wtP8BYl_hPGkaqATDU7Nxn0EyVSsB6FSWRH_-\
    Nq3B74hSKeho_zGrrx0jOQ";
const RS256_TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiw\
    iYXVkIjpbImNhc2V0cmFpbC10ZXN0IiwiYW5vdGhlciJdLCJzdWIiOiJ3b3JrZXIiLCJleHAiOjQxMDI\
    0NDQ4MDAsImNhc2V0cmFpbF9yb2xlIjoiY2FzZV93b3JrZXIiLCJjYXNldHJhaWxfb3JnYW5pc2F0aW9\
    uIjoib3JnLTEifQ.kZQEU1RHStWs5ztc778i1UW95fk5I_8_Fa4Ai_EqDUCGjq-h523bhH_Dndm6-W1T\
    M5BF30_F-nhJE9fSbKtCkxlTs_SKtzcXlvEtnOEgwQ3EMnbryQy1iR88yah9IR8-7QPZ-N_sIKsIqgD7\
    ZwnF05xRlaotxFy9Ee2uLLf4hd0_q8oZfb4jLMUUJR_urmZC4IAXk3OzV4TUtPwhtCKs7rIEA2_A725S\
    QVdGBxP0XGrH49rDcyh_SHkKc9FYVuFab3fKSQ9FN8adKzuPxx9zhYz3_zue9IR9LzlbSWTEANUvHSS8\
    e0LW7mSgknvguev2nqpje2dGBzFeRncXGlexgA";
const PS256_TOKEN: &str = "eyJhbGciOiJQUzI1NiIsImtpZCI6InJzYSJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiw\
    iYXVkIjpbImNhc2V0cmFpbC10ZXN0IiwiYW5vdGhlciJdLCJzdWIiOiJ3b3JrZXIiLCJleHAiOjQxMDI\
    0NDQ4MDAsImNhc2V0cmFpbF9yb2xlIjoiY2FzZV93b3JrZXIiLCJjYXNldHJhaWxfb3JnYW5pc2F0aW9\
    uIjoib3JnLTEifQ.Jtp1BEJHve1bcHtGBJ6QX1zFvgEU5F82sFcpHZu0uvE6LYYcQQMHxFDsMlyvq4fd\
    4m0SH5tTB3vd6E1vl71sLCC-Cgt_mqlHXNdeXP3LN4achGq1lSUuZm8DvcyCVu5104lMpv0f3Ted4MXN\
    mgaM_5Zm3CRqPROv07RoAazgBWD-Q6dZ30syPBh9ODAqaFd_CvdQ07T_lrjjro-2MoZPj3MlDh6QqoB7\
    eXk2SBXczdOSJusx0NGIXA3cZjNmFuy5CUZQHwo-nqMqCOxYgUSxkLLlVs7LWjxTBvxyxvYyAp_xURVV\
    yjYXbwJCzp0B4xsX20H51MoJWzJRPPOBujPC3A";

#[tokio::test]
async fn what_is_rs256_or_ps256_is_taken_as_well_by_the_key_that_is_for_it() {
    // An hour before it expires.
    let (hands, clock) = watch::channel(Moment((4_102_444_800 - 3_600) * 1_000_000));
    let world = World::by_clock(Clock::set_by_hand(clock)).await;
    let caller = world.by_token(RS256_TOKEN).await;
    let by_pss = world.by_token(PS256_TOKEN).await;
    let jwk = |modulus: &str| json!({"kty": "RSA", "alg": "RS256", "kid": "rsa", "use": "sig", "n": modulus, "e": "AQAB"});
    let keys = |keys: serde_json::Value| {
        std::fs::write(world.file("keys.json"), json!({ "keys": keys }).to_string()).unwrap();
        // It is looked for now and then.
        hands.send_modify(|now| now.0 += 2_000_000);
    };
    assert!(caller.is_known().await.is_err());
    for no_key in [
        json!({"use": "enc"}),
        json!({"use": "tls"}),
        json!({"key_ops": ["encrypt"]}),
        json!({"key_ops": []}),
    ] {
        let mut unfit = jwk(RSA_MODULUS);
        unfit.as_object_mut().unwrap().remove("use");
        for (name, value) in no_key.as_object().unwrap() {
            unfit[name] = value.clone();
        }
        keys(json!([unfit, world.signer.jwk()]));
        assert!(caller.is_known().await.is_err(), "{no_key}");
    }
    // A key is for one way of padding, which nobody else can choose.
    let mut for_pss = jwk(RSA_MODULUS);
    for_pss["alg"] = json!("PS256");
    keys(json!([for_pss, world.signer.jwk()]));
    until(async || by_pss.is_known().await.is_ok()).await;
    assert!(caller.is_known().await.is_err());
    keys(json!([jwk(RSA_MODULUS)]));
    until(async || caller.is_known().await.is_ok()).await;
    assert!(by_pss.is_known().await.is_err());
    let (signed, signature) = RS256_TOKEN.rsplit_once('.').unwrap();
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let (_, claims) = signed.split_once('.').unwrap();
    let claims = serde_json::from_slice(&decoded(claims)).unwrap();
    let signature = decoded(signature);
    // The key as RFC 8017, appendix A.1.1, writes it.
    let modulus = decoded(RSA_MODULUS);
    let der = [
        &[0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00],
        &*modulus,
        &[0x02, 0x03, 0x01, 0x00, 0x01],
    ]
    .concat();
    for forged in [
        with_signature(signed, &vec![0; signature.len()]),
        with_signature(signed, &[&[0], &*signature].concat()),
        by_shared_secret(&der, "rsa", &claims),
        by_shared_secret(&modulus, "rsa", &claims),
        by_shared_secret(RSA_MODULUS.as_bytes(), "rsa", &claims),
    ] {
        assert!(world.by_token(&forged).await.is_known().await.is_err());
    }
    caller.is_known().await.unwrap();
    let other = jwk(&RSA_MODULUS.replacen('x', "y", 1));
    keys(json!([other, world.signer.jwk()]));
    until(async || caller.is_known().await.is_err()).await;
    world.end().await;
}

#[tokio::test]
async fn a_certificate_ends_with_its_grant_and_with_its_account() {
    // The beginning of 2027.
    let (hands, clock) = watch::channel(Moment(1_798_761_600 * 1_000_000));
    let world = World::by_clock(Clock::set_by_hand(clock)).await;
    let [expiring, closed, other] = ["a", "b", "c"].map(|name| world.client_root.client(name));
    let callers = async |pair| Caller::new(world.channel_of(pair).await.unwrap(), None);
    let code = async |caller: &Caller| caller.is_known().await.err().map(|it| it.code());
    let mut admin = world.admin().await.admin();
    let enrolled = v1::EnrolCertificateRequest {
        account: Some(specification("expiring", Role::CaseWorker, "org-1")),
        certificate_sha256: expiring.sha256.clone(),
        expires_on: "2027-01-01".to_owned(),
    };
    admin.enrol_certificate(enrolled).await.unwrap();
    for (pair, name) in [(&closed, "closed"), (&other, "other")] {
        world.enrol(pair, name, Role::CaseWorker, "org-1").await;
    }
    let expiring = callers(&expiring).await;
    let closed = callers(&closed).await;
    let other = callers(&other).await;
    for caller in [&expiring, &closed, &other] {
        caller.is_known().await.unwrap();
    }
    let name = "closed".to_owned();
    admin
        .close_account(CloseAccountRequest { name })
        .await
        .unwrap();
    assert_eq!(code(&closed).await, Some(Code::Unauthenticated));
    expiring.is_known().await.unwrap();
    hands.send_modify(|now| now.0 += 86_400_000_000);
    assert_eq!(code(&expiring).await, Some(Code::Unauthenticated));
    other.is_known().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subject_whose_account_is_closed_is_shut_out_with_all_their_jwts() {
    let world = World::start().await;
    let jwt = |name| world.jwt(name, Role::CaseWorker, "org-1");
    let (out, other) = (jwt("out"), jwt("other"));
    let (out, other) = (world.by_token(&out).await, world.by_token(&other).await);
    let mut monitor = out.monitor();
    let opened = monitor.watch_status(WatchStatusRequest::default()).await;
    let mut answers = opened.unwrap().into_inner();
    let close = || CloseAccountRequest {
        name: "oidc:out".to_owned(),
    };
    let mut admin = world.admin().await.admin();
    admin.close_account(close()).await.unwrap();
    assert_eq!(
        out.is_known().await.unwrap_err().code(),
        Code::Unauthenticated
    );
    let ended = loop {
        match answers.message().await {
            Ok(Some(_)) => {}
            ended => break ended,
        }
    };
    assert_eq!(ended.unwrap_err().code(), Code::Unauthenticated);
    other.is_known().await.unwrap();
    // Another JWT of the subject is none better, whatever role it tells.
    let again = world.jwt("out", Role::Admin, "org-2");
    assert!(world.by_token(&again).await.is_known().await.is_err());
    let status = admin.close_account(close()).await.unwrap_err();
    assert_eq!(reason(&status), "ACCOUNT_NOT_FOUND");
    let listed = admin.list_accounts(ListAccountsRequest {}).await.unwrap();
    let listed = listed.into_inner().accounts;
    let closed = listed.iter().find(|it| it.name == "oidc:out").unwrap();
    assert!(closed.closed && closed.grants.is_empty());
    world.end().await;
}
