//! Keys that were handed to submissions, and that no durable record names yet.
//!
//! A submission is sealed before it is judged, and whoever sends ones that are refused must not fill the
//! store. So such a key is its subject's for as long as a submission is on its way that was sealed under
//! it, and from then on until there are too many of them; only what is recorded is kept for good.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use uuid::Uuid;

use super::key::SubjectKey;

/// How many keys are kept for subjects of whom nothing was recorded and nothing is on its way.
const KEPT_MAX: usize = 16 * 1024;

/// A key that no durable record names yet.
pub(super) struct NewKey {
    pub(super) slot: u32,
    pub(super) key: Arc<SubjectKey>,
    /// Whether a submission that was sealed under it was accepted, so that a record may name it.
    accepted: AtomicBool,
}

impl NewKey {
    pub(super) fn new(slot: u32, key: Arc<SubjectKey>) -> Self {
        Self {
            slot,
            key,
            accepted: AtomicBool::new(false),
        }
    }

    /// Whether no record can name it, so that its slot may get another key. One that was forgotten and
    /// is not is left to the next start, which reads what the log says.
    pub(super) fn is_nobodys(&self) -> bool {
        !self.accepted.load(Ordering::Relaxed)
    }
}

/// The keys under which a submission was sealed and which no durable record named by then. They stay
/// their subjects' for as long as this is kept: until it is known what became of the submission.
#[derive(Default)]
pub struct NewKeys(pub(super) Vec<(Uuid, Arc<NewKey>)>);

impl NewKeys {
    /// Takes in that the submission was accepted, so that a record may come to name the keys, whatever
    /// is known of that.
    pub fn accepted(&self) {
        for (_, key) in &self.0 {
            key.accepted.store(true, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for NewKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "NewKeys({} keys, withheld)", self.0.len())
    }
}

/// All such keys, by their subjects.
#[derive(Default)]
pub(super) struct Unrecorded {
    keys: HashMap<Uuid, Arc<NewKey>>,
    /// How many there were on their way when that was last looked at.
    on_their_way: usize,
}

impl Unrecorded {
    pub(super) fn get(&self, subject: Uuid) -> Option<Arc<NewKey>> {
        self.keys.get(&subject).cloned()
    }

    pub(super) fn remove(&mut self, subject: Uuid) -> Option<Arc<NewKey>> {
        self.keys.remove(&subject)
    }

    /// Takes a key in, and first, where there are too many, forgets those of which nothing is on its way.
    /// Returns what was forgotten; see [`NewKey::is_nobodys`].
    #[must_use]
    pub(super) fn insert(&mut self, subject: Uuid, key: Arc<NewKey>) -> Vec<Arc<NewKey>> {
        let mut forgotten = Vec::new();
        if self.keys.len() >= KEPT_MAX + 2 * self.on_their_way {
            let idle = self.keys.extract_if(|_, key| Arc::get_mut(key).is_some());
            forgotten.extend(idle.map(|(_, key)| key));
            self.on_their_way = self.keys.len();
        }
        self.keys.insert(subject, key);
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    fn new_key(slot: u32) -> Arc<NewKey> {
        let key = SubjectKey::new(slot.into(), Zeroizing::new([0; 32]));
        Arc::new(NewKey::new(slot, Arc::new(key)))
    }

    #[test]
    fn what_is_on_its_way_is_kept_and_of_the_rest_only_so_many() {
        let mut unrecorded = Unrecorded::default();
        let kept = new_key(0);
        let first = Uuid::from_u128(0);
        let none = unrecorded.insert(first, Arc::clone(&kept));
        assert!(none.is_empty());
        let accepted = new_key(1);
        NewKeys(vec![(Uuid::from_u128(1), Arc::clone(&accepted))]).accepted();
        let none = unrecorded.insert(Uuid::from_u128(1), accepted);
        assert!(none.is_empty());
        let mut forgotten = Vec::new();
        for number in 2..100_000 {
            let subject = Uuid::from_u128(number.into());
            forgotten.extend(unrecorded.insert(subject, new_key(number)));
            assert!(unrecorded.keys.len() <= KEPT_MAX + 3);
        }
        assert!(unrecorded.get(first).is_some());
        assert!(forgotten.len() >= 100_000 - KEPT_MAX - 3);
        // The one that a record may name becomes nobody else's.
        let not_free = forgotten.iter().filter(|key| !key.is_nobodys());
        assert_eq!(not_free.map(|key| key.slot).collect::<Vec<_>>(), [1]);
    }
}
