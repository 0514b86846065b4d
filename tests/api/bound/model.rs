//! What binds cases together, by the words of the catalogue: a naive model that keeps all that was
//! said and works out anew, each time it is asked, what of it stands.

use std::collections::{BTreeMap, BTreeSet};

use casetrail::wire::v1::{LinkType, MergeRole};
use uuid::Uuid;

use crate::catalogue::row_of;
use crate::model::{Entry, Model};

/// What an event says that binds a case to another one, to an organisation or to a date. Cases are
/// named by their place among the cases.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    Linked(usize, LinkType),
    Unlinked(usize, LinkType),
    Suspected(usize),
    Cleared(usize),
    Merged(usize, MergeRole),
    Unmerged(usize, MergeRole, BTreeSet<Uuid>),
    Consented,
    Withdrawn(Uuid),
    Offered(Uuid),
    Accepted(Uuid),
    Rejected(Uuid),
    Completed(Uuid),
    Revoked(Uuid),
    Scheduled,
    Moved(Uuid),
    Done(Uuid),
    Cancelled(Uuid),
    Transferred(String),
}

#[derive(Clone, Debug)]
pub struct Tie {
    pub case: usize,
    pub position: u64,
    pub id: Uuid,
    pub said: Said,
}

/// All cases: the events of each, and what was said to bind them.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub cases: Vec<Model>,
    pub ties: Vec<Tie>,
}

/// A referral that is offered or accepted.
#[derive(Debug, PartialEq)]
pub struct Referral {
    pub id: Uuid,
    pub accepted: bool,
    pub consent_withdrawn: bool,
}

impl World {
    /// All as it was known when the log ended before a position.
    pub fn known_at(&self, position: u64) -> Self {
        let mut ties = self.ties.clone();
        ties.retain(|tie| tie.position < position);
        Self {
            cases: self.cases.iter().map(|it| it.known_at(position)).collect(),
            ties,
        }
    }

    /// What a case says and was not taken back, in the order recorded.
    fn standing(&self, case: usize) -> impl Iterator<Item = &Tie> {
        let of_case = self.ties.iter().filter(move |tie| tie.case == case);
        of_case.filter(move |tie| !self.cases[case].no_longer_counts(tie.id))
    }

    /// What a case begins and nothing ends that it says later.
    fn live(
        &self,
        case: usize,
        begins: fn(&Said) -> bool,
        ends: fn(&Tie, &Said) -> bool,
    ) -> Vec<&Tie> {
        let begun = self.standing(case).filter(|tie| begins(&tie.said));
        let is_live = |tie: &&Tie| {
            let mut later = self.standing(case).filter(|it| it.position > tie.position);
            !later.any(|it| ends(tie, &it.said))
        };
        begun.filter(is_live).collect()
    }

    /// The links that a case tells of itself.
    fn own_links(&self, case: usize) -> Vec<&Tie> {
        self.live(
            case,
            |said| matches!(said, Said::Linked(..)),
            |tie, said| match (&tie.said, said) {
                (Said::Linked(other, link), Said::Unlinked(unlinked, type_)) => {
                    (other, link) == (unlinked, type_)
                }
                _ => false,
            },
        )
    }

    /// The links at a case: the other case, the type, whether the other case tells it, the event.
    pub fn links(&self, case: usize) -> Vec<(usize, LinkType, bool, Uuid)> {
        let ends = (0..self.cases.len()).flat_map(|teller| {
            let links = self.own_links(teller).into_iter();
            links.map(move |tie| (teller, tie))
        });
        let ends = ends.filter_map(|(teller, tie)| match tie.said {
            Said::Linked(other, link) if teller == case => Some((other, link, false, tie.id)),
            Said::Linked(other, link) if other == case => Some((teller, link, true, tie.id)),
            _ => None,
        });
        let mut links: Vec<_> = ends.collect();
        links.sort_by_key(|(.., event)| *event);
        links
    }

    /// The newest that a case says of whether another one is about the same.
    fn says_of_duplicate(&self, case: usize, other: usize) -> Option<(u64, bool)> {
        let said = self.standing(case).filter_map(|tie| match tie.said {
            Said::Suspected(named) if named == other => Some((tie.position, true)),
            Said::Cleared(named) if named == other => Some((tie.position, false)),
            _ => None,
        });
        said.max()
    }

    /// The cases of which either side said last that they may be about the same.
    pub fn suspected(&self, case: usize) -> BTreeSet<usize> {
        let others = (0..self.cases.len()).filter(|other| *other != case);
        let is_suspected = |other: &usize| {
            let said = self.says_of_duplicate(case, *other);
            let said = said.max(self.says_of_duplicate(*other, case));
            said.is_some_and(|(_, is_suspected)| is_suspected)
        };
        others.filter(is_suspected).collect()
    }

    /// The merges that a case holds.
    fn merges(&self, case: usize) -> Vec<(usize, MergeRole, u64)> {
        let live = self.live(
            case,
            |said| matches!(said, Said::Merged(..)),
            |tie, said| match (&tie.said, said) {
                (Said::Merged(other, _), Said::Unmerged(unmerged, ..)) => other == unmerged,
                _ => false,
            },
        );
        let merges = live.into_iter().filter_map(|tie| match tie.said {
            Said::Merged(other, role) => Some((other, role, tie.position)),
            _ => None,
        });
        merges.collect()
    }

    pub fn merged_into(&self, case: usize) -> Option<usize> {
        let mut merges = self.merges(case).into_iter();
        merges.find_map(|(other, role, _)| (role == MergeRole::Merged).then_some(other))
    }

    /// The cases that were merged into this one.
    pub fn merged(&self, case: usize) -> Vec<usize> {
        let merges = self.merges(case).into_iter();
        let survived = merges.filter(|(_, role, _)| *role == MergeRole::Survivor);
        survived.map(|(other, ..)| other).collect()
    }

    /// The events of the case's kind that it recorded since a merge and that still count.
    pub fn to_assign(&self, case: usize, other: usize) -> BTreeSet<Uuid> {
        let mut merges = self.merges(case).into_iter();
        let Some((.., since)) = merges.find(|(it, ..)| *it == other) else {
            return BTreeSet::new();
        };
        let model = &self.cases[case];
        let later = model.entries.iter().filter(|it| it.position > since);
        let of_kind = later.filter(|it| row_of(it.event).is_some());
        let counting = of_kind.filter(|it| !model.no_longer_counts(it.id));
        counting.map(|it| it.id).collect()
    }

    pub fn consents(&self, case: usize) -> Vec<Uuid> {
        let live = self.live(
            case,
            |said| *said == Said::Consented,
            |tie, said| matches!(said, Said::Withdrawn(id) if *id == tie.id),
        );
        live.into_iter().map(|tie| tie.id).collect()
    }

    pub fn referrals(&self, case: usize) -> Vec<Referral> {
        let live = self.live(
            case,
            |said| matches!(said, Said::Offered(_)),
            |tie, said| match said {
                Said::Rejected(id) | Said::Completed(id) | Said::Revoked(id) => *id == tie.id,
                _ => false,
            },
        );
        let consents = self.consents(case);
        let referrals = live.into_iter().map(|tie| Referral {
            id: tie.id,
            accepted: self
                .standing(case)
                .any(|it| it.said == Said::Accepted(tie.id)),
            consent_withdrawn: !consents.iter().any(|id| tie.said == Said::Offered(*id)),
        });
        referrals.collect()
    }

    /// The follow-ups that are open, and how often each was moved.
    pub fn follow_ups(&self, case: usize) -> BTreeMap<Uuid, usize> {
        let live = self.live(
            case,
            |said| *said == Said::Scheduled,
            |tie, said| matches!(said, Said::Done(id) | Said::Cancelled(id) if *id == tie.id),
        );
        let moved = |id| {
            let standing = self.standing(case);
            standing.filter(|it| it.said == Said::Moved(id)).count()
        };
        let follow_ups = live.into_iter().map(|tie| (tie.id, moved(tie.id)));
        follow_ups.collect()
    }

    /// The organisation to which the case was transferred last.
    pub fn transferred_to(&self, case: usize) -> &str {
        let transfers = self.standing(case).filter_map(|tie| match &tie.said {
            Said::Transferred(organisation) => Some(organisation.as_str()),
            _ => None,
        });
        transfers.last().unwrap_or_default()
    }

    /// Why an event may not be recorded in a case.
    pub fn refusal(&self, case: usize, entry: &Entry, said: Option<&Said>) -> Option<&'static str> {
        let refusal = self.cases[case].judge(entry).map(|refusal| refusal.reason);
        let of_the_kind = row_of(entry.event).is_some() && entry.corrects.is_none();
        match refusal {
            Some("CASE_NOT_FOUND" | "CASE_KIND_MISMATCH") => refusal,
            _ if of_the_kind && self.merged_into(case).is_some() => Some("CASE_MERGED"),
            Some(_) => refusal,
            None => self
                .held_by_two(case, entry)
                .or_else(|| self.refusal_of_tie(case, said?)),
        }
    }

    /// One end of a merge is never taken back alone.
    fn held_by_two(&self, case: usize, entry: &Entry) -> Option<&'static str> {
        let is_retraction = entry.event == casetrail::wire::v1::EventType::EventRetracted;
        let mut ties = self.ties.iter().filter(|tie| tie.case == case);
        let held = ties.any(|tie| {
            Some(tie.id) == entry.names && matches!(tie.said, Said::Merged(..) | Said::Unmerged(..))
        });
        (is_retraction && held).then_some("HELD_BY_TWO_CASES")
    }

    fn refusal_of_tie(&self, case: usize, said: &Said) -> Option<&'static str> {
        let linked = |other: usize, link: LinkType| {
            let links = self.own_links(case);
            links.iter().any(|it| it.said == Said::Linked(other, link))
        };
        let referral = |id: Uuid| self.referrals(case).into_iter().find(|it| it.id == id);
        let accepted = |id: Uuid| referral(id).map(|it| it.accepted);
        let says = |other: usize| self.says_of_duplicate(case, other).map(|(_, is)| is);
        let consented = |id: &Uuid| self.consents(case).contains(id);
        let (fails, reason) = match said {
            Said::Linked(other, link) => (linked(*other, *link), "LINK_STANDS"),
            Said::Unlinked(other, link) => (!linked(*other, *link), "LINK_NOT_STANDING"),
            Said::Suspected(other) => (says(*other) == Some(true), "DUPLICATE_SAID_ALREADY"),
            Said::Cleared(other) => (says(*other) == Some(false), "DUPLICATE_SAID_ALREADY"),
            Said::Merged(other, _) => {
                let merges = self.merges(case);
                let hinders =
                    |it: &(usize, MergeRole, u64)| it.1 == MergeRole::Merged || it.0 == *other;
                (merges.iter().any(hinders), "CASE_MERGED_ALREADY")
            }
            Said::Unmerged(other, role, staying) => {
                let merges = self.merges(case);
                let held = merges.iter().any(|it| (it.0, it.1) == (*other, *role));
                if held && *role == MergeRole::Survivor {
                    (
                        *staying != self.to_assign(case, *other),
                        "EVENTS_NOT_ASSIGNED",
                    )
                } else {
                    (!held, "MERGE_NOT_STANDING")
                }
            }
            Said::Withdrawn(id) | Said::Offered(id) => (!consented(id), "CONSENT_NOT_STANDING"),
            Said::Accepted(id) | Said::Rejected(id) => {
                (accepted(*id) != Some(false), "REFERRAL_NOT_OFFERED")
            }
            Said::Completed(id) => (accepted(*id) != Some(true), "REFERRAL_NOT_ACCEPTED"),
            Said::Revoked(id) => (referral(*id).is_none(), "REFERRAL_NOT_LIVE"),
            Said::Moved(id) | Said::Done(id) | Said::Cancelled(id) => (
                !self.follow_ups(case).contains_key(id),
                "FOLLOW_UP_NOT_OPEN",
            ),
            Said::Consented | Said::Scheduled | Said::Transferred(_) => (false, ""),
        };
        fails.then_some(reason)
    }
}
