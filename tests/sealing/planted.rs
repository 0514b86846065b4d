//! A recognisable value is planted, and everything that leaves the server but the disclosure itself is
//! searched for it, and every file. What each role is told is searched in `api access`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use casetrail::wire::v1::{
    DisclosurePurpose, EventType as E, ListDisclosuresRequest, PersonalClass as Class,
    ReplayEventsRequest, SearchByNameRequest, WatchStatusRequest, watch_status_request::Start,
};
use tokio::time::timeout;

use super::office::{Office, asking, name, one, subject, text, with_values};
use super::support::planted::{PLANTED, assert_that_the_search_finds, found_in};
use super::support::server::{casetrail, content};
use super::support::{fresh_uuid, valid_event};

fn found_in_files(folder: &Path) -> Vec<String> {
    let files: Vec<(PathBuf, Vec<u8>)> = content(folder);
    let found = files.iter();
    found
        .flat_map(|(path, content)| found_in(&path.display().to_string(), content))
        .collect()
}

#[test]
fn the_search_finds_what_is_there() {
    assert_that_the_search_finds();
}

#[tokio::test]
async fn a_planted_value_is_in_no_byte_but_those_of_its_disclosure() {
    let mut office = Office::open().await;
    let subject = subject();
    let values = || {
        vec![
            text(&subject, Class::Identity, PLANTED),
            name(&subject, PLANTED),
        ]
    };
    let mut told = Vec::new();
    let case_id = office.case_with(values()).await;

    // What is sent again, and what is refused: for its own sake, or for that of another field.
    let again = with_values(values());
    told.push(format!("{:?}", office.submit(again.clone()).await));
    told.push(format!("{:?}", office.submit(again.clone()).await));
    let mut reused = again.clone();
    reused.changes[0].events[0]
        .personal
        .push(text(&subject, Class::Health, PLANTED));
    told.push(format!("{:?}", office.submit(reused).await));
    let mut misplaced = valid_event(E::Arrived);
    misplaced.personal = values();
    told.push(format!(
        "{:?}",
        office.submit(one(&case_id, misplaced)).await
    ));
    for spoil in [
        |value: &mut casetrail::wire::v1::PersonalValue| value.subject_id = PLANTED.to_owned(),
        |value: &mut casetrail::wire::v1::PersonalValue| value.field = PLANTED.to_owned(),
        |value: &mut casetrail::wire::v1::PersonalValue| value.personal_class = 77,
        |value: &mut casetrail::wire::v1::PersonalValue| {
            *value = text(
                &fresh_uuid().to_string(),
                Class::Health,
                &PLANTED.repeat(500),
            );
        },
    ] {
        let mut spoiled = with_values(values());
        spoil(&mut spoiled.changes[0].events[0].personal[0]);
        let refused = office.submit(spoiled).await;
        assert!(refused.is_err());
        told.push(format!("{refused:?}"));
    }
    let mut asked = asking(&[&case_id]);
    asked.purpose_reference = PLANTED.to_owned();
    told.push(format!("{:?}", office.ask(asked).await));

    // Who searches for it is told whom it leads to.
    for purpose in [DisclosurePurpose::Tracing, DisclosurePurpose::Unspecified] {
        let request = SearchByNameRequest {
            name_parts: vec![PLANTED.to_owned()],
            birth_year: 0,
            purpose: purpose.into(),
            purpose_reference: String::new(),
        };
        told.push(format!("{request:?}"));
        let answer = office.client.personal().search_by_name(request).await;
        if purpose == DisclosurePurpose::Tracing {
            // In both cases.
            assert_eq!(answer.as_ref().unwrap().get_ref().matches.len(), 2);
        }
        told.push(format!("{answer:?}"));
    }

    // The disclosure itself shows it; its Debug doesn't.
    let opened = office.opened(&case_id).await;
    assert_eq!(
        super::office::text_of(opened.entries[0].value.as_ref().unwrap()),
        PLANTED
    );
    told.push(format!("{opened:?} {opened:#?}"));
    told.push(format!("{again:?} {again:#?}"));

    // What others are shown.
    told.push(format!("{:?}", office.records().await));
    let request = WatchStatusRequest {
        start: Some(Start::FromPosition(0)),
        ..WatchStatusRequest::default()
    };
    let mut changes = office
        .client
        .monitor()
        .watch_status(request)
        .await
        .unwrap()
        .into_inner();
    for _ in 0..3 {
        told.push(format!("{:?}", changes.message().await.unwrap()));
    }
    drop(changes);
    let request = ListDisclosuresRequest::default();
    let disclosed = office
        .client
        .personal()
        .list_disclosures(request)
        .await
        .unwrap();
    told.push(format!("{disclosed:?}"));
    let backup = office.folder.path().join("backup.ctb");
    let url = office.url();
    let mut shown = Vec::new();
    for arguments in [
        vec!["backup", backup.to_str().unwrap()],
        vec!["replay", "--json"],
        vec!["history", &case_id, "--json"],
        vec!["get", &case_id, "--json"],
        vec!["personal", "search", PLANTED, "--purpose", "tracing"],
        vec!["personal", "disclosures", "--json"],
        vec!["status", "--with-digest"],
        vec!["list", "--json"],
        vec!["summary"],
        vec!["alerts"],
        vec!["check"],
        vec!["diff", "--known-at", "0", "--json"],
        vec!["erasure", "due"],
    ] {
        let mut command = casetrail(&arguments);
        command.args(["--server", &url]);
        let ran = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = timeout(Duration::from_secs(60), ran)
            .await
            .unwrap()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        shown.extend([output.stdout, output.stderr]);
    }
    let found: Vec<_> = told
        .iter()
        .flat_map(|it| found_in(it, it.as_bytes()))
        .collect();
    assert_eq!(found, Vec::<String>::new());
    let found: Vec<_> = shown
        .iter()
        .flat_map(|it| found_in("a command", it))
        .collect();
    assert_eq!(found, Vec::<String>::new());

    // A crash would leave no dump of its memory.
    let limits = format!("/proc/{}/limits", office.server().process.id());
    let limits = std::fs::read_to_string(limits).unwrap();
    let of_dumps = limits
        .lines()
        .find(|it| it.starts_with("Max core file size"));
    let words: Vec<_> = of_dumps.unwrap().split_whitespace().collect();
    assert_eq!(words[4..], ["0", "0", "bytes"]);

    // Files while it serves, after it was killed, and after it ended in good order.
    assert_eq!(found_in_files(office.folder.path()), Vec::<String>::new());
    let logged = office.log();
    office.kill();
    assert_eq!(found_in_files(office.folder.path()), Vec::<String>::new());
    office.start().await;
    let _ = office
        .client
        .audit()
        .replay_events(ReplayEventsRequest::default())
        .await;
    let logged = logged + &office.stop().await;
    assert!(
        logged.contains("SubmitEvents"),
        "the log is that of every call"
    );
    assert_eq!(found_in("the log", logged.as_bytes()), Vec::<String>::new());
    assert_eq!(found_in_files(office.folder.path()), Vec::<String>::new());
}
