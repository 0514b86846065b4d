//! The index: by keyed tokens of names to the cases and subjects that have them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use ring::hmac;
use ring::rand::SystemRandom;
use uuid::Uuid;

use super::form::{Part, parts};
use crate::wire::edtf;
use crate::wire::v1::{PersonalValue, personal_value::Value};

/// The field of a subject's own name; in others there are names of next of kin, or former ones.
const OWN_NAME: &str = "name";
/// The field of a birth date.
const BIRTH_DATE: &str = "birth_date";
/// A birth date that can be in more years than so many tells none.
const BIRTH_YEARS_MAX: i32 = 30;

/// Tokens of names, and where they lead.
pub struct NameIndex {
    key: hmac::Key,
    /// Each with the number of an entry.
    tokens: BTreeSet<(Token, u32)>,
    /// By their numbers, one for each value; none for what was forgotten.
    entries: Vec<Option<Entry>>,
}

#[derive(Clone, Copy)]
struct Entry {
    named: Named,
    is_own_name: bool,
}

/// What finds a value.
#[derive(Debug, PartialEq, Eq)]
pub struct Tokens {
    tokens: Vec<Token>,
    is_own_name: bool,
}

/// The first eight bytes of the HMAC of a form.
type Token = u64;

/// A subject that is named by an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The case.
    pub case_id: Uuid,
    /// The subject.
    pub subject: Uuid,
    /// Position of the event's record.
    pub position: u64,
}

/// What is searched for, as tokens.
#[derive(Clone)]
pub struct Sought {
    parts: Vec<SoughtPart>,
    /// How many of them, from the first on, are words of a name.
    words: usize,
}

#[derive(Clone)]
struct SoughtPart {
    exact: Token,
    approximate: Vec<Token>,
}

/// A subject in a case whose names have everything that was searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The case.
    pub case_id: Uuid,
    /// The subject.
    pub subject: Uuid,
    /// What of it stands where.
    pub hits: Vec<Hit>,
}

/// That an event has something that was searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// Position of the event's record.
    pub position: u64,
    /// The value among all that are indexed.
    pub value: u32,
    /// The place of the part among those searched for.
    pub part: usize,
    /// Whether it is written so in the subject's own name, and does not only sound so, or belong to
    /// another name of or about them.
    pub exact: bool,
}

impl Found {
    /// How it matches, by those events alone that count: exactly, which takes every word in one name,
    /// approximately, or not at all any more.
    pub fn is_exact(&self, sought: &Sought, counts: impl Fn(u64) -> bool) -> Option<bool> {
        let hits = self.hits.iter().filter(|hit| counts(hit.position));
        let mut sounding = HashSet::new();
        let mut written: HashMap<u32, HashSet<usize>> = HashMap::new();
        for hit in hits {
            sounding.insert(hit.part);
            if hit.exact && hit.part < sought.words {
                written.entry(hit.value).or_default().insert(hit.part);
            }
        }
        let is_exact = written.values().any(|words| words.len() == sought.words);
        (sounding.len() == sought.parts.len()).then_some(is_exact)
    }
}

/// The system gives no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRandomness;

impl fmt::Display for NoRandomness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the system gives no random bytes")
    }
}

impl std::error::Error for NoRandomness {}

impl NameIndex {
    /// An empty index under a key of its own.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new() -> Result<Self, NoRandomness> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Ok(Self {
            key: key.map_err(|_| NoRandomness)?,
            tokens: BTreeSet::new(),
            entries: Vec::new(),
        })
    }

    /// What finds a value: the names in it, as written and as given in Latin letters, or the years of a
    /// birth date. Empty for any other value.
    pub fn tokens_of(&self, value: &PersonalValue) -> Tokens {
        let mut tokens = Vec::new();
        match &value.value {
            Some(Value::Name(name)) => {
                for part in &name.parts {
                    for text in [&part.text, &part.romanisation] {
                        for part in parts(text) {
                            tokens.push(self.exact(&part));
                            tokens.extend(self.approximate(&part));
                        }
                    }
                }
            }
            Some(Value::Text(text)) if value.field == BIRTH_DATE => {
                if let Ok(days) = edtf::days(text) {
                    let (first, last) = (days.earliest.year(), days.latest.year());
                    if last.saturating_sub(first) < BIRTH_YEARS_MAX {
                        tokens.extend((first..=last).map(|year| self.year(year)));
                    }
                }
            }
            _ => {}
        }
        Tokens {
            tokens,
            is_own_name: value.field == OWN_NAME,
        }
    }

    /// Takes in a value that finds a subject.
    pub fn insert(&mut self, named: Named, tokens: Tokens) {
        let Tokens {
            tokens,
            is_own_name,
        } = tokens;
        let Ok(number) = u32::try_from(self.entries.len()) else {
            return;
        };
        if tokens.is_empty() {
            return;
        }
        self.entries.push(Some(Entry { named, is_own_name }));
        self.tokens
            .extend(tokens.into_iter().map(|token| (token, number)));
    }

    /// Forgets all that leads to subjects. It passes over the whole index.
    pub fn forget(&mut self, subjects: &HashSet<Uuid>) {
        let mut forgotten = HashSet::new();
        for (number, entry) in (0_u32..).zip(&mut self.entries) {
            if entry.is_some_and(|entry| subjects.contains(&entry.named.subject)) {
                *entry = None;
                forgotten.insert(number);
            }
        }
        if !forgotten.is_empty() {
            self.tokens
                .retain(|(_, number)| !forgotten.contains(number));
        }
    }

    /// What to search for: the words of all these texts, and a birth year. None where there is no word.
    pub fn sought(&self, texts: &[String], birth_year: Option<i32>) -> Option<Sought> {
        let words: Vec<Part> = texts.iter().flat_map(|text| parts(text)).collect();
        // An article is looked for only where nothing else is.
        let names = words.iter().filter(|part| !part.approximate.is_empty());
        let mut sought: Vec<_> = names.map(|part| self.sought_part(part)).collect();
        if sought.is_empty() {
            sought.extend(words.iter().map(|part| self.sought_part(part)));
        }
        if sought.is_empty() {
            return None;
        }
        let words = sought.len();
        sought.extend(birth_year.map(|year| SoughtPart {
            exact: self.year(year),
            approximate: Vec::new(),
        }));
        Some(Sought {
            parts: sought,
            words,
        })
    }

    /// The subjects in cases that have each part of what is searched for, whether the events still count
    /// or not, in the order of their identifiers.
    pub fn find(&self, sought: &Sought) -> Vec<Found> {
        let parts = sought.parts.iter().enumerate();
        let mut hits: Vec<(usize, Vec<(u32, bool)>)> = parts
            .map(|(place, part)| (place, self.hits(part)))
            .collect();
        // What the rarest part does not lead to is not looked at.
        hits.sort_by_key(|(_, entries)| entries.len());
        let mut found: HashMap<(Uuid, Uuid), Vec<Hit>> = HashMap::new();
        for (turn, (part, entries)) in hits.into_iter().enumerate() {
            for (number, exact) in entries {
                let entry = usize::try_from(number).ok();
                let entry = entry.and_then(|number| self.entries.get(number).copied().flatten());
                let Some(Entry { named, is_own_name }) = entry else {
                    continue;
                };
                let hit = Hit {
                    position: named.position,
                    value: number,
                    part,
                    exact: exact && is_own_name,
                };
                let key = (named.case_id, named.subject);
                match found.get_mut(&key) {
                    Some(hits) => hits.push(hit),
                    None if turn == 0 => drop(found.insert(key, vec![hit])),
                    None => {}
                }
            }
            found.retain(|_, hits| hits.iter().any(|hit| hit.part == part));
        }
        let mut found: Vec<_> = found
            .into_iter()
            .map(|((case_id, subject), hits)| Found {
                case_id,
                subject,
                hits,
            })
            .collect();
        found.sort_unstable_by_key(|found| (found.case_id, found.subject));
        found
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether it leads to nobody.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    fn hits(&self, part: &SoughtPart) -> Vec<(u32, bool)> {
        let of = |token: Token| {
            let range = self.tokens.range((token, 0)..=(token, u32::MAX));
            range.map(|(_, number)| *number)
        };
        let exact = of(part.exact).map(|number| (number, true));
        let approximate = part.approximate.iter().flat_map(|token| of(*token));
        exact
            .chain(approximate.map(|number| (number, false)))
            .collect()
    }

    fn sought_part(&self, part: &Part) -> SoughtPart {
        SoughtPart {
            exact: self.exact(part),
            approximate: self.approximate(part).collect(),
        }
    }

    fn exact(&self, part: &Part) -> Token {
        self.token(b"written", part.exact.as_bytes())
    }

    fn approximate(&self, part: &Part) -> impl Iterator<Item = Token> {
        let forms = part.approximate.iter();
        forms.map(|form| self.token(b"sounds", form.as_bytes()))
    }

    fn year(&self, year: i32) -> Token {
        self.token(b"born", &year.to_be_bytes())
    }

    fn token(&self, kind: &[u8], form: &[u8]) -> Token {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(kind);
        context.update(&[0]);
        context.update(form);
        let tag = context.sign();
        let first = tag.as_ref().first_chunk().copied();
        u64::from_be_bytes(first.unwrap_or_default())
    }
}

impl fmt::Debug for NameIndex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NameIndex").finish_non_exhaustive()
    }
}

impl fmt::Debug for Sought {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Sought(withheld)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::wire::v1::{PersonName, PersonNamePart};

    fn name(parts: &[(&str, &str)]) -> PersonalValue {
        let parts = parts.iter().map(|(text, romanisation)| PersonNamePart {
            text: (*text).to_owned(),
            romanisation: (*romanisation).to_owned(),
            ..PersonNamePart::default()
        });
        let name = PersonName {
            parts: parts.collect(),
        };
        value("name", Value::Name(name))
    }

    fn value(field: &str, value: Value) -> PersonalValue {
        PersonalValue {
            subject_id: String::new(),
            personal_class: 0,
            field: field.to_owned(),
            value: Some(value),
        }
    }

    fn named(number: u128) -> Named {
        Named {
            case_id: Uuid::from_u128(number),
            subject: Uuid::from_u128(number + 1_000),
            position: u64::try_from(number).unwrap(),
        }
    }

    /// The numbers of those found, and whether exactly.
    fn found(index: &NameIndex, texts: &[&str], year: Option<i32>) -> Vec<(u128, bool)> {
        let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        let sought = index.sought(&texts, year).unwrap();
        let found = index.find(&sought).into_iter();
        found
            .filter_map(|found| {
                let exact = found.is_exact(&sought, |_| true)?;
                Some((found.case_id.as_u128(), exact))
            })
            .collect()
    }

    fn index(names: &[PersonalValue]) -> NameIndex {
        let mut index = NameIndex::new().unwrap();
        for (number, value) in (1..).zip(names) {
            let tokens = index.tokens_of(value);
            index.insert(named(number), tokens);
        }
        index
    }

    #[test]
    fn every_part_has_to_be_there_in_whatever_order() {
        let index = index(&[
            name(&[("Иван", "Ivan"), ("Петров", "")]),
            name(&[("Ivan", ""), ("Sidorov", "")]),
        ]);
        assert_eq!(found(&index, &["петров", "ИВАН"], None), [(1, true)]);
        assert_eq!(found(&index, &["Petrov Ivan"], None), [(1, false)]);
        assert_eq!(found(&index, &["Ivan"], None), [(1, true), (2, true)]);
        assert_eq!(found(&index, &["Ivan", "Orlov"], None), []);
        assert!(index.sought(&[" - ".to_owned()], None).is_none());
    }

    #[test]
    fn an_exact_match_is_one_whole_name_of_the_subjects_own() {
        let mut index = index(&[name(&[("Ivan", ""), ("Petrov", "")])]);
        let mut of_kin = name(&[("Olga", ""), ("Orlova", "")]);
        "next_of_kin".clone_into(&mut of_kin.field);
        let alias = name(&[("Pavel", ""), ("Orlov", "")]);
        let born = value(BIRTH_DATE, Value::Text("1991".to_owned()));
        for value in [of_kin, alias, born] {
            let tokens = index.tokens_of(&value);
            index.insert(named(1), tokens);
        }
        assert_eq!(found(&index, &["Petrov", "Ivan"], None), [(1, true)]);
        assert_eq!(found(&index, &["Pavel Orlov"], Some(1991)), [(1, true)]);
        assert_eq!(found(&index, &["Pavel Orlov"], Some(1992)), []);
        // Words of several names, and a name of somebody else, are told, but not as the name.
        assert_eq!(found(&index, &["Ivan Orlov"], None), [(1, false)]);
        assert_eq!(found(&index, &["Olga Orlova"], None), [(1, false)]);
        assert_eq!(found(&index, &["Olga"], Some(1991)), [(1, false)]);
    }

    #[test]
    fn an_article_matters_only_where_nothing_else_is_searched_for() {
        let index = index(&[name(&[("al-Hasan", "")]), name(&[("الحسن", "")])]);
        assert_eq!(found(&index, &["Hassan"], None), [(1, false), (2, false)]);
        assert_eq!(found(&index, &["al-hasan"], None), [(1, true), (2, false)]);
        assert_eq!(found(&index, &["al"], None), [(1, true)]);
    }

    #[test]
    fn what_is_forgotten_leaves_no_token_and_the_rest_is_found() {
        let mut index = index(&[name(&[("Ivan", "")]), name(&[("Ivan", "")])]);
        let before = index.len();
        index.forget(&HashSet::from([named(1).subject]));
        assert_eq!(index.len(), before / 2);
        assert_eq!(found(&index, &["Ivan"], None), [(2, true)]);
        index.forget(&HashSet::from([named(2).subject]));
        assert!(index.is_empty());
    }

    #[test]
    fn another_index_has_other_tokens() {
        let value = name(&[("Ivan", "")]);
        let (one, other) = (index(&[]), index(&[]));
        assert_eq!(one.tokens_of(&value), one.tokens_of(&value));
        assert_ne!(one.tokens_of(&value), other.tokens_of(&value));
    }

    #[test]
    fn a_birth_year_may_be_one_of_those_that_a_date_can_be() {
        let born = |text: &str| value(BIRTH_DATE, Value::Text(text.to_owned()));
        let mut index = index(&[name(&[("Ivan", "")]), name(&[("Ivan", "")])]);
        for (number, date) in [(1, "1991-02-03"), (2, "199X")] {
            let tokens = index.tokens_of(&born(date));
            index.insert(named(number), tokens);
        }
        assert_eq!(found(&index, &["Ivan"], Some(1991)), [(1, true), (2, true)]);
        assert_eq!(found(&index, &["Ivan"], Some(1992)), [(2, true)]);
        assert_eq!(found(&index, &["Ivan"], Some(1989)), []);
        assert!(index.tokens_of(&born("18XX")).tokens.is_empty());
        assert!(index.tokens_of(&born("not known")).tokens.is_empty());
    }
}
