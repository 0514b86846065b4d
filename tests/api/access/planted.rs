//! A recognisable value is planted in personal values of every class, and every call is made in every
//! role: no byte of an answer holds it but those of its disclosure to whoever may open it.

use casetrail::wire::v1::{
    self, AlertRule, AsOf, CaseFilter, DisclosurePurpose, EventType as E, PersonName,
    PersonNamePart, PersonalClass as Class, PersonalValue, Role, SeriesClock,
    personal_value::Value, watch_status_request::Start, watch_status_response::Item,
};
use prost::Message;
use tonic::{Code, Status};

use super::world::{Caller, World};
use crate::practice::words::{Telling, an};
use crate::support::fresh_uuid;
use crate::support::planted::{PLANTED, found_in};
use crate::together::{change, submission};

fn values(subject: &str) -> Vec<PersonalValue> {
    let value = |class: Class, value| PersonalValue {
        subject_id: subject.to_owned(),
        personal_class: class.into(),
        field: "field".to_owned(),
        value: Some(value),
    };
    let name = Value::Name(PersonName {
        parts: vec![PersonNamePart {
            text: PLANTED.to_owned(),
            ..PersonNamePart::default()
        }],
    });
    let classes = casetrail::access::table::CLASSES.iter();
    let texts = classes.map(|class| value(*class, Value::Text(PLANTED.to_owned())));
    [value(Class::Identity, name)]
        .into_iter()
        .chain(texts)
        .collect()
}

/// All that a caller was told.
#[derive(Default)]
struct Told {
    /// How many answers came, and were no errors.
    answers: usize,
    found: Vec<String>,
}

impl Told {
    fn bytes(&mut self, what: &str, bytes: &[u8]) {
        self.found.extend(found_in(what, bytes));
    }

    fn message(&mut self, what: &str, message: &(impl Message + std::fmt::Debug)) {
        self.answers += 1;
        self.bytes(what, &message.encode_to_vec());
        self.bytes(what, format!("{message:?} {message:#?}").as_bytes());
    }

    fn refused(&mut self, what: &str, status: &Status) {
        assert_ne!(status.code(), Code::Unimplemented, "{what}");
        self.bytes(what, format!("{status:?} {status}").as_bytes());
        self.bytes(what, status.details());
    }

    /// Takes in what came, and returns it.
    fn take<T: Message + std::fmt::Debug>(
        &mut self,
        what: &str,
        result: Result<tonic::Response<T>, Status>,
    ) {
        match result {
            Ok(answer) => self.message(what, answer.get_ref()),
            Err(status) => self.refused(what, &status),
        }
    }

    /// Takes in a stream until its end, or the item that is the last one.
    async fn stream<T: Message + std::fmt::Debug>(
        &mut self,
        what: &str,
        result: Result<tonic::Response<tonic::Streaming<T>>, Status>,
        is_last: impl Fn(&T) -> bool,
    ) {
        let mut items = match result {
            Ok(answer) => answer.into_inner(),
            Err(status) => return self.refused(what, &status),
        };
        loop {
            match items.message().await {
                Ok(Some(item)) => {
                    self.message(what, &item);
                    if is_last(&item) {
                        return;
                    }
                }
                Ok(None) => return,
                Err(status) => return self.refused(what, &status),
            }
        }
    }
}

/// Makes every call that reads, but for the disclosure itself.
async fn ask_everything(caller: &Caller, case_id: &str, subject: &str) -> Told {
    let mut told = Told::default();
    let case_id = || case_id.to_owned();
    let (mut cases, mut monitor) = (caller.cases(), caller.monitor());
    let (mut personal, mut admin) = (caller.personal(), caller.admin());

    let request = v1::GetCaseRequest {
        case_id: case_id(),
        as_of: None,
    };
    told.take("GetCase", cases.get_case(request).await);
    let request = v1::ListCasesRequest::default();
    told.take("ListCases", cases.list_cases(request).await);
    let request = v1::CompareCasesRequest {
        from: Some(AsOf {
            known_at: Some(v1::as_of::KnownAt::Position(0)),
            ..AsOf::default()
        }),
        ..v1::CompareCasesRequest::default()
    };
    told.take("CompareCases", cases.compare_cases(request).await);
    let request = v1::GetCaseHistoryRequest {
        case_id: case_id(),
        ..v1::GetCaseHistoryRequest::default()
    };
    told.take("GetCaseHistory", cases.get_case_history(request).await);
    let request = v1::GetAgreementCoverageRequest {
        agreement_case_id: case_id(),
        ..v1::GetAgreementCoverageRequest::default()
    };
    let coverage = cases.get_agreement_coverage(request).await;
    told.take("GetAgreementCoverage", coverage);
    let request = v1::GetAgreementProgressRequest {
        agreement_case_id: case_id(),
        ..v1::GetAgreementProgressRequest::default()
    };
    let progress = cases.get_agreement_progress(request).await;
    told.take("GetAgreementProgress", progress);

    for start in [Start::FromPosition(0), Start::Snapshot(true)] {
        let request = v1::WatchStatusRequest {
            start: Some(start),
            ..v1::WatchStatusRequest::default()
        };
        let changes = monitor.watch_status(request).await;
        let is_last =
            |answer: &v1::WatchStatusResponse| matches!(answer.item, Some(Item::CaughtUp(_)));
        told.stream("WatchStatus", changes, is_last).await;
    }
    let request = v1::GetSummaryRequest::default();
    told.take("GetSummary", monitor.get_summary(request).await);
    let request = v1::GetSummarySeriesRequest {
        first_month: "2024-01".to_owned(),
        last_month: "2024-06".to_owned(),
        clock: SeriesClock::True.into(),
        ..v1::GetSummarySeriesRequest::default()
    };
    let series = monitor.get_summary_series(request).await;
    told.take("GetSummarySeries", series);
    let request = v1::ListAlertsRequest::default();
    told.take("ListAlerts", monitor.list_alerts(request).await);
    let request = v1::WatchAlertsRequest {
        filter: Some(CaseFilter::default()),
        rules: Vec::<i32>::from([AlertRule::Unspecified as i32; 0]),
        ..v1::WatchAlertsRequest::default()
    };
    let alerts = monitor.watch_alerts(request).await;
    let is_last = |answer: &v1::WatchAlertsResponse| {
        matches!(
            answer.item,
            Some(v1::watch_alerts_response::Item::Complete(_))
        )
    };
    told.stream("WatchAlerts", alerts, is_last).await;

    let records = caller
        .audit()
        .replay_events(v1::ReplayEventsRequest::default())
        .await;
    told.stream("ReplayEvents", records, |_| false).await;

    let request = v1::SearchByNameRequest {
        name_parts: vec![PLANTED.to_owned()],
        birth_year: 0,
        purpose: DisclosurePurpose::Tracing.into(),
        purpose_reference: String::new(),
    };
    told.take("SearchByName", personal.search_by_name(request).await);
    let request = v1::ListDisclosuresRequest {
        subject_id: subject.to_owned(),
        ..v1::ListDisclosuresRequest::default()
    };
    let disclosures = personal.list_disclosures(request).await;
    told.take("ListDisclosures", disclosures);
    let request = v1::ListRetentionDueRequest::default();
    let due = personal.list_retention_due(request).await;
    told.take("ListRetentionDue", due);

    let request = v1::GetServerStatusRequest { with_digest: true };
    told.take("GetServerStatus", admin.get_server_status(request).await);
    let request = v1::RebuildViewsRequest::default();
    told.take("RebuildViews", admin.rebuild_views(request).await);
    let request = v1::ListAccountsRequest {};
    told.take("ListAccounts", admin.list_accounts(request).await);
    told
}

async fn opened(caller: &Caller, case_id: &str) -> Told {
    let mut told = Told::default();
    let request = v1::GetPersonalRequest {
        case_ids: vec![case_id.to_owned()],
        purpose: DisclosurePurpose::CaseWork.into(),
        ..v1::GetPersonalRequest::default()
    };
    told.take("GetPersonal", caller.personal().get_personal(request).await);
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_planted_is_told_in_no_role_but_by_its_disclosure() {
    let world = World::start().await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let subject = fresh_uuid().to_string();
    let case_id = fresh_uuid().to_string();
    let mut event = an(E::RemainsRecovered).on("2024-03-01");
    event.personal = values(&subject);
    let opening = submission(vec![change(&case_id, vec![event])]);
    worker.submit(opening).await.unwrap();

    let supervisor = world
        .caller("supervisor-1", Role::Supervisor, "org-1")
        .await;
    let forensic = world.caller("forensic-1", Role::Forensic, "org-1").await;
    let stranger = world
        .caller("supervisor-2", Role::Supervisor, "org-2")
        .await;
    let monitor = world.caller("monitor-1", Role::Monitor, "press-1").await;
    let auditor = world.caller("auditor-1", Role::Auditor, "org-3").await;
    let admin = world.admin().await;
    let anybody = Caller::new(world.channel().await, None);
    for (name, caller, opens, answers_min) in [
        ("worker", &worker, true, 12),
        ("supervisor", &supervisor, true, 14),
        ("forensic", &forensic, true, 12),
        ("a supervisor of another organisation", &stranger, false, 9),
        ("monitor", &monitor, false, 5),
        ("auditor", &auditor, false, 12),
        ("admin", &admin, false, 3),
        ("anybody", &anybody, false, 0),
    ] {
        // The disclosure shows that the search would find it.
        assert_eq!(
            !opened(caller, &case_id).await.found.is_empty(),
            opens,
            "{name}"
        );
        let told = ask_everything(caller, &case_id, &subject).await;
        assert_eq!(told.found, Vec::<String>::new(), "{name}");
        assert!(told.answers >= answers_min, "{name}: {}", told.answers);
    }
    world.end().await;
}
