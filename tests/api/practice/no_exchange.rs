//! No case waits for another: an exchange, one person for another, can't be expressed as a dependency.
//!
//! Whatever is tried (links of every type, a clause over both, a cause, a referral, an event of the
//! other case named as target, a version expected of it), what a case takes and what it refuses is
//! the same whatever becomes of the other one. What two cases hold together is recorded in both at
//! once or in neither, and leaves neither of them waiting.

use casetrail::wire::v1::{
    self, EventType as E, LinkType, SubmitEventsResponse, case_change::Expected, event::Payload,
};
use casetrail::wire::{descriptor_pool, event_type};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::words::{
    Office, Telling, an, change, clause, confirmed, fact, linked, signed, submission,
};
use crate::support::{fresh_uuid, opposite};

const LINKS: [LinkType; 6] = [
    LinkType::Family,
    LinkType::SameEpisode,
    LinkType::NextEpisode,
    LinkType::DiedInCustody,
    LinkType::SplitFrom,
    LinkType::EvidenceFor,
];

/// What may become of the other person, as differently as can be.
const FATES: [&[E]; 6] = [
    &[],
    &[E::ReleaseListed, E::HandoverScheduled],
    &[
        E::ReleaseListed,
        E::HandoverScheduled,
        E::PersonNotPresented,
    ],
    &[E::Released, E::Arrived],
    &[E::DiedInCustody],
    &[E::CaseClosed],
];

/// A person whose release hangs on another's, as far as anybody can say so: bound to that case in
/// every way that there is.
async fn bound_to(office: &Office, other: &str, agreement: &str, events: &[E]) -> String {
    let opening = [
        vec![an(E::DetentionAcknowledged).on("2024-01-01")],
        told(events),
    ];
    let person = office.new_case(opening.concat()).await;
    for link_type in LINKS {
        office.record(&person, linked(other, link_type)).await;
    }
    for case_id in [&person, other] {
        let covered = v1::CaseCovered {
            agreement_case_id: agreement.to_owned(),
            clause_reference: fresh_clause(office, agreement).await,
        };
        let covered = fact(Payload::CaseCovered(covered)).on("2024-01-05");
        office.record(case_id, covered).await;
    }
    let suspected = v1::DuplicateSuspected {
        other_case_id: other.to_owned(),
    };
    office
        .record(&person, fact(Payload::DuplicateSuspected(suspected)))
        .await;
    person
}

/// A clause of its own for each, so that a case can be put under it.
async fn fresh_clause(office: &Office, agreement: &str) -> String {
    let reference = fresh_uuid().to_string();
    let added = v1::ClauseAdded {
        clause: Some(clause(&reference, vec![])),
    };
    let added = fact(Payload::ClauseAdded(added)).on("2024-01-04");
    office.record(agreement, added).await;
    reference
}

fn told(events: &[E]) -> Vec<v1::Event> {
    let days = (2..).map(|day| format!("2024-01-{day:02}"));
    let events = events.iter().zip(days);
    events.map(|(event, day)| an(*event).on(&day)).collect()
}

/// What is answered, without what differs from case to case: identifiers, positions and times.
fn told_of(answer: Result<tonic::Response<SubmitEventsResponse>, Status>) -> String {
    match answer {
        Ok(answer) => {
            let result = answer.into_inner().results.remove(0);
            format!("{:?} version {}", result.standing.unwrap(), result.version)
        }
        Err(status) => {
            let details = status.get_error_details();
            let mut facts = details.error_info().unwrap().clone();
            facts.metadata.remove("case_id");
            let facts: std::collections::BTreeMap<_, _> = facts.metadata.into_iter().collect();
            let message = without_ids(status.message());
            format!("{:?} {message} {:?}", status.code(), facts.keys())
        }
    }
}

fn without_ids(message: &str) -> String {
    let words = message.split(' ').map(|word| {
        let is_id = word.trim_matches(|it: char| !it.is_ascii_hexdigit()).len() == 36;
        let is_position = word.trim_matches(',').parse::<u64>().is_ok();
        if is_id || is_position { "X" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_case_answers_is_the_same_whatever_happened_to_the_other_one() {
    let office = Office::open().await;
    let agreement = office
        .new_case(vec![signed(vec![clause("1", vec![])])])
        .await;
    // Every event of a detention, and those common to every kind that bind it to the other case.
    let tried = event_type::ALL.iter().copied().filter(|event| {
        matches!(*event as i32, 101..300) && !matches!(event, E::CasesMerged | E::CasesUnmerged)
    });
    let mut tried: Vec<_> = tried.collect();
    // Last, since a closed case takes little.
    tried.sort_by_key(|event| *event == E::CaseClosed);
    assert!(tried.len() > 50);
    let scheduled = [E::ReleaseListed, E::WishesRecorded, E::HandoverScheduled];
    for history in [&[][..], &scheduled[..], &[E::Released]] {
        let mut answers: Vec<Vec<String>> = Vec::new();
        for fate in FATES {
            let other = office
                .new_case(
                    [
                        vec![an(E::DetentionAcknowledged).on("2024-01-01")],
                        told(fate),
                    ]
                    .concat(),
                )
                .await;
            let cause = office.history(&other).await.pop().unwrap();
            let cause = cause.record.unwrap().event.unwrap().event_id;
            let mut answered = Vec::new();
            let person = bound_to(&office, &other, &agreement, history).await;
            for event in &tried {
                let mut event = an(*event).on("2024-02-01");
                event.causation_id.clone_from(&cause);
                name(event.payload.as_mut().unwrap(), &other, &cause, &agreement);
                let request = submission(vec![change(&person, vec![event])]);
                let answer = office.client().cases().submit_events(request).await;
                answered.push(told_of(answer));
            }
            answers.push(answered);
        }
        for (fate, answered) in FATES.iter().zip(&answers) {
            for (event, (told, first)) in tried.iter().zip(answered.iter().zip(&answers[0])) {
                assert_eq!(told, first, "{event:?} where the other one had {fate:?}");
            }
        }
        // The person's release was among what was recorded.
        let release = tried
            .iter()
            .position(|event| *event == E::Released)
            .unwrap();
        let released = &answers[0][release];
        assert!(
            released.contains("confirmed: DetentionReleased"),
            "{released}"
        );
        // Some of it was recorded, some was refused.
        let refused = answers[0]
            .iter()
            .filter(|it| it.contains("FailedPrecondition"))
            .count();
        assert!(refused > 5 && refused + 10 < tried.len(), "{refused}");
    }
    office.close().await;
}

/// Lets a payload name the other case wherever a payload can name anything.
fn name(payload: &mut Payload, other: &str, their_event: &str, agreement: &str) {
    let (named, by) = match payload {
        Payload::CasesLinked(p) => (&mut p.other_case_id, other),
        Payload::CasesUnlinked(p) => (&mut p.other_case_id, other),
        Payload::DuplicateSuspected(p) => (&mut p.other_case_id, other),
        Payload::NotADuplicate(p) => (&mut p.other_case_id, other),
        Payload::CaseCovered(p) => (&mut p.agreement_case_id, agreement),
        Payload::CaseUncovered(p) => (&mut p.agreement_case_id, agreement),
        Payload::CaseReopened(p) => (&mut p.closing_event_id, their_event),
        Payload::VerificationChanged(p) => (&mut p.target_event_id, their_event),
        Payload::EventDisputed(p) => (&mut p.target_event_id, their_event),
        Payload::DisputeResolved(p) => (&mut p.dispute_event_id, their_event),
        Payload::EventCorrected(p) => (&mut p.target_event_id, their_event),
        Payload::EventRetracted(p) => (&mut p.target_event_id, their_event),
        Payload::ReferralOffered(p) => (&mut p.consent_event_id, their_event),
        Payload::ReferralAccepted(p) => (&mut p.referral_event_id, their_event),
        Payload::FollowUpCompleted(p) => (&mut p.follow_up_event_id, their_event),
        Payload::AccessGranted(p) => (&mut p.request_event_id, their_event),
        Payload::CaseClosed(p) => (&mut p.proposal_event_id, their_event),
        Payload::ErasureExecuted(p) => (&mut p.request_event_id, their_event),
        Payload::ErasureRefused(p) => (&mut p.request_event_id, their_event),
        _ => return,
    };
    by.clone_into(named);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_submitted_on_condition_of_anothers_is_recorded_by_itself() {
    let office = Office::open().await;
    let opening = || vec![an(E::DetentionAcknowledged).on("2024-01-01")];
    let (one, other) = (
        office.new_case(opening()).await,
        office.new_case(opening()).await,
    );
    // Somebody submits the release of one together with that of the other, as that one would stand
    // after events that have not happened.
    let release = || an(E::Released).on("2024-02-01");
    let mut condition = change(&other, vec![release()]);
    condition.expected = Some(Expected::ExactVersion(7));
    let both = submission(vec![change(&one, vec![release()]), condition]);
    let refused = office.refused_whole(both).await;
    assert_eq!(
        (refused.code, &*refused.reason),
        (Code::Aborted, "STALE_VERSION")
    );
    // It is that submission which was refused. Nothing of it is kept, and nothing waits: the person's
    // release is recorded whenever somebody reports it.
    office.record(&one, release()).await;
    let cases = [office.case(&one).await, office.case(&other).await];
    assert_eq!(confirmed(&cases[0]), v1::CaseStatus::DetentionReleased);
    assert_eq!(confirmed(&cases[1]), v1::CaseStatus::DetentionAcknowledged);
    // A change without an event of its own, which would be nothing but a condition, is malformed.
    let mut condition = change(&other, vec![]);
    condition.expected = Some(Expected::ExactVersion(1));
    let arrival = change(&one, vec![an(E::Arrived).on("2024-02-02")]);
    let request = submission(vec![arrival, condition]);
    let answer = office.client().cases().submit_events(request).await;
    assert_eq!(answer.unwrap_err().code(), Code::InvalidArgument);
    office.close().await;
}

/// Whatever an event can say of another case or of an event, by its fields' names. A new field that
/// names a case or an event has to be judged here.
#[test]
fn no_field_of_an_event_says_what_has_to_happen_first() {
    let known = [
        // What the case itself holds, or the record of it.
        "closing_event_id",
        "target_event_id",
        "dispute_event_id",
        "consent_event_id",
        "referral_event_id",
        "request_event_id",
        "follow_up_event_id",
        "staying_event_ids",
        "grant_event_id",
        "proposal_event_id",
        // What is said of another case, and binds neither.
        "other_case_id",
        "agreement_case_id",
        "candidate_case_id",
        "into_case_id",
    ];
    let conditions = [
        "condition",
        "precondition",
        "depends",
        "depend",
        "requires",
        "require",
        "required",
        "awaits",
        "await",
        "waits",
        "until",
        "unless",
        "exchange",
        "exchanged",
        "swap",
        "counterpart",
        "reciprocal",
        "reciprocity",
        "blocked",
        "blocks",
        "provided",
        "ratio",
    ];
    let messages = descriptor_pool();
    let messages = messages.all_messages();
    let event_files = |it: &prost_reflect::MessageDescriptor| {
        it.parent_file().name().ends_with("/event.proto") && !it.full_name().contains("Record")
    };
    let mut seen = 0;
    for message in messages.filter(event_files) {
        for field in message.fields() {
            let name = field.name().to_owned();
            let envelope = matches!(message.name(), "Event" | "Standing");
            if name.ends_with("_case_id") || name.contains("_event_id") {
                assert!(known.contains(&&*name), "{}.{name}", message.name());
                seen += 1;
            } else if !envelope {
                assert!(
                    !name.contains("case_id") && !name.contains("event_id"),
                    "{name}"
                );
            }
            for word in name.split('_') {
                let is_payload = word == "provided" && name == "information_provided";
                assert!(is_payload || !conditions.contains(&word), "{name}");
            }
        }
    }
    assert!(seen >= 20, "{seen}");
}

/// A merge is the one thing that two cases hold together: half of it is malformed, and it takes no
/// version but what its submission says itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_cases_hold_together_is_recorded_in_both_or_in_neither() {
    let office = Office::open().await;
    let opening = || vec![an(E::DetentionAcknowledged).on("2024-01-01")];
    let (one, other) = (
        office.new_case(opening()).await,
        office.new_case(opening()).await,
    );
    let merged = fact(Payload::CasesMerged(v1::CasesMerged {
        other_case_id: other.clone(),
        role: v1::MergeRole::Survivor.into(),
    }));
    let half = submission(vec![change(&one, vec![merged.clone()])]);
    let answer = office.client().cases().submit_events(half).await;
    assert_eq!(answer.unwrap_err().code(), Code::InvalidArgument);
    let (_, end) = opposite(&one, &merged).unwrap();
    let whole = |version: u64| {
        let mut there = change(&other, vec![end.clone()]);
        there.expected = Some(Expected::ExactVersion(version));
        submission(vec![change(&one, vec![merged.clone()]), there])
    };
    assert_eq!(office.refused_whole(whole(2)).await.reason, "STALE_VERSION");
    assert_eq!(office.case(&one).await.version, 1);
    office.submit(whole(1)).await;
    assert_eq!(office.case(&one).await.version, 2);
    office.close().await;
}
