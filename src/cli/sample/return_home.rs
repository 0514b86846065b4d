//! Stories of displaced households: going home in an organised way or by their own means, staying,
//! settling elsewhere, or displaced again.

use super::history::CaseHistory;
use super::world::{OPERATION, World};
use crate::wire::v1::event::Payload;
use crate::wire::v1::{
    CaseClosedReason, Credibility, Departed, DisplacementDriver, DisplacementRegistered,
    GoAndSeeVisitHeld, HouseholdSplit, InformationProvided, IntentionOption, IntentionRecorded,
    LastMemberDied, ReDisplaced, ReturnArrived, ReturnCancelled, ReturnMonitored, ReturnPostponed,
    ReturnScheduled, ReturnWithdrawn, SolutionAssessed, SolutionMethod, SourceConnection,
    SpontaneousReturn, TurnedBack, VoluntarinessConfirmed,
};

/// How a story goes.
#[derive(Clone, Copy)]
pub(super) enum Plot {
    Returned,
    ReDisplaced,
    Spontaneous,
    IntegratedLocally,
    SettledElsewhere,
    Withdrawn,
    Died,
    StillDisplaced,
}

/// The plots with the share of each in a hundred stories.
pub(super) const PLOTS: [(Plot, u32); 8] = [
    (Plot::Returned, 48),
    (Plot::ReDisplaced, 10),
    (Plot::Spontaneous, 12),
    (Plot::IntegratedLocally, 8),
    (Plot::SettledElsewhere, 6),
    (Plot::Withdrawn, 7),
    (Plot::Died, 3),
    (Plot::StillDisplaced, 6),
];

/// Tells a story from its first event to its last.
pub(super) fn tell(world: &mut World, plot: Plot) {
    let mut case = CaseHistory::begin(world);
    registered(world, &mut case);
    tell_registered(world, &mut case, plot);
    case.submit(world);
}

fn tell_registered(world: &mut World, case: &mut CaseHistory, plot: Plot) {
    if world.sometimes(35) {
        intends(world, case, IntentionOption::Undecided);
    }
    if world.sometimes(45) {
        conditions(world, case, false);
    }
    if world.sometimes(10) {
        split(world, case);
    }
    match plot {
        Plot::Returned => {
            prepared(world, case);
            travelled(world, case);
            lived_there(world, case);
        }
        Plot::ReDisplaced => {
            prepared(world, case);
            travelled(world, case);
            monitored(world, case, false);
            displaced_again(world, case);
        }
        Plot::Spontaneous => spontaneous(world, case),
        Plot::IntegratedLocally => stayed(world, case, IntentionOption::IntegrateLocally),
        Plot::SettledElsewhere => stayed(world, case, IntentionOption::SettleElsewhere),
        Plot::Withdrawn => {
            prepared(world, case);
            let reason = world.reason();
            let payload = Payload::ReturnWithdrawn(ReturnWithdrawn { reason });
            let withdrawal = case.confirmed(world, payload);
            if world.sometimes(15) {
                case.reopen(world, withdrawal);
                travelled(world, case);
            }
        }
        Plot::Died => {
            if world.sometimes(50) {
                informed(world, case);
            }
            case.confirmed(world, Payload::LastMemberDied(LastMemberDied {}));
        }
        Plot::StillDisplaced => {
            if world.sometimes(30) {
                case.close(world, CaseClosedReason::OutsideMandate);
            }
        }
    }
}

/// A household that an event of another one brought about.
fn go_on(world: &mut World, mut case: CaseHistory) {
    let thorough = std::mem::replace(&mut world.thorough, false);
    let plot = world.weighted(
        &[
            (Plot::Returned, 50),
            (Plot::StillDisplaced, 30),
            (Plot::IntegratedLocally, 20),
        ],
        Plot::Returned,
    );
    tell_registered(world, &mut case, plot);
    case.submit(world);
    world.thorough = thorough;
}

fn registered(world: &mut World, case: &mut CaseHistory) {
    let payload = Payload::DisplacementRegistered(DisplacementRegistered {
        origin: Some(case.place.clone()),
        current_place: Some(world.place()),
        household_size: case.members,
    });
    case.opened(
        world,
        SourceConnection::OwnStaff,
        Credibility::Confirmed,
        payload,
    );
}

fn intends(world: &mut World, case: &mut CaseHistory, option: IntentionOption) {
    let payload = IntentionRecorded {
        option: option.into(),
    };
    case.confirmed(world, Payload::IntentionRecorded(payload));
}

fn conditions(world: &mut World, case: &mut CaseHistory, good: bool) {
    let payload = world.conditions(&case.place, good);
    case.confirmed(world, Payload::ConditionsAssessed(payload));
}

/// Some members leave for a household of their own, which is a case of its own.
fn split(world: &mut World, case: &mut CaseHistory) {
    if case.members < 2 {
        return;
    }
    let members = 1 + world.below(case.members - 1);
    case.members -= members;
    let split = case.confirmed(world, Payload::HouseholdSplit(HouseholdSplit { members }));
    if let Some(mut linked) = case.begin_linked(world, &split) {
        linked.members = members;
        registered(world, &mut linked);
        case.submit_with(world, &mut linked);
        go_on(world, linked);
    }
}

/// The household decides to return, informed and of its own will.
fn informed(world: &mut World, case: &mut CaseHistory) {
    intends(world, case, IntentionOption::Return);
    if world.sometimes(55) {
        let place = Some(case.place.clone());
        case.confirmed(
            world,
            Payload::InformationProvided(InformationProvided { place }),
        );
    }
    if world.sometimes(30) {
        let place = Some(case.place.clone());
        case.confirmed(
            world,
            Payload::GoAndSeeVisitHeld(GoAndSeeVisitHeld { place }),
        );
    }
}

fn prepared(world: &mut World, case: &mut CaseHistory) {
    informed(world, case);
    let payload = VoluntarinessConfirmed {
        free: Some(true),
        informed: Some(true),
        expressed: Some(true),
    };
    case.confirmed(world, Payload::VoluntarinessConfirmed(payload));
    scheduled(world, case);
    if world.sometimes(8) {
        // Someone tells of an arrival, while staff knows the journey put off: contested.
        let payload = arrival(world, case);
        let rumour = case.alleged(world, payload);
        postponed(world, case);
        if world.sometimes(50) {
            case.verify(world, rumour, Credibility::Unlikely);
        }
        scheduled(world, case);
    }
    if world.sometimes(22) {
        postponed(world, case);
        scheduled(world, case);
    }
    if world.sometimes(8) {
        let reason = world.reason();
        case.confirmed(world, Payload::ReturnCancelled(ReturnCancelled { reason }));
        scheduled(world, case);
    }
}

/// From a scheduled return to the arrival.
fn travelled(world: &mut World, case: &mut CaseHistory) {
    departed(world, case);
    if world.sometimes(8) {
        let payload = TurnedBack {
            place: Some(world.place_near(&case.place)),
            reason: world.reason(),
        };
        case.confirmed(world, Payload::TurnedBack(payload));
        scheduled(world, case);
        departed(world, case);
    }
    let payload = arrival(world, case);
    let arrival = case.confirmed(world, payload);
    if world.sometimes(4) {
        case.dispute(world, arrival);
    }
}

fn arrival(world: &mut World, case: &CaseHistory) -> Payload {
    let members = travelling(world, case);
    Payload::ReturnArrived(ReturnArrived {
        place: Some(case.place.clone()),
        members,
    })
}

fn scheduled(world: &mut World, case: &mut CaseHistory) {
    let payload = ReturnScheduled {
        movement: world.reference(OPERATION),
        date: case.planned(world),
    };
    case.confirmed(world, Payload::ReturnScheduled(payload));
}

fn postponed(world: &mut World, case: &mut CaseHistory) {
    let reason = world.reason();
    case.confirmed(world, Payload::ReturnPostponed(ReturnPostponed { reason }));
}

fn departed(world: &mut World, case: &mut CaseHistory) {
    let payload = Departed {
        movement: world.reference(OPERATION),
        members: travelling(world, case),
    };
    case.confirmed(world, Payload::Departed(payload));
}

/// How many members travel: most often all of them.
fn travelling(world: &mut World, case: &CaseHistory) -> u32 {
    if world.by_chance(75) {
        case.members
    } else {
        1 + world.below(case.members)
    }
}

fn spontaneous(world: &mut World, case: &mut CaseHistory) {
    if world.sometimes(50) {
        informed(world, case);
    }
    let members = travelling(world, case);
    let payload = SpontaneousReturn {
        place: Some(case.place.clone()),
        members,
    };
    case.confirmed(world, Payload::SpontaneousReturn(payload));
    lived_there(world, case);
}

fn monitored(world: &mut World, case: &mut CaseHistory, good: bool) {
    let visits = 1 + world.below(3);
    for _ in 0..visits {
        let criteria = world.scores(good);
        case.confirmed(
            world,
            Payload::ReturnMonitored(ReturnMonitored { criteria }),
        );
    }
}

/// After a return: seen again, and in some cases a durable solution.
fn lived_there(world: &mut World, case: &mut CaseHistory) {
    if world.sometimes(75) {
        monitored(world, case, true);
    }
    if world.sometimes(25) {
        conditions(world, case, true);
    }
    if world.sometimes(50) {
        let solution = solved(world, case);
        if world.sometimes(6) {
            case.reopen(world, solution);
            monitored(world, case, false);
        }
    }
}

fn solved(world: &mut World, case: &mut CaseHistory) -> String {
    use SolutionMethod as M;
    let method = world.pick([M::Interview, M::Survey, M::DeskReview]).into();
    let payload = SolutionAssessed {
        method,
        criteria: world.scores(true),
    };
    case.confirmed(world, Payload::SolutionAssessed(payload))
}

/// The household has to leave again; where it is now is a case of its own, the next episode.
fn displaced_again(world: &mut World, case: &mut CaseHistory) {
    use DisplacementDriver as D;
    let first = world.pick([D::ConflictOrViolence, D::ExplosiveHazard, D::Disaster]);
    let second = world.pick([D::Housing, D::Livelihood, D::Services, D::Other]);
    let payload = ReDisplaced {
        drivers: vec![first.into(), second.into()],
    };
    let displacement = case.confirmed(world, Payload::ReDisplaced(payload));
    if world.sometimes(70)
        && let Some(mut linked) = case.begin_linked(world, &displacement)
    {
        registered(world, &mut linked);
        case.submit_with(world, &mut linked);
        go_on(world, linked);
    }
}

fn stayed(world: &mut World, case: &mut CaseHistory, option: IntentionOption) {
    if world.sometimes(40) {
        informed(world, case);
    }
    intends(world, case, option);
    conditions(world, case, true);
    if world.sometimes(50) {
        solved(world, case);
    } else if matches!(option, IntentionOption::SettleElsewhere) && world.by_chance(40) {
        displaced_again(world, case);
    }
}
