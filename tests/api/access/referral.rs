//! A case that is referred or transferred to another organisation: who may record what in it, and whose
//! personal data may be opened there.

use casetrail::wire::v1::{
    self, ConsentRecorded, ConsentWithdrawn, Event, EventType as E, FollowUpCompleted,
    PersonalClass as Class, ReferralAccepted, ReferralCompleted, ReferralOffered, ReferralRejected,
    ReferralRevoked, Role, Service, event::Payload,
};
use tonic::Code;

use super::scope::{is_not_permitted, offered_to, opened, record, transferred_to};
use super::world::{Caller, World, reason};
use crate::practice::words::{Telling, an, corrected, fact, linked, retracted};

/// An answer to a referral, or its end.
pub fn of_referral(event: E, referral: &str) -> Event {
    let referral_event_id = referral.to_owned();
    let reason = v1::ReasonCode::Other.into();
    let payload = match event {
        E::ReferralAccepted => Payload::ReferralAccepted(ReferralAccepted { referral_event_id }),
        E::ReferralCompleted => Payload::ReferralCompleted(ReferralCompleted { referral_event_id }),
        E::ReferralRejected => Payload::ReferralRejected(ReferralRejected {
            referral_event_id,
            reason,
        }),
        _ => Payload::ReferralRevoked(ReferralRevoked {
            referral_event_id,
            reason,
        }),
    };
    fact(payload).on("2024-05-01")
}

/// A case of one organisation, and those who are at work on it and beside it.
struct Scene {
    world: World,
    owner: Caller,
    partner: Caller,
    third: Caller,
    case: String,
}

impl Scene {
    async fn open() -> Self {
        let world = World::start().await;
        let owner = world.caller("owner", Role::Supervisor, "org-1").await;
        let partner = world.caller("partner", Role::Supervisor, "org-2").await;
        let third = world.caller("third", Role::Supervisor, "org-3").await;
        let case = opened(&owner, an(E::DetentionAcknowledged).on("2024-03-01")).await;
        Self {
            world,
            owner,
            partner,
            third,
            case,
        }
    }

    async fn by(&self, who: &Caller, event: Event) -> String {
        record(who, &self.case, event).await.unwrap()
    }

    async fn not_by(&self, who: &Caller, event: Event) {
        is_not_permitted(record(who, &self.case, event).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_a_case_is_offered_reads_it_and_answers_and_records_nothing_else() {
    let scene = Scene::open().await;
    let Scene {
        owner,
        partner,
        third,
        case,
        ..
    } = &scene;
    let offer = scene.by(owner, offered_to("org-2")).await;
    let other_offer = scene.by(owner, offered_to("org-3")).await;
    assert_eq!(partner.get(case).await.unwrap().version, 3);
    for event in [
        an(E::VisitedAndRegistered).on("2024-03-02"),
        an(E::NoteRecorded),
        an(E::FollowUpScheduled),
        an(E::DiedInCustody).on("2024-03-02"),
        an(E::DiedInCustody).rumoured().on("2024-03-02"),
        offered_to("org-3"),
        transferred_to("org-2"),
        of_referral(E::ReferralCompleted, &offer),
        of_referral(E::ReferralRevoked, &offer),
        an(E::ConsentRecorded),
        retracted(&offer),
    ] {
        scene.not_by(partner, event).await;
    }
    // An answer is the recipient's: not the owner's, and not another recipient's.
    for (who, referral) in [(owner, &offer), (third, &offer), (partner, &other_offer)] {
        for answer in [E::ReferralAccepted, E::ReferralRejected] {
            scene.not_by(who, of_referral(answer, referral)).await;
        }
    }
    // One who ends the referral in a submission records nothing behind it.
    let rejected = of_referral(E::ReferralRejected, &other_offer);
    let both = vec![rejected, an(E::NoteRecorded)];
    let both = crate::together::submission(vec![crate::together::change(case, both)]);
    assert_eq!(
        reason(&third.submit(both).await.unwrap_err()),
        "EVENT_NOT_PERMITTED"
    );
    let rejected = of_referral(E::ReferralRejected, &other_offer);
    scene.by(third, rejected).await;
    assert_eq!(third.get(case).await.unwrap_err().code(), Code::NotFound);
    let accepted = of_referral(E::ReferralAccepted, &offer);
    scene.by(partner, accepted).await;
    // Revoked, it is out of sight.
    scene
        .by(owner, of_referral(E::ReferralRevoked, &offer))
        .await;
    assert_eq!(partner.get(case).await.unwrap_err().code(), Code::NotFound);
    scene.world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_that_accepted_works_on_a_case_and_leaves_what_is_the_owners() {
    let scene = Scene::open().await;
    let Scene {
        owner,
        partner,
        case,
        ..
    } = &scene;
    let visit = an(E::VisitedAndRegistered).on("2024-03-02");
    let visit = scene.by(owner, visit).await;
    let offer = scene.by(owner, offered_to("org-2")).await;
    let accepted = of_referral(E::ReferralAccepted, &offer);
    scene.by(partner, accepted).await;
    for event in [
        an(E::CaseClosed),
        an(E::CaseReopened),
        an(E::ClosureProposed),
        retracted(&visit),
        offered_to("org-3"),
        of_referral(E::ReferralRevoked, &offer),
        transferred_to("org-2"),
        an(E::ConsentRecorded),
        an(E::ConsentWithdrawn),
        an(E::CaseCovered),
        an(E::CaseUncovered),
        an(E::ErasureRequested),
        an(E::ErasureExecuted),
        an(E::ErasureRefused),
        an(E::DiedInCustody).on("2024-03-09"),
        // A death is not confirmed in the place of something else either.
        corrected(&visit, an(E::DiedInCustody).on("2024-03-09")),
    ] {
        scene.not_by(partner, event).await;
    }
    let own = opened(partner, an(E::DetentionAcknowledged).on("2024-03-01")).await;
    for (survivor, merged) in [(&own, case), (case, &own)] {
        let status = partner
            .submit(crate::together::merge(survivor, merged))
            .await;
        assert_eq!(reason(&status.unwrap_err()), "EVENT_NOT_PERMITTED");
    }
    scene
        .by(partner, an(E::VisitedAndRegistered).on("2024-03-04"))
        .await;
    scene.by(partner, an(E::NoteRecorded)).await;
    let due = scene.by(partner, an(E::FollowUpScheduled)).await;
    let completed = Payload::FollowUpCompleted(FollowUpCompleted {
        follow_up_event_id: due,
    });
    scene.by(partner, fact(completed)).await;
    scene
        .by(partner, linked(&own, v1::LinkType::EvidenceFor))
        .await;
    let correction = corrected(&visit, an(E::VisitedAndRegistered).on("2024-03-03"));
    scene.by(partner, correction).await;
    let death = an(E::DiedInCustody).rumoured().on("2024-03-09");
    let death = scene.by(partner, death).await;
    // What the owner confirmed of a death the partner does not take back.
    let raised = |credibility: v1::Credibility| {
        fact(Payload::VerificationChanged(v1::VerificationChanged {
            target_event_id: death.clone(),
            credibility: credibility.into(),
        }))
        .on("2024-05-02")
    };
    scene
        .not_by(partner, raised(v1::Credibility::Confirmed))
        .await;
    scene.by(owner, raised(v1::Credibility::Confirmed)).await;
    for event in [
        raised(v1::Credibility::Unlikely),
        corrected(&death, an(E::ProofOfLifeReceived).on("2024-03-09")),
    ] {
        scene.not_by(partner, event).await;
    }
    let completed = of_referral(E::ReferralCompleted, &offer);
    scene.by(partner, completed).await;
    assert_eq!(partner.get(case).await.unwrap_err().code(), Code::NotFound);
    scene.world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_is_transferred_by_whom_it_was_transferred_to_last() {
    let scene = Scene::open().await;
    let Scene {
        owner,
        partner,
        third,
        case,
        ..
    } = &scene;
    let transfer = scene.by(owner, transferred_to("org-2")).await;
    scene.not_by(owner, transferred_to("org-3")).await;
    // It is the other organisation's now, which may do with it what its roles may,
    scene.by(partner, an(E::ConsentRecorded)).await;
    scene.by(partner, offered_to("org-3")).await;
    scene.not_by(third, transferred_to("org-3")).await;
    scene.by(partner, transferred_to("org-3")).await;
    assert_eq!(partner.get(case).await.unwrap_err().code(), Code::NotFound);
    scene.by(third, transferred_to("org-2")).await;
    // and one that was a mistake is retracted, by the owner too.
    scene.by(owner, retracted(&transfer)).await;
    scene.world.end().await;
}

fn consent(service: Service, recipient: &str, withheld: &[Class]) -> Event {
    fact(Payload::ConsentRecorded(ConsentRecorded {
        purpose: service.into(),
        recipients: vec![recipient.to_owned()],
        withheld_classes: withheld.iter().map(|class| i32::from(*class)).collect(),
    }))
    .on("2024-03-20")
}

fn offered_by(consent: &str) -> Event {
    fact(Payload::ReferralOffered(ReferralOffered {
        recipient: "org-2".to_owned(),
        service: Service::Tracing.into(),
        consent_event_id: consent.to_owned(),
    }))
    .on("2024-04-01")
}

/// How many values are opened, and how many withheld.
async fn opens(caller: &Caller, case: &str) -> (usize, u32) {
    let told = super::personal::personal(caller, case).await.unwrap();
    (told.entries.len(), told.withheld)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_referral_opens_the_classes_to_which_its_consent_extends() {
    let world = World::start().await;
    let owner = world.caller("owner", Role::CaseWorker, "org-1").await;
    let partner = world.caller("partner", Role::CaseWorker, "org-2").await;
    let (tracing, health) = (Service::Tracing, Service::Health);
    for (recorded, expected) in [
        (None, (0, 2)),
        (Some(consent(tracing, "org-2", &[])), (2, 0)),
        (Some(consent(tracing, "org-2", &[Class::Narrative])), (1, 1)),
        (Some(consent(tracing, "org-2", &[Class::Identity])), (1, 1)),
        (Some(consent(tracing, "org-3", &[])), (0, 2)),
        (Some(consent(health, "org-2", &[])), (0, 2)),
    ] {
        let subject = crate::support::fresh_uuid().to_string();
        let acknowledged = an(E::DetentionAcknowledged).on("2024-03-01");
        let case = super::personal::opened_about(&owner, acknowledged, &subject).await;
        let consent = match recorded {
            Some(event) => record(&owner, &case, event).await.unwrap(),
            None => String::new(),
        };
        record(&owner, &case, offered_by(&consent)).await.unwrap();
        assert_eq!(opens(&partner, &case).await, expected);
        assert_eq!(opens(&owner, &case).await, (2, 0));
        if consent.is_empty() {
            continue;
        }
        // One that is withdrawn opens nothing any longer.
        let withdrawn = Payload::ConsentWithdrawn(ConsentWithdrawn {
            consent_event_id: consent,
        });
        record(&owner, &case, fact(withdrawn)).await.unwrap();
        assert_eq!(opens(&partner, &case).await, (0, 2));
        // Where the case is transferred to it, it is its own.
        record(&owner, &case, transferred_to("org-2"))
            .await
            .unwrap();
        assert_eq!(opens(&partner, &case).await, (2, 0));
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_found_by_a_referral_only_where_its_consent_opens_it() {
    let world = World::start().await;
    let owner = world.caller("owner", Role::CaseWorker, "org-1").await;
    let partner = world.caller("partner", Role::CaseWorker, "org-2").await;
    let mut shown = Vec::new();
    for withheld in [&[][..], &[Class::Identity]] {
        let subject = crate::support::fresh_uuid().to_string();
        let values = vec![super::names::named(
            &subject,
            &[("Mirela", ""), ("Zrno", "")],
        )];
        let (case, _) = super::names::opened(&owner, values).await;
        let consent = consent(Service::Tracing, "org-2", withheld);
        let consent = record(&owner, &case, consent).await.unwrap();
        record(&owner, &case, offered_by(&consent)).await.unwrap();
        if withheld.is_empty() {
            shown.push(subject);
        }
    }
    let found = super::names::found(&partner, &["Zrno"]).await;
    let found: Vec<_> = found.into_iter().map(|(subject, _)| subject).collect();
    assert_eq!(found, shown);
    assert_eq!(super::names::found(&owner, &["Zrno"]).await.len(), 2);
    world.end().await;
}

#[tokio::test]
async fn an_identifier_out_of_sight_is_told_alike_whatever_is_recorded_of_it() {
    let scene = Scene::open().await;
    let none = crate::support::fresh_uuid().to_string();
    for event in [E::CaseTransferred, E::ReferralAccepted, E::EventCorrected] {
        let theirs = record(&scene.third, &scene.case, an(event)).await;
        let nobodys = record(&scene.third, &none, an(event)).await;
        let (theirs, nobodys) = (theirs.unwrap_err(), nobodys.unwrap_err());
        assert_eq!(
            (theirs.code(), reason(&theirs)),
            (nobodys.code(), reason(&nobodys))
        );
    }
    scene.world.end().await;
}
