//! The fold: the image of a case from its facts, taken in the order of occurrence.
//!
//! [`Image::step`] takes one fact, and is all there is: a fact that comes last in the order is one
//! step on, and a fact that comes late is the same steps again from the start. It never fails: a
//! confirmed fact in a place that the lifecycle does not allow still moves the status, and the step
//! says so.
//!
//! What happens once only may be told twice: a confirmed fact in such a place, of something that a
//! confirmed fact before it has told already, is a further account of it. It moves the status only
//! where that is still the one that the happening brought.

use std::num::NonZeroU32;

use super::fact::{Effect, Fact, FactIndex, TextPlace};
use super::lifecycle::{self, Allowed, Guard, NEW, Outcome, Row};
use crate::wire::edtf::Day;
use crate::wire::v1::{CaseKind, CaseStatus, Credibility, EventType, LegalCategory, WishesOutcome};

/// What the facts of a case add up to. Every case has one in memory, so it is kept small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// Status by confirmed facts alone; [`NEW`] while there is none.
    pub confirmed: CaseStatus,
    /// Status by all standing facts.
    pub reported: CaseStatus,
    /// Whether the confirmed status is that of an allegation by nature alone: to a confirmed event
    /// the case is then still as good as new.
    by_hearsay: bool,
    /// The fact that closed the case, while it is closed.
    closed_by: Option<FactNumber>,
    /// The fact that brought the case to its end status, while it is at one.
    ended_by: Option<FactNumber>,
    /// True once an allegation claims more than a confirmed fact of the same or a later day shows.
    pub(super) contradicted: bool,
    /// Whether proceedings are notified and not ended.
    pub(super) release_hold: bool,
    /// The person's wishes on record.
    pub(super) wishes: WishesOutcome,
    /// The newest category, by confirmed facts and by allegations.
    pub(super) category: Told<LegalCategory>,
    /// The newest district, by confirmed facts and by allegations.
    pub(super) district: Told<TextPlace>,
    pub(super) label: Option<TextPlace>,
    pub(super) custodian: Option<TextPlace>,
    pub(super) minimum_number_of_individuals: u32,
    pub(super) household_size: u32,
    pub(super) members_returned: u32,
    /// What happens once only and is told by confirmed facts, a bit each.
    told_once: OnceSet,
    /// The statuses that allegations have claimed so far, by their order in the lifecycle.
    alleged: StatusSet,
    /// The statuses that confirmed facts of the newest day have shown.
    shown: (Day, StatusSet),
}

/// A fact's number among those of its case, counted from 1: its index in 4 bytes where it may be
/// absent.
pub(super) type FactNumber = NonZeroU32;

pub(super) fn number_of(index: FactIndex) -> Option<FactNumber> {
    NonZeroU32::new(index.wrapping_add(1))
}

/// Something that confirmed facts tell, or else allegations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told<T> {
    confirmed: Option<T>,
    alleged: Option<T>,
}

impl<T: Copy> Told<T> {
    const NOTHING: Self = Self {
        confirmed: None,
        alleged: None,
    };

    /// What a confirmed fact told last; where none did, what an allegation told last.
    pub(super) fn value(self) -> Option<T> {
        self.confirmed.or(self.alleged)
    }

    fn tell(&mut self, value: T, confirmed: bool) {
        if confirmed {
            self.confirmed = Some(value);
        } else {
            self.alleged = Some(value);
        }
    }
}

impl Default for Image {
    fn default() -> Self {
        Self {
            confirmed: NEW,
            reported: NEW,
            by_hearsay: false,
            closed_by: None,
            ended_by: None,
            contradicted: false,
            release_hold: false,
            wishes: WishesOutcome::Unspecified,
            category: Told::NOTHING,
            district: Told::NOTHING,
            label: None,
            custodian: None,
            minimum_number_of_individuals: 0,
            household_size: 0,
            members_returned: 0,
            told_once: OnceSet::default(),
            alleged: StatusSet::default(),
            shown: (Day::MIN, StatusSet::default()),
        }
    }
}

/// Why a fact is not allowed where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// The case is closed.
    Closed,
    /// The status does not allow it.
    Status,
    /// No wishes are on record.
    WishesMissing,
    /// The person declines.
    WishesDeclined,
    /// No proceedings are notified.
    NoReleaseHold,
}

/// How a fact stands in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Footing {
    /// The lifecycle allows it, or it is an allegation.
    Fits,
    /// It is a further account of what a confirmed fact before it told.
    Again,
    /// It is a confirmed fact that the lifecycle does not allow there.
    Breaks,
}

impl Image {
    /// Whether the case is closed by an event.
    pub(super) fn is_closed(&self) -> bool {
        self.closed_by.is_some()
    }

    /// The fact that closed the case or brought it to its end, while it did.
    pub(super) fn closing_fact(&self) -> Option<FactIndex> {
        self.closed_by.or(self.ended_by)?.get().checked_sub(1)
    }

    /// The texts that the case tells now.
    pub(super) fn texts(&self) -> impl Iterator<Item = TextPlace> + use<> {
        [
            self.district.confirmed,
            self.district.alleged,
            self.label,
            self.custodian,
        ]
        .into_iter()
        .flatten()
    }

    /// Takes the next fact in the order of occurrence. `credibility` is the one it has now. Returns
    /// how it stands there.
    #[must_use = "where a fact breaks the sequence the case is contested"]
    pub(super) fn step(
        &mut self,
        kind: CaseKind,
        index: FactIndex,
        fact: &Fact,
        credibility: Credibility,
    ) -> Footing {
        let confirmed = credibility == Credibility::Confirmed;
        let footing = match self.stand(kind, fact, credibility) {
            Ok(footing) => footing,
            Err(_) if confirmed => Footing::Breaks,
            Err(_) => Footing::Fits,
        };
        if fact.effect == Effect::Close {
            self.closed_by = number_of(index);
        }
        let Some(row) = row_in(kind, fact.event_type) else {
            return footing;
        };
        if confirmed {
            self.step_confirmed(kind, index, fact, row, footing);
        } else {
            self.step_alleged(kind, fact, row);
        }
        footing
    }

    /// Why a fact is not allowed as the next one; none where it is.
    pub(super) fn obstacle(
        &self,
        kind: CaseKind,
        fact: &Fact,
        credibility: Credibility,
    ) -> Option<Obstacle> {
        self.stand(kind, fact, credibility).err()
    }

    /// How a fact stands as the next one, or why it is not allowed.
    ///
    /// A confirmed fact must be allowed by its row, or be a further account of what a confirmed fact
    /// before it told: something that happens once only, in a status that does not allow it a second
    /// time. An allegation is accepted wherever the case is open. That the case exists is for the
    /// decision to see to.
    pub(super) fn stand(
        &self,
        kind: CaseKind,
        fact: &Fact,
        credibility: Credibility,
    ) -> Result<Footing, Obstacle> {
        let closed = self.closed_by.map_or(Ok(()), |_| Err(Obstacle::Closed));
        if fact.effect == Effect::Close {
            closed?;
            return if lifecycle::is_end(self.confirmed) {
                Err(Obstacle::Status)
            } else {
                Ok(Footing::Fits)
            };
        }
        let Some(row) = row_in(kind, fact.event_type).filter(|row| row.allowed != Allowed::Any)
        else {
            return Ok(Footing::Fits);
        };
        let allowed =
            row.allowed.contains(self.confirmed) || (self.by_hearsay && row.allowed.contains(NEW));
        if credibility != Credibility::Confirmed {
            closed?;
            return if lifecycle::is_end(self.confirmed) && !allowed {
                Err(Obstacle::Status)
            } else {
                Ok(Footing::Fits)
            };
        }
        let footing = if allowed {
            Footing::Fits
        } else if row.once && self.told_once.has(kind, row) {
            Footing::Again
        } else {
            return Err(Obstacle::Status);
        };
        closed?;
        self.guard(row.guard).map_or(Ok(footing), Err)
    }

    fn guard(&self, guard: Guard) -> Option<Obstacle> {
        match guard {
            Guard::ReleaseHold if !self.release_hold => Some(Obstacle::NoReleaseHold),
            Guard::WishesNotDeclined => match self.wishes {
                WishesOutcome::Unspecified => Some(Obstacle::WishesMissing),
                WishesOutcome::Decline => Some(Obstacle::WishesDeclined),
                WishesOutcome::Return | WishesOutcome::ReturnElsewhere => None,
            },
            Guard::None | Guard::ReleaseHold => None,
        }
    }

    fn step_confirmed(
        &mut self,
        kind: CaseKind,
        index: FactIndex,
        fact: &Fact,
        row: &Row,
        footing: Footing,
    ) {
        if let Some(claim) = fact.claim {
            // A further account of what has been left behind since does not bring the case back.
            if footing != Footing::Again || row.brings().contains(&self.confirmed) {
                self.confirmed = moved(row, self.confirmed, claim);
                self.ended_by = if lifecycle::is_end(self.confirmed) {
                    number_of(index)
                } else {
                    None
                };
            }
            self.told_once = self.told_once.without_later(kind, self.confirmed);
            if row.once {
                self.told_once = self.told_once.with(kind, row);
            }
            self.by_hearsay = false;
            self.reported = self.confirmed;
            let shown = StatusSet::of(kind, self.confirmed);
            if self.shown.0 != fact.day {
                self.shown = (fact.day, StatusSet::default());
            }
            self.shown.1 = self.shown.1.union(shown);
            self.contradicted |= self.alleged.goes_beyond(kind, self.confirmed);
        }
        if let Some(district) = fact.district {
            self.district.tell(district, true);
        }
        self.take_effect(fact.effect);
    }

    fn step_alleged(&mut self, kind: CaseKind, fact: &Fact, row: &Row) {
        if let Some(claim) = fact.claim
            && self.confirmed == NEW
            && lifecycle::is_allegation_by_nature(fact.event_type)
        {
            self.confirmed = claim;
            self.by_hearsay = true;
        }
        if let Some(claim) = fact.claim {
            self.reported = moved(row, self.reported, claim);
            self.alleged = self.alleged.union(StatusSet::of(kind, claim));
            if self.shown.0 == fact.day {
                self.contradicted |= self.shown.1.is_exceeded_by(kind, claim);
            }
        }
        if let Some(district) = fact.district {
            self.district.tell(district, false);
        }
        if let Effect::Category(category) = fact.effect {
            self.category.tell(category, false);
        }
    }

    fn take_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Category(category) => self.category.tell(category, true),
            Effect::ReleaseHold(hold) => self.release_hold = hold,
            Effect::Wishes(outcome) => self.wishes = outcome,
            Effect::Label(label) => self.label = Some(label),
            Effect::Custodian(custodian) => self.custodian = Some(custodian),
            Effect::MinimumNumberOfIndividuals(number) => {
                self.minimum_number_of_individuals = number;
            }
            Effect::HouseholdSize(size) => self.household_size = size,
            Effect::HouseholdSplit(members) => {
                self.household_size = self.household_size.saturating_sub(members);
            }
            Effect::MembersReturned(members) => self.members_returned = members,
            Effect::None
            | Effect::Verify(..)
            | Effect::Dispute(_)
            | Effect::Resolve(_)
            | Effect::Void(_)
            | Effect::Retract(_)
            | Effect::Close
            | Effect::Kept(_)
            | Effect::MergedInto(_)
            | Effect::Unmerged(_)
            | Effect::Unresolved => {}
        }
    }
}

/// The row of an event; none for a common one, and for one of an unknown type or of another kind
/// than the case, which folds to nothing.
fn row_in(kind: CaseKind, event: EventType) -> Option<&'static Row> {
    (lifecycle::kind_of(event) == Some(kind)).then(|| lifecycle::row(event))?
}

/// The status after an event that claims `claim`.
fn moved(row: &Row, status: CaseStatus, claim: CaseStatus) -> CaseStatus {
    match row.result {
        Outcome::ToUnless(_, further) if further.contains(&status) => status,
        _ => claim,
    }
}

/// A set of the events of one kind that happen once only, a bit each, in the order of the table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct OnceSet(u8);

impl OnceSet {
    /// The bits of a table's rows: no kind has more than eight (a test holds the tables to it).
    fn bits(kind: CaseKind) -> impl Iterator<Item = (u8, &'static Row)> {
        let rows = lifecycle::table(kind).iter().filter(|row| row.once);
        (0..u8::BITS).map(|place| 1 << place).zip(rows)
    }

    fn has(self, kind: CaseKind, row: &Row) -> bool {
        self.0 != 0 && Self::bits(kind).any(|(bit, it)| it.event == row.event && self.0 & bit != 0)
    }

    fn with(self, kind: CaseKind, row: &Row) -> Self {
        let mut bits = Self::bits(kind);
        let bit = bits.find(|(_, it)| it.event == row.event);
        Self(self.0 | bit.map_or(0, |(bit, _)| bit))
    }

    /// Without what brings statuses that are all listed after `status`: the case has gone back to
    /// before it, so that it can happen anew.
    fn without_later(self, kind: CaseKind, status: CaseStatus) -> Self {
        if self.0 == 0 {
            return self;
        }
        let place = |status| {
            lifecycle::statuses(kind)
                .iter()
                .position(|it| *it == status)
        };
        let now = place(status);
        let later = Self::bits(kind)
            .filter(|(_, row)| row.brings().iter().all(|brought| place(*brought) > now))
            .fold(0, |set, (bit, _)| set | bit);
        Self(self.0 & !later)
    }
}

/// A set of statuses of one kind, a bit each, in the order in which the lifecycle lists them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct StatusSet(u32);

impl StatusSet {
    fn of(kind: CaseKind, status: CaseStatus) -> Self {
        let order = lifecycle::statuses(kind)
            .iter()
            .position(|known| *known == status);
        Self(
            order
                .and_then(|order| 1u32.checked_shl(u32::try_from(order).ok()?))
                .unwrap_or(0),
        )
    }

    fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any of these claims goes further on than `shown`, or to another end.
    fn goes_beyond(self, kind: CaseKind, shown: CaseStatus) -> bool {
        self.0 & beyond(kind, shown) != 0
    }

    /// Whether `claim` goes further on than any of these shown statuses, or to another end.
    fn is_exceeded_by(self, kind: CaseKind, claim: CaseStatus) -> bool {
        lifecycle::statuses(kind).iter().any(|shown| {
            self.0 & Self::of(kind, *shown).0 != 0
                && Self::of(kind, claim).goes_beyond(kind, *shown)
        })
    }
}

/// The statuses that lie further on than `shown`: those listed after it, or, where it is an end, the
/// other ends.
fn beyond(kind: CaseKind, shown: CaseStatus) -> u32 {
    let bit = StatusSet::of(kind, shown).0;
    if lifecycle::is_end(shown) {
        let ends = lifecycle::statuses(kind)
            .iter()
            .filter(|status| lifecycle::is_end(**status))
            .fold(0, |set, status| set | StatusSet::of(kind, *status).0);
        ends & !bit
    } else {
        // All bits above `bit`; none where `shown` is no status of the kind.
        if bit == 0 { 0 } else { !(bit | (bit - 1)) }
    }
}
