//! The turns of which the stories of detained people are made, each an event or two.

use crate::cli::sample::history::CaseHistory;
use crate::cli::sample::world::{AUTHORITY, DOCUMENT, OPERATION, TEAM, World};
use crate::wire::v1::event::Payload;
use crate::wire::v1::{
    AcknowledgementChannel, ArrivalDestination, Arrived, AttestationIssued, Credibility,
    DetentionAcknowledged, FamilyContactChannel, FamilyContactRestored, HandoverScheduled,
    HandoverStarted, LegalCategory, LegalCategoryAsserted, LegalCategoryBasis, PlaceTransferred,
    ProceedingsEnded, ProceedingsNotified, ProceedingsOutcome, ProceedingsStage, ProofOfLifeMedium,
    ProofOfLifeReceived, ReleaseBasis, ReleaseListed, ReleaseMode, Released, VisitedAndRegistered,
    WishesOutcome, WishesRecorded,
};

pub(super) fn acknowledgement(world: &mut World) -> Payload {
    use AcknowledgementChannel as A;
    let channel = world.pick([
        A::CaptureCard,
        A::InternmentCard,
        A::OfficialList,
        A::Statement,
    ]);
    Payload::DetentionAcknowledged(DetentionAcknowledged {
        authority: world.reference(AUTHORITY),
        channel: channel.into(),
    })
}

pub(super) fn acknowledged(world: &mut World, case: &mut CaseHistory) {
    let payload = acknowledgement(world);
    case.confirmed(world, payload);
}

pub(super) fn visited(world: &mut World, case: &mut CaseHistory) {
    let payload = VisitedAndRegistered {
        visiting_organisation: world.reference(TEAM),
        place: Some(case.place.clone()),
        in_private: Some(world.by_chance(85)),
    };
    case.confirmed(world, Payload::VisitedAndRegistered(payload));
}

pub(super) fn proof_of_life(world: &mut World, case: &CaseHistory) -> Payload {
    use ProofOfLifeMedium as M;
    let medium = world
        .pick([
            M::Letter,
            M::Photograph,
            M::Video,
            M::Sound,
            M::Call,
            M::Seen,
            M::Other,
        ])
        .into();
    Payload::ProofOfLifeReceived(ProofOfLifeReceived {
        date: case.today(),
        medium,
    })
}

/// A relative tells of a sign of life, and in some cases it proves true.
pub(super) fn proof_of_life_alleged(world: &mut World, case: &mut CaseHistory) {
    let payload = proof_of_life(world, case);
    let proof = case.alleged(world, payload);
    if world.sometimes(30) {
        case.verify(world, proof, Credibility::Confirmed);
    }
}

pub(super) fn category(world: &mut World) -> LegalCategory {
    use LegalCategory as C;
    world.pick([
        C::PrisonerOfWar,
        C::Hostage,
        C::CivilianInternee,
        C::OtherDetainee,
        C::Unknown,
    ])
}

pub(super) fn category_asserted(world: &mut World, case: &mut CaseHistory) {
    use LegalCategoryBasis as B;
    let basis = world.pick([
        B::Tribunal,
        B::Authority,
        B::OwnAssessment,
        B::OwnStatement,
        B::Documents,
    ]);
    let payload = LegalCategoryAsserted {
        category: category(world).into(),
        asserter: world.reference(AUTHORITY),
        basis: basis.into(),
    };
    case.confirmed(world, Payload::LegalCategoryAsserted(payload));
}

pub(super) fn transferred(world: &mut World, case: &mut CaseHistory) {
    let to = world.place_near(&case.place);
    let from = std::mem::replace(&mut case.place, to.clone());
    let payload = PlaceTransferred {
        from_place: Some(from),
        to_place: Some(to),
    };
    let mut transfer = case.confirmed(world, Payload::PlaceTransferred(payload.clone()));
    if world.sometimes(5) {
        case.place = world.place_near(&case.place);
        let payload = PlaceTransferred {
            to_place: Some(case.place.clone()),
            ..payload
        };
        let corrected = Payload::PlaceTransferred(payload.clone());
        transfer = case.correct(world, transfer, corrected);
        // Somebody else records the same once more.
        let twice = case.confirmed(world, Payload::PlaceTransferred(payload));
        case.retract(world, twice);
    }
    if world.sometimes(10) {
        case.dispute(world, transfer);
    }
}

pub(super) fn proceedings(world: &mut World, case: &mut CaseHistory) {
    use ProceedingsOutcome as O;
    use ProceedingsStage as S;
    let authority = world.reference(AUTHORITY);
    let stage = world
        .pick([
            S::Investigation,
            S::Charge,
            S::Trial,
            S::Appeal,
            S::Sentence,
        ])
        .into();
    let payload = ProceedingsNotified {
        authority: authority.clone(),
        stage,
    };
    case.confirmed(world, Payload::ProceedingsNotified(payload));
    let outcome = world
        .pick([
            O::Discontinued,
            O::Acquitted,
            O::SentenceServed,
            O::Pardoned,
            O::Other,
        ])
        .into();
    case.confirmed(
        world,
        Payload::ProceedingsEnded(ProceedingsEnded { authority, outcome }),
    );
}

pub(super) fn listed(world: &mut World, case: &mut CaseHistory) {
    use ReleaseBasis as B;
    let basis = world.pick([
        B::AgreementClause,
        B::EndOfHostilities,
        B::Medical,
        B::Unilateral,
        B::Other,
    ]);
    let payload = ReleaseListed {
        basis: basis.into(),
        list_reference: world.reference(DOCUMENT),
    };
    case.confirmed(world, Payload::ReleaseListed(payload));
}

pub(super) fn wishes(world: &mut World, case: &mut CaseHistory, outcome: WishesOutcome) {
    let payload = WishesRecorded {
        in_private: Some(true),
        outcome: outcome.into(),
    };
    case.confirmed(world, Payload::WishesRecorded(payload));
}

pub(super) fn scheduled(world: &mut World, case: &mut CaseHistory) {
    let payload = HandoverScheduled {
        operation: world.reference(OPERATION),
        date: case.planned(world),
        place: Some(world.place()),
    };
    case.confirmed(world, Payload::HandoverScheduled(payload));
}

pub(super) fn started(world: &mut World, case: &mut CaseHistory) {
    let payload = HandoverStarted {
        operation: world.reference(OPERATION),
        releasing_body: world.reference(AUTHORITY),
        receiving_body: world.reference(AUTHORITY),
    };
    case.confirmed(world, Payload::HandoverStarted(payload));
}

pub(super) fn released(world: &mut World, case: &mut CaseHistory, mode: ReleaseMode) {
    case.confirmed(world, Payload::Released(Released { mode: mode.into() }));
}

pub(super) fn arrived(
    world: &mut World,
    case: &mut CaseHistory,
    destination: ArrivalDestination,
) -> String {
    let payload = Arrived {
        destination: destination.into(),
        place: Some(world.place()),
    };
    case.confirmed(world, Payload::Arrived(payload))
}

pub(super) fn attestation(world: &mut World, case: &mut CaseHistory) {
    let issuer = world.reference(TEAM);
    case.confirmed(
        world,
        Payload::AttestationIssued(AttestationIssued { issuer }),
    );
}

pub(super) fn family_contact(world: &mut World, case: &mut CaseHistory) {
    use FamilyContactChannel as C;
    let channel = world
        .pick([C::FamilyMessage, C::Call, C::Visit, C::Other])
        .into();
    let payload = Payload::FamilyContactRestored(FamilyContactRestored { channel });
    if world.by_chance(20) {
        case.late(world, payload);
    } else {
        case.confirmed(world, payload);
    }
}
