//! What a case is, by the words of the domain: a naive model that keeps the events as they came and
//! works everything out from the start each time it is asked.

use casetrail::wire::day::Day;
use casetrail::wire::v1::{
    CaseStatus, ContestedCause, Credibility, Event, EventType as E, LegalCategory, WishesOutcome,
    event::Payload,
};
use uuid::Uuid;

use super::catalogue::{
    self, Claim, Guard, Lifecycle, NEW, Result, Row, is_further_on, is_listed_before,
    lets_handover_start, lifecycle_of, row_of,
};

/// An event as the model knows it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub position: u64,
    pub id: Uuid,
    /// The latest day on which it can have happened, never later than that of its recording.
    pub day: i32,
    /// The earliest day on which it can have happened, no later than that.
    pub earliest: i32,
    pub recorded_on: i32,
    /// Of a correction that of the replacement.
    pub event: E,
    /// The event that it replaces.
    pub corrects: Option<Uuid>,
    pub credibility: Credibility,
    pub claim: Option<CaseStatus>,
    /// The event that it names, and the credibility that it gives it.
    pub names: Option<Uuid>,
    pub gives: Credibility,
    pub wishes: WishesOutcome,
    pub category: Option<LegalCategory>,
}

/// A case as a list of events.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub entries: Vec<Entry>,
}

/// What the events add up to.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub reported: CaseStatus,
    pub confirmed: CaseStatus,
    pub closed: bool,
    pub closing_event: Option<Uuid>,
    pub causes: Vec<ContestedCause>,
    pub open_disputes: Vec<Uuid>,
    pub release_hold: bool,
    pub wishes: WishesOutcome,
    pub category: LegalCategory,
}

/// Why an event is refused; of a place in the sequence also the status there.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub reason: &'static str,
    pub status: Option<CaseStatus>,
    /// The event at which the sequence breaks.
    pub breaks_at: Option<u64>,
}

/// A standing event in its place.
struct Place<'a> {
    entry: &'a Entry,
    credibility: Credibility,
    /// The confirmed status before it.
    status: CaseStatus,
    /// The confirmed status after it.
    left: CaseStatus,
    /// It tells of what an event before it told already.
    again: bool,
    misfit: Option<&'static str>,
}

/// The case between two events.
struct Now {
    /// The confirmed status is that of hearsay alone.
    by_hearsay: bool,
    reported: CaseStatus,
    confirmed: CaseStatus,
    closed_by: Option<Uuid>,
    ended_by: Option<Uuid>,
    release_hold: bool,
    wishes: WishesOutcome,
    /// What happens once and has happened, as far as the case has not gone back to before it.
    happened: Vec<E>,
}

impl Model {
    pub fn lifecycle(&self) -> Option<&'static Lifecycle> {
        lifecycle_of(self.entries.first()?.event)
    }

    /// The entry of an event that is recorded at a position, on a day. The claim is that of the event,
    /// of a correction that of the replacement; the days are those on which it can have happened.
    pub fn entry(
        &self,
        event: &Event,
        claim: &Claim,
        position: u64,
        recorded_on: Day,
        (earliest, latest): (Day, Day),
    ) -> Entry {
        let (corrects, told) = match event.payload.as_ref().unwrap() {
            Payload::EventCorrected(corrected) => (
                corrected.target_event_id.parse().ok(),
                corrected.replacement.as_deref().unwrap(),
            ),
            _ => (None, event),
        };
        // What can have happened by the day on which it was first told had happened by then.
        let known_on = corrects
            .filter(|target| self.entry_named(*target).is_some())
            .map(|target| self.origin(target).recorded_on)
            .filter(|known_on| earliest.0 <= *known_on)
            .unwrap_or(recorded_on.0);
        let day = latest.0.min(known_on);
        let named = |id: &str| id.parse().ok();
        let unspecified = Credibility::Unspecified;
        let (names, gives) = match told.payload.as_ref().unwrap() {
            Payload::EventRetracted(it) => (named(&it.target_event_id), unspecified),
            Payload::CaseReopened(it) => (named(&it.closing_event_id), unspecified),
            Payload::VerificationChanged(it) => (named(&it.target_event_id), it.credibility()),
            Payload::EventDisputed(it) => (named(&it.target_event_id), unspecified),
            Payload::DisputeResolved(it) => (named(&it.dispute_event_id), unspecified),
            _ => (None, unspecified),
        };
        let (wishes, category) = match told.payload.as_ref().unwrap() {
            Payload::WishesRecorded(wishes) => (wishes.outcome(), None),
            Payload::DetentionAlleged(it) => (WishesOutcome::Unspecified, Some(it.category())),
            Payload::LegalCategoryAsserted(it) => (WishesOutcome::Unspecified, Some(it.category())),
            _ => (WishesOutcome::Unspecified, None),
        };
        Entry {
            position,
            id: event.event_id.parse().unwrap(),
            day,
            earliest: earliest.0.min(day),
            recorded_on: recorded_on.0,
            event: claim.event,
            corrects,
            credibility: told.credibility(),
            claim: claim.status,
            names,
            gives,
            wishes,
            category,
        }
    }

    pub fn told(&self) -> Told {
        self.told_of(|_| true)
    }

    /// The case as it was known when the log ended before a position.
    pub fn known_at(&self, position: u64) -> Self {
        let mut entries = self.entries.clone();
        entries.retain(|entry| entry.position < position);
        Self { entries }
    }

    /// What had certainly happened by the end of a day, and what had possibly.
    pub fn told_at(&self, day: i32) -> (Told, Told) {
        let certainly = self.told_of(|entry| entry.day <= day);
        (certainly, self.told_of(|entry| entry.earliest <= day))
    }

    fn told_of(&self, happened: impl Fn(&Entry) -> bool) -> Told {
        let (places, now) = self.walk_through(&happened);
        let open_disputes = self.open_disputes_about(happened);
        let broken = |place: &Place| is_confirmed(place) && place.misfit.is_some();
        let causes = [
            (!open_disputes.is_empty(), ContestedCause::OpenDispute),
            (
                contradicted(&places),
                ContestedCause::ContradictedAllegation,
            ),
            (places.iter().any(broken), ContestedCause::BrokenSequence),
        ];
        let category = |confirmed: bool| {
            let mut newest = places.iter().rev();
            newest.find_map(|p| p.entry.category.filter(|_| is_confirmed(p) == confirmed))
        };
        Told {
            reported: now.reported,
            confirmed: now.confirmed,
            closed: now.closed_by.is_some(),
            closing_event: now.closed_by.or(now.ended_by),
            causes: causes.iter().filter(|c| c.0).map(|c| c.1).collect(),
            open_disputes,
            release_hold: now.release_hold,
            wishes: now.wishes,
            category: category(true)
                .or(category(false))
                .unwrap_or(LegalCategory::Unspecified),
        }
    }

    /// The confirmed events that count, in the order of occurrence.
    pub fn confirmed_in_order(&self) -> Vec<&Entry> {
        let (places, _) = self.walk();
        let confirmed = places.into_iter().filter(is_confirmed);
        confirmed.map(|place| place.entry).collect()
    }

    /// Positions of the confirmed events that stand where the tables don't allow them.
    pub fn broken(&self) -> Vec<u64> {
        let (places, _) = self.walk();
        let broken = places
            .iter()
            .filter(|p| is_confirmed(p) && p.misfit.is_some());
        broken.map(|place| place.entry.position).collect()
    }

    /// Whether an event may be recorded; its entry has the position that it would get.
    pub fn judge(&self, candidate: &Entry) -> Option<Refusal> {
        let refused = |reason| {
            Some(Refusal {
                reason,
                status: None,
                breaks_at: None,
            })
        };
        let row = row_of(candidate.event);
        if self.entries.is_empty() {
            let any = row.is_none_or(|row| row.allowed.is_none());
            let is_confirmed = candidate.credibility == Credibility::Confirmed;
            if (any && is_confirmed) || candidate.corrects.is_some() {
                return refused("CASE_NOT_FOUND");
            }
        } else if let Some(other) = lifecycle_of(candidate.event)
            && candidate.corrects.is_none()
            && Some(other.kind) != self.lifecycle().map(|lifecycle| lifecycle.kind)
        {
            return refused("CASE_KIND_MISMATCH");
        }
        if let Some(target) = candidate.corrects {
            return self.judge_correction(candidate, target);
        }
        let named = candidate.names.map(|id| self.entry_named(id));
        if let Some(None) = named {
            return refused("TARGET_EVENT_NOT_FOUND");
        }
        let named = named.flatten();
        match (candidate.event, named) {
            (E::CaseReopened, Some(named)) => match self.told().closing_event {
                None => refused("CASE_NOT_CLOSED"),
                Some(closing) if closing != named.id => refused("NOT_THE_CLOSING_EVENT"),
                Some(_) => None,
            },
            (E::DisputeResolved, Some(named)) => {
                let open = self.open_disputes().contains(&named.id);
                if open {
                    None
                } else {
                    refused("DISPUTE_NOT_OPEN")
                }
            }
            (E::EventDisputed | E::VerificationChanged, Some(named))
                if !self.no_longer_counts(named.id) && row_of(named.event).is_none() =>
            {
                refused("TARGET_EVENT_NOT_APPLICABLE")
            }
            (E::EventDisputed | E::VerificationChanged | E::EventRetracted, Some(named))
                if self.no_longer_counts(named.id) =>
            {
                refused("TARGET_EVENT_NOT_STANDING")
            }
            (E::EventRetracted, Some(_)) => None,
            (E::EventDisputed, Some(_)) => None,
            (E::VerificationChanged, Some(named)) => {
                if self.credibility_now(named) == candidate.gives {
                    refused("CREDIBILITY_UNCHANGED")
                } else if candidate.gives == Credibility::Confirmed {
                    self.judge_sequence(candidate, named.position)
                        .or_else(|| self.judge_clauses(named.event, None))
                } else {
                    None
                }
            }
            _ => self
                .judge_sequence(candidate, candidate.position)
                .or_else(|| {
                    let is_confirmed = candidate.credibility == Credibility::Confirmed;
                    is_confirmed.then(|| self.judge_clauses(candidate.event, None))?
                }),
        }
    }

    /// Whether the clause that a confirmed event names is there, or not there yet.
    fn judge_clauses(&self, event: E, but_for: Option<Uuid>) -> Option<Refusal> {
        let reason = match (event, self.has_clauses(but_for)) {
            (E::ClauseDueDateChanged, false) => "CLAUSE_NOT_FOUND",
            (E::AgreementSigned, true) => "CLAUSE_STANDS",
            _ => return None,
        };
        Some(Refusal {
            reason,
            status: None,
            breaks_at: None,
        })
    }

    /// Whether the clause of the samples is there: it comes with the signature.
    fn has_clauses(&self, but_for: Option<Uuid>) -> bool {
        self.entries.iter().any(|entry| {
            entry.event == E::AgreementSigned
                && Some(entry.id) != but_for
                && self.credibility_now(entry) == Credibility::Confirmed
                && !self.no_longer_counts(entry.id)
        })
    }

    /// Whether the replacement may stand where it is to stand, unless the event that it replaces
    /// might not have stood there either.
    fn judge_correction(&self, candidate: &Entry, target: Uuid) -> Option<Refusal> {
        let refused = |reason| {
            Some(Refusal {
                reason,
                status: None,
                breaks_at: None,
            })
        };
        let Some(named) = self.entry_named(target) else {
            return refused("TARGET_EVENT_NOT_FOUND");
        };
        if self.no_longer_counts(target) {
            return refused("TARGET_EVENT_NOT_STANDING");
        }
        if row_of(named.event).is_none() {
            return refused("TARGET_EVENT_NOT_APPLICABLE");
        }
        let kind =
            |lifecycle: Option<&'static Lifecycle>| lifecycle.map(|lifecycle| lifecycle.kind);
        if kind(lifecycle_of(candidate.event)) != kind(self.lifecycle()) {
            return refused("CASE_KIND_MISMATCH");
        }
        let (places, _) = self.walk();
        let before = places.iter().find(|place| place.entry.id == target)?;
        let excused = before.misfit.is_some()
            && (is_confirmed(before) || candidate.credibility != Credibility::Confirmed);
        let mut with = self.clone();
        with.entries.push(candidate.clone());
        let (places, _) = with.walk();
        let place = places.iter().find(|place| place.entry.id == candidate.id)?;
        let misfit = place.misfit.filter(|_| !excused);
        let refusal = misfit.map(|reason| Refusal {
            reason,
            status: Some(place.status),
            breaks_at: None,
        });
        refusal.or_else(|| {
            let is_confirmed = candidate.credibility == Credibility::Confirmed;
            is_confirmed.then(|| self.judge_clauses(candidate.event, Some(target)))?
        })
    }

    /// Whether the sequence with the candidate in it lets the event of that position stand, and
    /// every confirmed event that it let stand before.
    fn judge_sequence(&self, candidate: &Entry, position: u64) -> Option<Refusal> {
        let before = self.broken();
        let mut with = self.clone();
        with.entries.push(candidate.clone());
        let (places, _) = with.walk();
        places.iter().find_map(|place| {
            let reason = place.misfit?;
            let itself = place.entry.position == position;
            let newly = is_confirmed(place) && !before.contains(&place.entry.position);
            (itself || newly).then_some(Refusal {
                reason: if itself { reason } else { "SEQUENCE_BROKEN" },
                status: Some(place.status),
                breaks_at: (!itself).then_some(place.entry.position),
            })
        })
    }

    fn entry_named(&self, id: Uuid) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    fn is_retracted(&self, id: Uuid) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|entry| {
            entry.event == E::EventRetracted
                && entry.names == Some(id)
                && !self.is_retracted(entry.id)
        })
    }

    /// The newest event that takes this one away and was not taken back itself.
    fn taken_away_by(&self, id: Uuid) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| {
            let takes_away = matches!(entry.event, E::CaseReopened | E::EventRetracted);
            let names = takes_away && entry.names == Some(id);
            (names || entry.corrects == Some(id)) && !self.is_retracted(entry.id)
        })
    }

    pub fn no_longer_counts(&self, id: Uuid) -> bool {
        self.taken_away_by(id).is_some()
    }

    /// The event, or what replaced it, if that counts.
    fn account(&self, id: Uuid) -> Option<&Entry> {
        match self.taken_away_by(id) {
            None => self.entry_named(id),
            Some(entry) => entry.corrects.and_then(|_| self.account(entry.id)),
        }
    }

    /// The event that was corrected first to come to this one.
    pub fn origin(&self, id: Uuid) -> &Entry {
        let entry = self.entry_named(id).unwrap();
        entry.corrects.map_or(entry, |target| self.origin(target))
    }

    fn credibility_now(&self, entry: &Entry) -> Credibility {
        let mut newest = self.entries.iter().rev();
        newest
            .find(|e| {
                e.event == E::VerificationChanged
                    && e.names == Some(entry.id)
                    && !self.is_retracted(e.id)
            })
            .map_or(entry.credibility, |verification| verification.gives)
    }

    fn open_disputes(&self) -> Vec<Uuid> {
        self.open_disputes_about(|_| true)
    }

    fn open_disputes_about(&self, happened: impl Fn(&Entry) -> bool) -> Vec<Uuid> {
        let (places, _) = self.walk_through(&happened);
        let differing = differing(&places);
        let opens = |entry: &&Entry| match entry.event {
            _ if differing.contains(&entry.id) => true,
            E::EventDisputed => self.account(entry.names.unwrap()).is_some_and(&happened),
            event => {
                row_of(event).is_some_and(|row| row.result == Result::Contested)
                    && self.credibility_now(entry) == Credibility::Confirmed
                    && happened(entry)
            }
        };
        let resolved = |entry: &&Entry| {
            let origin = self.origin(entry.id).id;
            let mut entries = self.entries.iter();
            entries.any(|e| {
                e.event == E::DisputeResolved
                    && !self.no_longer_counts(e.id)
                    && self.origin(e.names.unwrap()).id == origin
            })
        };
        let counting = |entry: &&Entry| !self.no_longer_counts(entry.id);
        let disputes = self.entries.iter().filter(counting).filter(opens);
        disputes.filter(|d| !resolved(d)).map(|d| d.id).collect()
    }

    /// The standing events in the order of occurrence, each where it stands.
    fn walk(&self) -> (Vec<Place<'_>>, Now) {
        self.walk_through(&|_| true)
    }

    fn walk_through(&self, happened: &impl Fn(&Entry) -> bool) -> (Vec<Place<'_>>, Now) {
        let standing = self.entries.iter();
        let mut order: Vec<_> = standing
            .filter(|entry| !self.no_longer_counts(entry.id) && happened(entry))
            .collect();
        order.sort_by_key(|entry| (entry.day, self.origin(entry.id).position));
        let mut now = Now {
            by_hearsay: false,
            reported: NEW,
            confirmed: NEW,
            closed_by: None,
            ended_by: None,
            release_hold: false,
            wishes: WishesOutcome::Unspecified,
            happened: Vec::new(),
        };
        let mut places = Vec::new();
        for entry in order {
            let credibility = self.credibility_now(entry);
            let (status, misfit) = (now.confirmed, now.misfit(entry, credibility));
            let is_confirmed = credibility == Credibility::Confirmed;
            let again = is_confirmed && misfit.is_none() && now.has_happened(entry);
            now.take(entry, credibility, again);
            places.push(Place {
                entry,
                credibility,
                status,
                left: now.confirmed,
                again,
                misfit,
            });
        }
        (places, now)
    }
}

impl Now {
    /// Why the tables don't allow the event here.
    fn misfit(&self, entry: &Entry, credibility: Credibility) -> Option<&'static str> {
        let closed = self.closed_by.is_some().then_some("CASE_CLOSED");
        let ended = catalogue::is_end(self.confirmed);
        let refused = Some("EVENT_NOT_ALLOWED");
        let Some(row) = row_of(entry.event) else {
            if entry.event != E::CaseClosed {
                return None;
            }
            return if ended && closed.is_none() {
                refused
            } else {
                closed
            };
        };
        let is_confirmed = credibility == Credibility::Confirmed;
        row.allowed.as_ref()?;
        if is_confirmed {
            if !self.allows(row) && !self.has_happened(entry) {
                return refused;
            }
            return closed.or_else(|| self.guards(row));
        }
        match closed {
            None if ended && !row.allows(self.confirmed) => refused,
            closed => closed,
        }
    }

    fn allows(&self, row: &Row) -> bool {
        row.allows(self.confirmed) || (self.by_hearsay && row.allows(NEW))
    }

    /// It happens once, has happened, and can't happen here.
    fn has_happened(&self, entry: &Entry) -> bool {
        let row = row_of(entry.event);
        self.happened.contains(&entry.event) && row.is_some_and(|row| !self.allows(row))
    }

    fn guards(&self, row: &Row) -> Option<&'static str> {
        match row.guard {
            Guard::ReleaseHold if !self.release_hold => Some("NO_RELEASE_HOLD"),
            Guard::WishesNotDeclined if self.wishes == WishesOutcome::Unspecified => {
                Some("WISHES_MISSING")
            }
            Guard::WishesNotDeclined if !lets_handover_start(self.wishes) => {
                Some("WISHES_DECLINED")
            }
            _ => None,
        }
    }

    fn take(&mut self, entry: &Entry, credibility: Credibility, again: bool) {
        if entry.event == E::CaseClosed {
            self.closed_by = Some(entry.id);
        }
        let Some(row) = row_of(entry.event) else {
            return;
        };
        if credibility == Credibility::Confirmed {
            if entry.claim.is_some() {
                if !again || row.brings().contains(&self.confirmed) {
                    self.confirmed = row.moved(self.confirmed, entry.claim);
                    self.ended_by = catalogue::is_end(self.confirmed).then_some(entry.id);
                }
                self.reported = self.confirmed;
                self.by_hearsay = false;
                let now = self.confirmed;
                self.happened.retain(|event| {
                    let mut brings = row_of(*event).unwrap().brings().into_iter();
                    brings.any(|brought| !is_listed_before(now, brought))
                });
                if row.once {
                    self.happened.push(entry.event);
                }
            }
            match entry.event {
                E::ProceedingsNotified => self.release_hold = true,
                E::ProceedingsEnded => self.release_hold = false,
                E::WishesRecorded => self.wishes = entry.wishes,
                _ => {}
            }
        } else {
            let by_nature = matches!(
                entry.event,
                E::DetentionAlleged | E::RemainsReported | E::SiteReported
            );
            if by_nature && self.confirmed == NEW {
                self.confirmed = entry.claim.unwrap();
                self.by_hearsay = true;
            }
            self.reported = row.moved(self.reported, entry.claim);
        }
    }
}

/// The events that tell of what others before them told, and tell it differently.
fn differing(places: &[Place]) -> Vec<Uuid> {
    let mut differing = Vec::new();
    for (index, place) in places.iter().enumerate().filter(|(_, place)| place.again) {
        let same = |other: &&Place| is_confirmed(other) && other.entry.event == place.entry.event;
        for other in places[..index].iter().rev().filter(same) {
            let apart =
                other.entry.day < place.entry.earliest || place.entry.day < other.entry.earliest;
            if apart || other.entry.claim != place.entry.claim {
                differing.push(place.entry.id);
            }
            if !other.again {
                break;
            }
        }
    }
    differing
}

fn is_confirmed(place: &Place) -> bool {
    place.credibility == Credibility::Confirmed
}

/// Some allegation claims a status further on, or another end, than a confirmed event of the same
/// or a later day has left.
fn contradicted(places: &[Place]) -> bool {
    let alleged = |place: &&Place| !is_confirmed(place) && place.entry.claim.is_some();
    let shows = |place: &&Place| is_confirmed(place) && place.entry.claim.is_some();
    places.iter().filter(alleged).any(|allegation| {
        let claimed = allegation.entry.claim.unwrap();
        let mut shown = places.iter().filter(shows);
        shown.any(|p| p.entry.day >= allegation.entry.day && is_further_on(claimed, p.left))
    })
}
