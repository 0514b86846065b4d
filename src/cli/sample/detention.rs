//! Stories of detained people: alleged, acknowledged, visited, released in one way or another, or
//! still held.
//!
//! Each story takes only turns that the lifecycle allows: what the comments call held is the
//! status Acknowledged or Registered.

mod turns;

use self::turns::{
    acknowledged, acknowledgement, arrived, attestation, category, category_asserted,
    family_contact, listed, proceedings, proof_of_life, proof_of_life_alleged, released, scheduled,
    started, transferred, visited, wishes,
};
use super::history::CaseHistory;
use super::remains;
use super::world::{AUTHORITY, DOCUMENT, World};
use crate::wire::v1::event::Payload;
use crate::wire::v1::{
    AllegationDisproved, ArrivalDestination, CaseClosedReason, Credibility, DetentionAlleged,
    DetentionDenied, DiedInCustody, Escaped, HandoverCancelled, HandoverPostponed,
    HospitalAdmitted, PersonNotPresented, Place, ReleaseMode, Released, SourceConnection,
    WhereaboutsLost, WishesOutcome,
};

/// How a story goes.
#[derive(Clone, Copy)]
pub(super) enum Plot {
    HandedOver,
    ReleasedUnilaterally,
    ReleasedByCourt,
    Declined,
    Escaped,
    Died,
    Disproved,
    Lost,
    StillHeld,
}

/// The plots with the share of each in a hundred stories.
pub(super) const PLOTS: [(Plot, u32); 9] = [
    (Plot::HandedOver, 42),
    (Plot::ReleasedUnilaterally, 11),
    (Plot::ReleasedByCourt, 6),
    (Plot::Declined, 6),
    (Plot::Escaped, 4),
    (Plot::Died, 5),
    (Plot::Disproved, 5),
    (Plot::Lost, 9),
    (Plot::StillHeld, 12),
];

/// Tells a story from its first event to its last.
pub(super) fn tell(world: &mut World, plot: Plot) {
    let mut case = CaseHistory::begin(world);
    world.known_detention = Some(case.case_id.clone());
    match plot {
        Plot::Disproved => disproved(world, &mut case),
        _ => {
            open(world, &mut case);
            while_held(world, &mut case);
            match plot {
                Plot::HandedOver => handed_over(world, &mut case),
                Plot::ReleasedUnilaterally => released_unilaterally(world, &mut case),
                Plot::ReleasedByCourt => released_by_court(world, &mut case),
                Plot::Declined => declined(world, &mut case),
                Plot::Escaped => escaped(world, &mut case),
                Plot::Died => died(world, &mut case),
                Plot::Lost => lost(world, &mut case),
                Plot::Disproved | Plot::StillHeld => {}
            }
        }
    }
    case.submit(world);
}

/// The case is opened, by an allegation or by an authority; afterwards the person is held.
fn open(world: &mut World, case: &mut CaseHistory) {
    if world.sometimes(78) {
        open_by_allegation(world, case);
        if world.sometimes(25) {
            proof_of_life_alleged(world, case);
        }
        let denial = world.sometimes(9).then(|| {
            let authority = world.reference(AUTHORITY);
            case.confirmed(
                world,
                Payload::DetentionDenied(DetentionDenied { authority }),
            )
        });
        if world.sometimes(75) {
            acknowledged(world, case);
        } else {
            visited(world, case);
        }
        if let Some(denial) = denial {
            case.resolve(world, denial);
        }
    } else {
        let payload = acknowledgement(world);
        case.opened(
            world,
            SourceConnection::Official,
            Credibility::Confirmed,
            payload,
        );
    }
}

fn open_by_allegation(world: &mut World, case: &mut CaseHistory) {
    if world.by_chance(10) {
        case.place = Place {
            unknown: true,
            ..Place::default()
        };
    }
    let payload = Payload::DetentionAlleged(DetentionAlleged {
        category: category(world).into(),
        place: Some(case.place.clone()),
    });
    let credibility = world.doubt();
    case.opened(world, SourceConnection::Relative, credibility, payload);
    if case.place.unknown {
        case.place = world.place();
    }
}

/// What may happen to a person who is held, and who is held afterwards.
fn while_held(world: &mut World, case: &mut CaseHistory) {
    if world.sometimes(62) {
        visited(world, case);
    }
    if world.sometimes(35) {
        category_asserted(world, case);
    }
    if world.sometimes(14) {
        rumour_of_release(world, case);
    }
    for _ in 0..2 {
        if world.sometimes(22) {
            transferred(world, case);
        }
    }
    if world.sometimes(12) {
        let payload = HospitalAdmitted {
            place: Some(world.place_near(&case.place)),
        };
        case.confirmed(world, Payload::HospitalAdmitted(payload));
    }
    if world.sometimes(9) {
        proceedings(world, case);
    }
    if world.sometimes(22) {
        let payload = proof_of_life(world, case);
        case.late(world, payload);
    }
    if world.sometimes(18) {
        family_contact(world, case);
    }
}

fn handed_over(world: &mut World, case: &mut CaseHistory) {
    listed(world, case);
    if world.by_chance(50) {
        wishes(world, case, WishesOutcome::Return);
    }
    scheduled(world, case);
    if world.sometimes(24) {
        let reason = world.reason();
        case.confirmed(
            world,
            Payload::HandoverPostponed(HandoverPostponed { reason }),
        );
        scheduled(world, case);
    }
    if world.sometimes(12) {
        let reason = world.reason();
        case.confirmed(
            world,
            Payload::PersonNotPresented(PersonNotPresented { reason }),
        );
        scheduled(world, case);
    }
    if world.sometimes(8) {
        let reason = world.reason();
        case.confirmed(
            world,
            Payload::HandoverCancelled(HandoverCancelled { reason }),
        );
        scheduled(world, case);
    }
    let outcome = world.pick([
        WishesOutcome::Return,
        WishesOutcome::Return,
        WishesOutcome::Return,
        WishesOutcome::ReturnElsewhere,
    ]);
    wishes(world, case, outcome);
    started(world, case);
    if world.sometimes(5) {
        // Under way already, and put off once more.
        let reason = world.reason();
        case.confirmed(
            world,
            Payload::HandoverPostponed(HandoverPostponed { reason }),
        );
        scheduled(world, case);
        started(world, case);
    }
    if world.sometimes(80) {
        let mode = world.pick([ReleaseMode::Handover, ReleaseMode::ExchangeOfLists]);
        released(world, case, mode);
    }
    let destination = match outcome {
        WishesOutcome::ReturnElsewhere => ArrivalDestination::Elsewhere,
        _ => world.pick([
            ArrivalDestination::OwnCountry,
            ArrivalDestination::Residence,
        ]),
    };
    let arrival = arrived(world, case, destination);
    if world.sometimes(4) {
        case.reopen(world, arrival);
        arrived(world, case, destination);
    }
    afterwards(world, case);
}

fn released_unilaterally(world: &mut World, case: &mut CaseHistory) {
    if world.sometimes(40) {
        listed(world, case);
    }
    released(world, case, ReleaseMode::Unilateral);
    if world.sometimes(80) {
        arrived(world, case, ArrivalDestination::Residence);
    }
    afterwards(world, case);
}

fn released_by_court(world: &mut World, case: &mut CaseHistory) {
    proceedings(world, case);
    released(world, case, ReleaseMode::Court);
    arrived(world, case, ArrivalDestination::Residence);
    afterwards(world, case);
}

/// Someone who does not want to return is not handed over.
fn declined(world: &mut World, case: &mut CaseHistory) {
    listed(world, case);
    wishes(world, case, WishesOutcome::Decline);
    if world.sometimes(60) {
        scheduled(world, case);
        let reason = crate::wire::v1::ReasonCode::DecisionOfPerson.into();
        case.confirmed(
            world,
            Payload::HandoverCancelled(HandoverCancelled { reason }),
        );
    }
    if world.sometimes(70) {
        released(world, case, ReleaseMode::Other);
        arrived(world, case, ArrivalDestination::Elsewhere);
        afterwards(world, case);
    } else {
        case.close(world, CaseClosedReason::Requested);
    }
}

fn escaped(world: &mut World, case: &mut CaseHistory) {
    case.confirmed(world, Payload::Escaped(Escaped {}));
    afterwards(world, case);
}

/// A death in custody; the remains are a case of their own, which a case worker opens.
fn died(world: &mut World, case: &mut CaseHistory) {
    let payload = DiedInCustody {
        place: Some(case.place.clone()),
        certifying_body: world.reference(AUTHORITY),
    };
    let death = case.confirmed(world, Payload::DiedInCustody(payload));
    if world.sometimes(50)
        && let Some(mut linked) = case.begin_linked(world, &death)
    {
        remains::recovered(world, &mut linked, true);
        case.submit_with(world, &mut linked);
        remains::go_on(world, linked);
    }
    if world.sometimes(30) {
        attestation(world, case);
    }
}

/// The allegation proves unfounded; in some cases that proves wrong in its turn.
fn disproved(world: &mut World, case: &mut CaseHistory) {
    open_by_allegation(world, case);
    if world.sometimes(50) {
        proof_of_life_alleged(world, case);
    }
    if world.sometimes(30) {
        category_asserted(world, case);
    }
    let evidence_reference = world.reference(DOCUMENT);
    let payload = Payload::AllegationDisproved(AllegationDisproved { evidence_reference });
    let disproval = case.confirmed(world, payload);
    if world.sometimes(20) {
        case.reopen(world, disproval);
        acknowledged(world, case);
        while_held(world, case);
    }
}

fn lost(world: &mut World, case: &mut CaseHistory) {
    let payload = WhereaboutsLost {
        last_confirmed_place: Some(case.place.clone()),
    };
    case.confirmed(world, Payload::WhereaboutsLost(payload));
    if world.sometimes(30) {
        rumour_alone(world, case);
    }
    if world.sometimes(40) {
        let closing = case.close(world, CaseClosedReason::NoFurtherActionPossible);
        if !world.sometimes(40) {
            return;
        }
        case.reopen(world, closing);
    }
    if world.sometimes(50) {
        acknowledged(world, case);
    } else {
        visited(world, case);
    }
    released_unilaterally(world, case);
}

/// What may follow a release or an end.
fn afterwards(world: &mut World, case: &mut CaseHistory) {
    if world.sometimes(40) {
        attestation(world, case);
    }
    if world.sometimes(30) {
        family_contact(world, case);
    }
}

/// Someone tells of a release, and then a visit sees the person held: the case is contested.
fn rumour_of_release(world: &mut World, case: &mut CaseHistory) {
    let rumour = rumour_alone(world, case);
    visited(world, case);
    if world.sometimes(60) {
        case.verify(world, rumour, Credibility::Unlikely);
    }
}

fn rumour_alone(world: &mut World, case: &mut CaseHistory) -> String {
    let payload = Payload::Released(Released {
        mode: ReleaseMode::Unilateral.into(),
    });
    case.alleged(world, payload)
}
