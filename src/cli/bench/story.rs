//! The story that every case of a benchmark goes through, of any length: confirmed events in the
//! order of their days, each allowed by the lifecycle of a detention.
//!
//! All of it is fictional, and the same for every case but for the identifiers.

use crate::wire::v1::event::Payload;
use crate::wire::v1::{
    AcknowledgementChannel, Credibility, DetentionAcknowledged, Event, FamilyContactChannel,
    FamilyContactRestored, HandoverPostponed, HandoverScheduled, HospitalAdmitted, Place,
    PlaceTransferred, ProofOfLifeMedium, ProofOfLifeReceived, ReasonCode, ReleaseBasis,
    ReleaseListed, Source, SourceConnection, SourceReliability, VisitedAndRegistered,
};

/// What the events of a case are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plot {
    /// What is usual: few events change how the case stands.
    Usual,
    /// Every event changes the status of the case, so that watchers are told of each.
    Changes,
}

/// The event at a place in the story of its case, from 0, without its identifier.
///
/// The source's reference is `padding` bytes longer than it has to be, by which the size of a
/// record is chosen.
pub(super) fn event(plot: Plot, place: u64, padding: usize) -> Event {
    let payload = match (place, plot) {
        (0, _) => acknowledged(),
        (1, _) => visited(),
        (_, Plot::Usual) => match place % 5 {
            0 => hospital(),
            1 => family_contact(),
            2 => transferred(),
            3 => proof_of_life(),
            _ => visited(),
        },
        (2, Plot::Changes) => listed(),
        (_, Plot::Changes) if place.is_multiple_of(2) => postponed(),
        (_, Plot::Changes) => scheduled(),
    };
    Event {
        occurred: date(place),
        source: Some(Source {
            reference: format!("visit-88/{}", "4".repeat(padding)),
            connection: SourceConnection::OwnStaff.into(),
            reliability: SourceReliability::HighlyReliable.into(),
        }),
        credibility: Credibility::Confirmed.into(),
        payload: Some(payload),
        ..Event::default()
    }
}

/// One day after the other, for 7 years, and then again and again the last one.
fn date(place: u64) -> String {
    let day = place.min(7 * 12 * 28 - 1);
    let (year, month, day) = (2018 + day / 336, day / 28 % 12 + 1, day % 28 + 1);
    format!("{year:04}-{month:02}-{day:02}")
}

fn place() -> Option<Place> {
    Some(Place {
        place_id: "place-6".to_owned(),
        country: "XA".to_owned(),
        district: "XA03".to_owned(),
        unknown: false,
    })
}

fn acknowledged() -> Payload {
    Payload::DetentionAcknowledged(DetentionAcknowledged {
        authority: "authority-2".to_owned(),
        channel: AcknowledgementChannel::OfficialList.into(),
    })
}

fn visited() -> Payload {
    Payload::VisitedAndRegistered(VisitedAndRegistered {
        visiting_organisation: "org-1".to_owned(),
        place: place(),
        in_private: Some(true),
    })
}

fn hospital() -> Payload {
    Payload::HospitalAdmitted(HospitalAdmitted { place: place() })
}

fn transferred() -> Payload {
    Payload::PlaceTransferred(PlaceTransferred {
        from_place: place(),
        to_place: place(),
    })
}

fn family_contact() -> Payload {
    Payload::FamilyContactRestored(FamilyContactRestored {
        channel: FamilyContactChannel::FamilyMessage.into(),
    })
}

fn proof_of_life() -> Payload {
    Payload::ProofOfLifeReceived(ProofOfLifeReceived {
        date: "2018-01".to_owned(),
        medium: ProofOfLifeMedium::Letter.into(),
    })
}

fn listed() -> Payload {
    Payload::ReleaseListed(ReleaseListed {
        basis: ReleaseBasis::EndOfHostilities.into(),
        list_reference: "list-4".to_owned(),
    })
}

fn scheduled() -> Payload {
    Payload::HandoverScheduled(HandoverScheduled {
        operation: "operation-9".to_owned(),
        date: "2026-01/2026-02".to_owned(),
        place: place(),
    })
}

fn postponed() -> Payload {
    Payload::HandoverPostponed(HandoverPostponed {
        reason: ReasonCode::Weather.into(),
    })
}
