//! Stories of remains: reported, recovered, examined, identified or buried without a name, and
//! returned.

use super::history::CaseHistory;
use super::world::{AUTHORITY, DOCUMENT, LABEL, TEAM, World};
use crate::wire::v1::event::Payload;
use crate::wire::v1::{
    BuriedUnidentified, CaseClosedReason, Completeness, Credibility, CustodyTransferred,
    ExaminationStarted, FamilyInformed, FamilyWishesRecorded, FinalDispositionRecorded,
    FoundNonHuman, HandedOverToFamily, IdentificationEstablished, IdentificationMethod,
    IdentificationRevoked, LaterFindsWish, MatchExcluded, MatchHypothesised, PostMortemCompleted,
    RemainsReassociated, RemainsRecovered, RemainsReported, RemainsSplit, ReturnedToParty,
    RevocationReason, SampleResult, SampleResultReceived, SampleTaken, SourceConnection,
};

/// How a story goes.
#[derive(Clone, Copy)]
pub(super) enum Plot {
    Identified,
    RevokedAfterHandover,
    Buried,
    Unidentified,
    NonHuman,
    Reassociated,
    ReportedOnly,
}

/// The plots with the share of each in a hundred stories.
pub(super) const PLOTS: [(Plot, u32); 7] = [
    (Plot::Identified, 50),
    (Plot::RevokedAfterHandover, 5),
    (Plot::Buried, 14),
    (Plot::Unidentified, 12),
    (Plot::NonHuman, 6),
    (Plot::Reassociated, 6),
    (Plot::ReportedOnly, 7),
];

/// Tells a story from its first event to its last.
pub(super) fn tell(world: &mut World, plot: Plot) {
    let mut case = CaseHistory::begin(world);
    let reported = matches!(plot, Plot::ReportedOnly) || world.sometimes(55);
    if reported {
        let payload = Payload::RemainsReported(RemainsReported {
            site: Some(case.place.clone()),
        });
        let credibility = world.doubt();
        case.opened(world, SourceConnection::Witness, credibility, payload);
    }
    if matches!(plot, Plot::ReportedOnly) {
        reported_only(world, &mut case);
    } else {
        recovered(world, &mut case, !reported);
        tell_recovered(world, &mut case, plot);
    }
    case.submit(world);
    world.known_remains = Some(case.case_id);
}

/// Goes on with remains whose recovery is recorded already, as the first event of a case that
/// another one brought about.
pub(super) fn go_on(world: &mut World, mut case: CaseHistory) {
    let thorough = std::mem::replace(&mut world.thorough, false);
    let plot = world.weighted(
        &[
            (Plot::Identified, 60),
            (Plot::Unidentified, 25),
            (Plot::Buried, 15),
        ],
        Plot::Identified,
    );
    tell_recovered(world, &mut case, plot);
    case.submit(world);
    world.thorough = thorough;
}

/// The recovery: the first event of a case, or one that follows a report.
pub(super) fn recovered(world: &mut World, case: &mut CaseHistory, opens: bool) {
    use Completeness as C;
    let completeness = world
        .pick([C::Complete, C::Partial, C::Partial, C::Commingled])
        .into();
    let payload = Payload::RemainsRecovered(RemainsRecovered {
        label: world.reference(LABEL),
        site: Some(case.place.clone()),
        recovering_team: world.reference(TEAM),
        completeness,
    });
    if opens {
        case.opened(
            world,
            SourceConnection::OwnStaff,
            Credibility::Confirmed,
            payload,
        );
    } else {
        case.confirmed(world, payload);
    }
}

fn tell_recovered(world: &mut World, case: &mut CaseHistory, plot: Plot) {
    if world.sometimes(65) {
        custody(world, case);
    }
    match plot {
        Plot::NonHuman => {
            if world.sometimes(60) {
                examination(world, case);
            }
            let examiner = world.reference(TEAM);
            case.confirmed(world, Payload::FoundNonHuman(FoundNonHuman { examiner }));
            return;
        }
        Plot::Reassociated => return reassociated(world, case),
        _ => examined(world, case),
    }
    match plot {
        Plot::Buried => buried(world, case),
        Plot::Unidentified => {
            if world.sometimes(40) {
                hypothesised(world, case);
                excluded(world, case);
            }
        }
        _ => {
            identified(world, case);
            if world.sometimes(6) {
                revoked(world, case);
                identified(world, case);
            }
            given_back(world, case);
            if matches!(plot, Plot::RevokedAfterHandover) {
                revoked(world, case);
                if world.sometimes(60) {
                    identified(world, case);
                    given_back(world, case);
                }
            }
        }
    }
}

fn reported_only(world: &mut World, case: &mut CaseHistory) {
    if world.sometimes(40) {
        // A second voice claims a recovery that nobody has confirmed.
        let payload = RemainsRecovered {
            label: world.reference(LABEL),
            site: Some(case.place.clone()),
            recovering_team: world.reference(TEAM),
            completeness: Completeness::Partial.into(),
        };
        case.alleged(world, Payload::RemainsRecovered(payload));
    }
    if world.sometimes(50) {
        let closing = case.close(world, CaseClosedReason::NoFurtherActionPossible);
        if world.sometimes(30) {
            case.reopen(world, closing);
            recovered(world, case, false);
            custody(world, case);
            examined(world, case);
        }
    }
}

fn examination(world: &mut World, case: &mut CaseHistory) {
    let examiner = world.reference(TEAM);
    case.confirmed(
        world,
        Payload::ExaminationStarted(ExaminationStarted { examiner }),
    );
}

/// Examined and unidentified; in some cases several people's remains are told apart.
fn examined(world: &mut World, case: &mut CaseHistory) {
    if world.sometimes(75) {
        examination(world, case);
    }
    let samples = 1 + world.below(2);
    for _ in 0..samples {
        if world.sometimes(55) {
            sample(world, case);
        }
    }
    let minimum = if world.by_chance(80) {
        1
    } else {
        2 + world.below(3)
    };
    let payload = PostMortemCompleted {
        examiner: world.reference(TEAM),
        form_reference: world.reference(DOCUMENT),
        minimum_number_of_individuals: minimum,
    };
    case.confirmed(world, Payload::PostMortemCompleted(payload));
    if world.sometimes(if minimum > 1 { 50 } else { 0 }) {
        split(world, case);
    }
}

fn split(world: &mut World, case: &mut CaseHistory) {
    let labels = vec![world.reference(LABEL), world.reference(LABEL)];
    let basis = world
        .pick([IdentificationMethod::Dna, IdentificationMethod::Medical])
        .into();
    let payload = Payload::RemainsSplit(RemainsSplit { labels, basis });
    let split = case.confirmed(world, payload);
    if let Some(mut linked) = case.begin_linked(world, &split) {
        recovered(world, &mut linked, true);
        case.submit_with(world, &mut linked);
        go_on(world, linked);
    }
}

fn reassociated(world: &mut World, case: &mut CaseHistory) {
    examined(world, case);
    let into_case_id = match &world.known_remains {
        Some(case_id) => case_id.clone(),
        None => world.uuid(super::world::LAST_DAY),
    };
    let basis = IdentificationMethod::Dna.into();
    let payload = RemainsReassociated {
        into_case_id,
        basis,
    };
    case.confirmed(world, Payload::RemainsReassociated(payload));
}

fn custody(world: &mut World, case: &mut CaseHistory) {
    let payload = CustodyTransferred {
        from_custodian: world.reference(TEAM),
        to_custodian: world.reference(AUTHORITY),
        seal: world.reference(LABEL),
        receipt: world.reference(DOCUMENT),
    };
    let transfer = case.confirmed(world, Payload::CustodyTransferred(payload));
    if world.sometimes(4) {
        case.dispute(world, transfer);
    }
}

fn sample(world: &mut World, case: &mut CaseHistory) {
    use SampleResult as R;
    let barcode = world.reference(LABEL);
    case.confirmed(
        world,
        Payload::SampleTaken(SampleTaken {
            barcode: barcode.clone(),
        }),
    );
    if world.sometimes(80) {
        let result = world
            .pick([R::Profile, R::Profile, R::Partial, R::NoProfile])
            .into();
        let payload = SampleResultReceived { barcode, result };
        case.confirmed(world, Payload::SampleResultReceived(payload));
    }
}

fn method(world: &mut World) -> IdentificationMethod {
    use IdentificationMethod as M;
    world.pick([M::Fingerprint, M::Dental, M::Dna, M::Dna])
}

fn hypothesised(world: &mut World, case: &mut CaseHistory) {
    let candidate_case_id = match &world.known_detention {
        Some(case_id) => case_id.clone(),
        None => world.uuid(super::world::LAST_DAY),
    };
    let payload = MatchHypothesised {
        candidate_case_id,
        method: method(world).into(),
    };
    case.confirmed(world, Payload::MatchHypothesised(payload));
}

fn excluded(world: &mut World, case: &mut CaseHistory) {
    let payload = MatchExcluded {
        method: method(world).into(),
    };
    case.confirmed(world, Payload::MatchExcluded(payload));
}

/// Identified, after a hypothesis that holds and perhaps one that does not.
fn identified(world: &mut World, case: &mut CaseHistory) {
    use IdentificationMethod as M;
    if world.sometimes(15) {
        hypothesised(world, case);
        excluded(world, case);
    }
    if world.sometimes(70) {
        hypothesised(world, case);
    }
    let secondary = world.by_chance(15);
    let methods: Vec<i32> = if secondary {
        vec![
            M::PersonalEffects.into(),
            world.pick([M::Medical, M::Marks, M::Circumstances]).into(),
        ]
    } else if world.by_chance(30) {
        vec![M::Dna.into(), M::Dental.into()]
    } else {
        vec![method(world).into()]
    };
    let secondary_combination_reference = if secondary {
        world.reference(DOCUMENT)
    } else {
        String::new()
    };
    let payload = IdentificationEstablished {
        authority: world.reference(AUTHORITY),
        methods,
        secondary_combination_reference,
        report_reference: world.reference(DOCUMENT),
        ..IdentificationEstablished::default()
    };
    case.confirmed(world, Payload::IdentificationEstablished(payload));
}

fn revoked(world: &mut World, case: &mut CaseHistory) {
    use RevocationReason as R;
    let reason = world
        .pick([
            R::NewExamination,
            R::SamplesConfused,
            R::PersonFound,
            R::Documents,
            R::Other,
        ])
        .into();
    let payload = IdentificationRevoked {
        authority: world.reference(AUTHORITY),
        reason,
        evidence_reference: world.reference(DOCUMENT),
    };
    case.confirmed(world, Payload::IdentificationRevoked(payload));
}

/// What follows an identification, up to the grave.
fn given_back(world: &mut World, case: &mut CaseHistory) {
    if world.sometimes(75) {
        let date = case.today();
        case.confirmed(world, Payload::FamilyInformed(FamilyInformed { date }));
    }
    if world.sometimes(35) {
        use LaterFindsWish as W;
        let wish = world.pick([W::TellEach, W::TellAtEnd, W::DoNotTell]).into();
        let payload = FamilyWishesRecorded {
            wish_on_later_finds: wish,
        };
        case.confirmed(world, Payload::FamilyWishesRecorded(payload));
    }
    if world.sometimes(30) {
        let payload = ReturnedToParty {
            receiving_body: world.reference(AUTHORITY),
            receipt: world.reference(DOCUMENT),
        };
        case.confirmed(world, Payload::ReturnedToParty(payload));
    }
    if world.sometimes(65) {
        let receipt = world.reference(DOCUMENT);
        case.confirmed(
            world,
            Payload::HandedOverToFamily(HandedOverToFamily { receipt }),
        );
    }
    if world.sometimes(55) {
        let payload = FinalDispositionRecorded {
            place_reference: world.reference(DOCUMENT),
        };
        case.confirmed(world, Payload::FinalDispositionRecorded(payload));
    }
}

/// Buried without a name; in some cases exhumed later and identified.
fn buried(world: &mut World, case: &mut CaseHistory) {
    let payload = BuriedUnidentified {
        grave_reference: world.reference(LABEL),
        marker: world.reference(LABEL),
    };
    case.confirmed(world, Payload::BuriedUnidentified(payload));
    if world.sometimes(40) {
        examination(world, case);
        sample(world, case);
        let payload = PostMortemCompleted {
            examiner: world.reference(TEAM),
            form_reference: world.reference(DOCUMENT),
            minimum_number_of_individuals: 1,
        };
        case.confirmed(world, Payload::PostMortemCompleted(payload));
        identified(world, case);
        given_back(world, case);
    }
}
