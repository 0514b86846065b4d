//! All cases in the order in which they were opened, cheap to take as they stand at one moment.
//!
//! They lie in chunks that are shared until one of their cases changes: taking a million cases takes
//! some thousand references, and who holds them for long costs a copy of each chunk that changes
//! meanwhile, not a copy of all.

use std::sync::Arc;

use crate::domain::CaseState;

/// Number of cases in a chunk: few enough that copying one under a lock is not noticed.
const CHUNK_CASES: usize = 256;

type Chunk = Vec<Arc<CaseState>>;

/// CaseList in the order in which they were opened; a case keeps its place for ever. Cloning takes
/// references.
#[derive(Debug, Clone, Default)]
pub struct CaseList {
    /// All but the last are full.
    chunks: Vec<Arc<Chunk>>,
    len: usize,
}

impl CaseList {
    /// Number of cases.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The case at a place.
    pub fn get(&self, place: usize) -> Option<&Arc<CaseState>> {
        self.chunks
            .get(place / CHUNK_CASES)?
            .get(place % CHUNK_CASES)
    }

    /// The cases in order; skipping is quick.
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            cases: self,
            place: 0,
        }
    }

    /// So many cases from a place on, taken as they stand by a few references.
    pub fn part(&self, begin: usize, count: usize) -> impl Iterator<Item = Arc<CaseState>> + use<> {
        let (first, end) = (
            (begin / CHUNK_CASES).min(self.chunks.len()),
            begin.saturating_add(count).div_ceil(CHUNK_CASES),
        );
        let chunks = self.chunks.iter().take(end).skip(first).cloned();
        let cases = IntoIter {
            chunks: chunks.collect::<Vec<_>>().into_iter(),
            chunk: Arc::default(),
            place: 0,
        };
        cases.skip(begin % CHUNK_CASES).take(count)
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut Arc<CaseState>> {
        let chunk = self.chunks.get_mut(place / CHUNK_CASES)?;
        Arc::make_mut(chunk).get_mut(place % CHUNK_CASES)
    }

    pub(super) fn push(&mut self, case: Arc<CaseState>) {
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK_CASES => Arc::make_mut(last).push(case),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK_CASES);
                chunk.push(case);
                self.chunks.push(Arc::new(chunk));
            }
        }
        self.len += 1;
    }
}

impl<'a> IntoIterator for &'a CaseList {
    type Item = &'a Arc<CaseState>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// References to cases in order.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    cases: &'a CaseList,
    place: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Arc<CaseState>;

    fn next(&mut self) -> Option<Self::Item> {
        let case = self.cases.get(self.place)?;
        self.place += 1;
        Some(case)
    }

    fn nth(&mut self, skipped: usize) -> Option<Self::Item> {
        self.place = self.place.saturating_add(skipped);
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.cases.len.saturating_sub(self.place);
        (left, Some(left))
    }
}

impl IntoIterator for CaseList {
    type Item = Arc<CaseState>;
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        IntoIter {
            chunks: self.chunks.into_iter(),
            chunk: Arc::default(),
            place: 0,
        }
    }
}

/// CaseList in order; each chunk is let go once it is passed.
#[derive(Debug)]
pub struct IntoIter {
    chunks: std::vec::IntoIter<Arc<Chunk>>,
    chunk: Arc<Chunk>,
    place: usize,
}

impl Iterator for IntoIter {
    type Item = Arc<CaseState>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.place >= self.chunk.len() {
            self.chunk = self.chunks.next()?;
            self.place = 0;
        }
        let case = self.chunk.get(self.place).cloned();
        self.place += 1;
        case
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn ids<'a>(cases: impl IntoIterator<Item = &'a Arc<CaseState>>) -> Vec<u128> {
        cases
            .into_iter()
            .map(|case| case.case_id().as_u128())
            .collect()
    }

    #[test]
    fn cases_keep_their_places_and_what_was_taken_stays_as_it_was() {
        let new = |id| Arc::new(CaseState::new(Uuid::from_u128(id)));
        let mut cases = CaseList::default();
        for id in 0..1_000 {
            cases.push(new(id));
        }
        let taken = cases.clone();
        *cases.get_mut(300).unwrap() = new(7_000);
        for id in 1_000..1_100 {
            cases.push(new(id));
        }
        let before: Vec<u128> = (0..1_000).collect();
        let mut after: Vec<u128> = (0..1_100).collect();
        after.splice(300..301, [7_000]);
        assert_eq!((taken.len(), ids(&taken)), (1_000, before.clone()));
        assert_eq!((cases.len(), ids(&cases)), (1_100, after));
        let owned: Vec<_> = taken.clone().into_iter().collect();
        assert_eq!(ids(&owned), before);
        for skipped in [0, 1, 255, 256, 257, 999, 1_000, usize::MAX] {
            let rest = ids(taken.iter().skip(skipped).take(300));
            let part: Vec<_> = taken.part(skipped, 300).collect();
            assert_eq!(ids(&part), rest);
            assert_eq!(
                rest,
                before
                    .iter()
                    .copied()
                    .skip(skipped)
                    .take(300)
                    .collect::<Vec<_>>()
            );
        }
    }
}
