//! Search by name: keeps the index of names up with the log, and tells what matches.
//!
//! The index is a view in memory. It is filled from the log at the first search, so that a start waits
//! for nothing and a server where nobody searches pays nothing; from then on a task takes in what is
//! recorded, after it was answered. A search waits until the index has everything that was visible when
//! it was made.
//!
//! Invariants: a name whose subject was erased, or whose event no longer counts, is not found, whatever
//! the index still holds; nothing is sent before its disclosure is durable.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use prost::Message;
use tokio::sync::watch;
use uuid::Uuid;

use super::call::blocking;
use super::personal::number_told;
use super::status::Failure;
use super::{Shared, stopped};
use crate::domain::{CaseState, Sight};
use crate::ledger::{Ledger, Recorder};
use crate::names::{Found, NameIndex, Named, Sought, Tokens};
use crate::seal::{Keyring, Unopened};
use crate::wire::limits::SEARCH_MATCHES_MAX;
use crate::wire::outline::KeysOutline;
use crate::wire::v1::{
    DisclosedValues, Disclosure, EventType, NameMatch, NameMatchKind, PersonalClass, Record,
    SearchByNameRequest, SearchByNameResponse, event::Payload,
};

/// How many bytes of blocks are read at a time.
const READ_BYTES: usize = 4 * 1024 * 1024;
/// How long a search waits for the index.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// The index of names, and up to where it is.
#[derive(Default)]
pub(super) struct NameSearch {
    follower: Mutex<Option<Follower>>,
}

/// What a search needs of the task that keeps the index.
#[derive(Clone)]
struct Follower {
    index: Arc<RwLock<NameIndex>>,
    /// Every record before it is in the index. The sender is gone once the task ended.
    position: watch::Receiver<u64>,
}

impl NameSearch {
    /// The index once it has every record that is visible now, and the position up to which it does.
    async fn ready(&self, shared: &Shared) -> Result<(Arc<RwLock<NameIndex>>, u64), Failure> {
        let head = shared.ledger.views().position();
        let Follower {
            index,
            mut position,
        } = self.follower(shared)?;
        let reached = position.wait_for(|position| *position >= head);
        let reached = tokio::time::timeout(WAIT_MAX, reached).await;
        // Not held any longer: the task can't go on meanwhile.
        let reached = reached.map(|reached| reached.map(|position| *position));
        match reached {
            Ok(Ok(reached)) => Ok((index, reached)),
            Ok(Err(_)) => Err(Failure::names_unavailable()),
            Err(_) => Err(Failure::names_not_ready(*position.borrow(), head)),
        }
    }

    /// The task that keeps the index; a new one where there is none, or it ended.
    fn follower(&self, shared: &Shared) -> Result<Follower, Failure> {
        let mut kept = self.follower.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(follower) = &*kept
            && follower.position.has_changed().is_ok()
        {
            return Ok(follower.clone());
        }
        let index = Arc::new(RwLock::new(NameIndex::new().map_err(Failure::internal)?));
        let (reached, position) = watch::channel(0);
        tokio::spawn(follow(
            Arc::clone(&shared.ledger),
            Arc::clone(&index),
            reached,
            shared.shutdown.clone(),
        ));
        let follower = Follower { index, position };
        *kept = Some(follower.clone());
        Ok(follower)
    }
}

impl fmt::Debug for NameSearch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NameSearch").finish_non_exhaustive()
    }
}

/// Takes in what is recorded, until the server ends.
async fn follow(
    ledger: Arc<Ledger>,
    index: Arc<RwLock<NameIndex>>,
    reached: watch::Sender<u64>,
    shutdown: watch::Receiver<bool>,
) {
    let following = async {
        let mut heads = ledger.subscribe();
        let mut position = 0;
        loop {
            let head = *heads.borrow_and_update();
            while position < head {
                let (ledger, index) = (Arc::clone(&ledger), Arc::clone(&index));
                position = blocking(move || take_in(&ledger, &index, position, head)).await??;
                reached.send_replace(position);
            }
            if heads.changed().await.is_err() {
                return Ok::<(), Failure>(());
            }
        }
    };
    tokio::select! {
        ended = following => if let Err(failure) = ended {
            let cause = failure.cause().unwrap_or("unknown");
            tracing::error!(code = ?failure.code(), cause, "names can't be read; the next search tries again");
        },
        () = stopped(shutdown) => {}
    }
}

/// Takes in some records from a position on, before the head, and returns how far it came.
fn take_in(
    ledger: &Ledger,
    index: &RwLock<NameIndex>,
    from: u64,
    head: u64,
) -> Result<u64, Failure> {
    let keyring = ledger.keyring().ok_or_else(Failure::no_keys)?;
    let mut taken = Taken::default();
    let mut position = from;
    for block in ledger.log().read(from, READ_BYTES)? {
        for (at, bytes) in block.records().filter(|(at, _)| (from..head).contains(at)) {
            let damaged = || Failure::unreadable_record(at, "it is no record");
            let outline = KeysOutline::read(&bytes).map_err(|_| damaged())?;
            let names = outline.sealed.iter().flat_map(|sealed| &sealed.values);
            let has_identity =
                { names }.any(|value| value.personal_class() == PersonalClass::Identity);
            if has_identity || outline.event_type == EventType::ErasureExecuted {
                let record = Record::decode(bytes).map_err(|_| damaged())?;
                let unlocked = index.read().unwrap_or_else(PoisonError::into_inner);
                taken.take(keyring, &unlocked, at, &record)?;
            }
        }
        position = block.end_position().min(head);
    }
    let mut index = index.write().unwrap_or_else(PoisonError::into_inner);
    if !taken.erased.is_empty() {
        index.forget(&taken.erased);
    }
    for (named, tokens) in taken.names {
        if !taken.erased.contains(&named.subject) {
            index.insert(named, tokens);
        }
    }
    Ok(position)
}

/// What some records say of names.
#[derive(Default)]
struct Taken {
    names: Vec<(Named, Tokens)>,
    erased: HashSet<Uuid>,
}

impl Taken {
    fn take(
        &mut self,
        keyring: &Keyring,
        index: &NameIndex,
        position: u64,
        record: &Record,
    ) -> Result<(), Failure> {
        let damaged = |_| Failure::unreadable_record(position, "it has an identifier that is none");
        let case_id = Uuid::try_parse(&record.case_id).map_err(damaged)?;
        let Some(event) = &record.event else {
            return Ok(());
        };
        if let Some(Payload::ErasureExecuted(executed)) = &event.payload {
            self.erased
                .insert(Uuid::try_parse(&executed.subject_id).map_err(damaged)?);
        }
        let event_id = Uuid::try_parse(&event.event_id).map_err(damaged)?;
        for sealed in &record.sealed {
            let subject = Uuid::try_parse(&sealed.subject_id).map_err(damaged)?;
            let named = Named {
                case_id,
                subject,
                position,
            };
            for (place, value) in sealed.values.iter().enumerate() {
                if value.personal_class() != PersonalClass::Identity {
                    continue;
                }
                match keyring.open(case_id, event_id, sealed, place) {
                    Ok(value) => self.names.push((named, index.tokens_of(&value))),
                    Err(Unopened::Erased | Unopened::KeyNotHere) => {}
                    // Whoever reads the case is told so; the other names are found all the same.
                    Err(Unopened::Damaged) => {
                        tracing::warn!(
                            position,
                            "a sealed value is damaged, and is no name to find"
                        );
                    }
                    Err(Unopened::Unavailable { cause }) => {
                        return Err(Failure::keys_unavailable(cause));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Who has a name, for a request that was checked. The search is recorded before it returns.
pub(super) async fn search(
    shared: &Arc<Shared>,
    who: Recorder,
    request: SearchByNameRequest,
) -> Result<SearchByNameResponse, Failure> {
    if shared.ledger.keyring().is_none() {
        return Err(Failure::no_keys());
    }
    let (index, position) = shared.names.ready(shared).await?;
    let shared = Arc::clone(shared);
    blocking(move || {
        let ledger = &shared.ledger;
        let (sought, found) = {
            let index = index.read().unwrap_or_else(PoisonError::into_inner);
            let year = Some(request.birth_year).filter(|year| *year != 0);
            let sought = index.sought(&request.name_parts, year);
            let sought = sought.ok_or_else(|| Failure::internal("no word to search for"))?;
            let found = index.find(&sought);
            (sought, found)
        };
        let (matches, more) = matches(ledger, &who.authority.sight, &sought, &found)?;
        let number = ledger.record_disclosure(Disclosure {
            number: 0,
            recorded_at: Some(ledger.clock().now().into()),
            purpose: request.purpose,
            purpose_reference: request.purpose_reference.clone(),
            actor: who.actor,
            organisation: who.organisation,
            name_search: true,
            values: matches.iter().map(disclosed).collect(),
        });
        let number = number.map_err(Failure::disclosures_unavailable)?;
        let number = number_told(&who.authority.sight, number);
        Ok(SearchByNameResponse {
            matches,
            more,
            position,
            disclosure: number.unwrap_or_default(),
        })
    })
    .await?
}

fn disclosed(matching: &NameMatch) -> DisclosedValues {
    DisclosedValues {
        case_id: matching.case_id.clone(),
        subject_id: matching.subject_id.clone(),
        personal_class: PersonalClass::Identity.into(),
        count: 1,
    }
}

/// Of those found, whose names the caller may open and still count, and whether there are more.
fn matches(
    ledger: &Ledger,
    sight: &Sight,
    sought: &Sought,
    found: &[Found],
) -> Result<(Vec<NameMatch>, bool), Failure> {
    let keyring = ledger.keyring().ok_or_else(Failure::no_keys)?;
    let (mut exact, mut approximate) = (Vec::new(), Vec::new());
    for found in found {
        if exact.len() > SEARCH_MATCHES_MAX {
            break;
        }
        let case = ledger.views().case(found.case_id).cloned();
        // Names are of class identity: whom a referral does not open it to finds none.
        let is_opened = |case: &Arc<CaseState>| {
            let identity = [PersonalClass::Identity];
            !sight.opened(case, &identity).is_empty()
        };
        let Some(case) = case.filter(is_opened) else {
            continue;
        };
        let facts = case.facts();
        let counts = |position| {
            let place = facts.binary_search_by_key(&position, |fact| fact.position);
            let place = place.ok().and_then(|place| u32::try_from(place).ok());
            place.is_some_and(|place| case.removed_by(place).is_none())
        };
        let kind = match found.is_exact(sought, counts) {
            _ if keyring.is_erased(found.subject) => continue,
            None => continue,
            Some(true) => NameMatchKind::Exact,
            Some(false) => NameMatchKind::Approximate,
        };
        let list = match kind {
            NameMatchKind::Exact => &mut exact,
            _ if approximate.len() > SEARCH_MATCHES_MAX => continue,
            _ => &mut approximate,
        };
        list.push(NameMatch {
            case_id: found.case_id.to_string(),
            subject_id: found.subject.to_string(),
            kind: kind.into(),
        });
    }
    exact.append(&mut approximate);
    let more = exact.len() > SEARCH_MATCHES_MAX;
    exact.truncate(SEARCH_MATCHES_MAX);
    Ok((exact, more))
}
