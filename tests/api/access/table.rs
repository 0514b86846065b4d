//! The table of methods and roles: every method of the server is in it, and every cell is tried.

use std::collections::BTreeSet;

use casetrail::access::table::{self, Callers, ROLES, ROWS};
use casetrail::wire::v1::Role;
use prost::Message;
use prost_types::FileDescriptorProto;
use tonic::{Code, Request};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tonic_types::StatusExt;

use super::world::{Caller, World};

/// Who may call what, copied by hand from the roles that the domain's catalogue tells: case worker,
/// supervisor, forensic, monitor, auditor, admin.
const EXPECTED: [(&str, &str); 30] = [
    ("casetrail.v1.CaseService/SubmitEvents", "WSF---"),
    ("casetrail.v1.CaseService/SubmitStream", "WSF---"),
    ("casetrail.v1.CaseService/GetCase", "WSF-A-"),
    ("casetrail.v1.CaseService/ListCases", "WSF-A-"),
    ("casetrail.v1.CaseService/CompareCases", "WSF-A-"),
    ("casetrail.v1.CaseService/GetCaseHistory", "WSF-A-"),
    ("casetrail.v1.CaseService/GetAgreementCoverage", "WS--A-"),
    ("casetrail.v1.CaseService/GetAgreementProgress", "WS--A-"),
    ("casetrail.v1.MonitorService/WatchStatus", "WSFMA-"),
    ("casetrail.v1.MonitorService/GetSummary", "WSFMA-"),
    ("casetrail.v1.MonitorService/GetSummarySeries", "WSFMA-"),
    ("casetrail.v1.MonitorService/ListAlerts", "WSF-A-"),
    ("casetrail.v1.MonitorService/WatchAlerts", "WSF-A-"),
    ("casetrail.v1.AuditService/ReplayEvents", "----A-"),
    ("casetrail.v1.PersonalService/GetPersonal", "WSF-A-"),
    ("casetrail.v1.PersonalService/SearchByName", "WSF---"),
    ("casetrail.v1.PersonalService/ListDisclosures", "-S--A-"),
    ("casetrail.v1.PersonalService/ListRetentionDue", "-S----"),
    ("casetrail.v1.AdminService/GetServerStatus", "----AD"),
    ("casetrail.v1.AdminService/RebuildViews", "-----D"),
    ("casetrail.v1.AdminService/CreateToken", "-----D"),
    ("casetrail.v1.AdminService/EnrolCertificate", "-----D"),
    ("casetrail.v1.AdminService/GrantUnsealing", "-----D"),
    ("casetrail.v1.AdminService/RevokeGrant", "-----D"),
    ("casetrail.v1.AdminService/CloseAccount", "-----D"),
    ("casetrail.v1.AdminService/ListAccounts", "-----D"),
    ("grpc.health.v1.Health/Check", "WSFMAD"),
    ("grpc.health.v1.Health/Watch", "WSFMAD"),
    (
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "WSFMAD",
    ),
    (
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "WSFMAD",
    ),
];

async fn ask(caller: &Caller, ask: MessageRequest) -> ServerReflectionResponse {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(ask),
    };
    let mut client = ServerReflectionClient::new(caller.service.clone());
    let answers = client.server_reflection_info(futures_util::stream::iter([request]));
    let mut answers = answers.await.unwrap().into_inner();
    answers.message().await.unwrap().unwrap()
}

/// The paths of all methods that the server's reflection tells, with whether each answers with a
/// stream.
async fn methods(caller: &Caller) -> BTreeSet<(String, bool)> {
    let listed = ask(caller, MessageRequest::ListServices(String::new())).await;
    let Some(MessageResponse::ListServicesResponse(listed)) = listed.message_response else {
        panic!("no list of services");
    };
    let mut methods = BTreeSet::new();
    for service in listed.service {
        let symbol = MessageRequest::FileContainingSymbol(service.name.clone());
        let file = ask(caller, symbol).await;
        let Some(MessageResponse::FileDescriptorResponse(file)) = file.message_response else {
            panic!("no file of {}", service.name);
        };
        for file in file.file_descriptor_proto {
            let file = FileDescriptorProto::decode(file.as_slice()).unwrap();
            for declared in file.service {
                let full_name = format!("{}.{}", file.package.as_deref().unwrap(), declared.name());
                if full_name == service.name {
                    methods.extend(declared.method.iter().map(|method| {
                        let path = format!("/{full_name}/{}", method.name());
                        (path, method.server_streaming())
                    }));
                }
            }
        }
    }
    methods
}

#[tokio::test]
async fn every_method_that_reflection_tells_is_in_the_table_and_no_other() {
    let world = World::start().await;
    let admin = world.admin().await;
    let told = methods(&admin).await;
    let of_table = ROWS.iter().map(|row| (row.path.to_owned(), row.streams));
    let of_table: BTreeSet<_> = of_table.collect();
    // The older reflection does not tell of itself.
    let untold: Vec<_> = of_table
        .difference(&told)
        .map(|(path, _)| path.as_str())
        .collect();
    assert_eq!(
        untold,
        ["/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"]
    );
    assert_eq!(told.difference(&of_table).count(), 0, "{told:?}");
    world.end().await;
}

/// How a call with an empty message ends: none where it is answered, or goes on.
async fn call(caller: &Caller, path: &str) -> Option<tonic::Status> {
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let mut grpc = tonic::client::Grpc::new(caller.service.clone());
    grpc.ready().await.unwrap();
    let path = format!("/{path}").parse().unwrap();
    let answers = grpc.server_streaming(Request::new(()), path, codec).await;
    // A stream that was refused ends at once; one that goes on may say nothing for long.
    answers.err()
}

fn is_denied(status: Option<&tonic::Status>) -> bool {
    status.is_some_and(|status| {
        let info = status.get_details_error_info();
        status.code() == Code::PermissionDenied
            && info.is_some_and(|info| info.reason == "NOT_PERMITTED")
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cell_is_as_the_table_says_by_tokens_certificates_and_jwts() {
    let world = World::without_lock_out().await;
    assert_eq!(EXPECTED.len(), ROWS.len());
    let mut cells = 0;
    for (place, role) in ROLES.into_iter().enumerate() {
        let name = table::role_name(role);
        let by_token = world.caller(&format!("{name}-t"), role, "org-1").await;
        let pair = world.client_root.client(&name);
        world
            .enrol(&pair, &format!("{name}-c"), role, "org-1")
            .await;
        let by_certificate = Caller::new(world.channel_of(&pair).await.unwrap(), None);
        let by_jwt = world.by_token(&world.jwt(&name, role, "org-1")).await;
        for (path, letters) in EXPECTED {
            let may = letters.as_bytes()[place] != b'-';
            let row = table::row(&format!("/{path}")).unwrap();
            assert_eq!(row.allows(role), may, "{path} for {name}");
            for (kind, caller) in [
                ("token", &by_token),
                ("certificate", &by_certificate),
                ("JWT", &by_jwt),
            ] {
                let status = call(caller, path).await;
                assert_eq!(
                    is_denied(status.as_ref()),
                    !may,
                    "{path} for {name} by {kind}: {status:?}"
                );
                // A call that may be made fails of what it asks for, if at all.
                let code = status.map(|status| status.code());
                let is_wrong = matches!(
                    code,
                    Some(
                        Code::Unauthenticated
                            | Code::Internal
                            | Code::Unimplemented
                            | Code::Unknown
                    )
                );
                assert!(!is_wrong, "{path} for {name} by {kind}: {code:?}");
                cells += 1;
            }
        }
    }
    assert_eq!(cells, EXPECTED.len() * 6 * 3);
    world.end().await;
}

#[tokio::test]
async fn without_credentials_only_what_is_for_anyone_is_answered() {
    let world = World::start().await;
    let nobody = Caller::new(world.channel().await, None);
    for (path, _) in EXPECTED {
        let status = call(&nobody, path).await;
        let is_for_anyone = table::row(&format!("/{path}")).unwrap().callers == Callers::Anyone;
        assert_eq!(is_for_anyone, path.ends_with("Health/Check"));
        let code = status.map(|status| status.code());
        let expected = (!is_for_anyone).then_some(Code::Unauthenticated);
        assert_eq!(code, expected, "{path}");
    }
    world.end().await;
}

#[test]
fn roles_are_named_as_commands_and_claims_have_them() {
    for role in ROLES {
        assert_eq!(table::role_named(&table::role_name(role)), Some(role));
    }
    assert_eq!(table::role_named("unspecified"), None);
    assert_eq!(table::role_name(Role::CaseWorker), "case_worker");
}
