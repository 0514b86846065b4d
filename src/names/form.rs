//! The forms under which a part of a name is found: one as it is written, and those of how it may be
//! written in Latin letters.

use std::fmt;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};
use zeroize::Zeroizing;

use super::approximate;

/// A part of a name, ready to be searched for. Its Debug shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    /// As written, but for case, diacritics and vowel points.
    pub exact: Zeroizing<String>,
    /// How it may sound in Latin letters. Empty for an article, which any name may have or lack.
    pub approximate: Vec<Zeroizing<String>>,
}

impl fmt::Debug for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Part(withheld)")
    }
}

/// The parts that a text has: its words, where a hyphen separates words and an apostrophe doesn't.
pub fn parts(text: &str) -> Vec<Part> {
    // Room enough for every form, so that no copy of the text is left behind by growing. NFKC makes of a
    // text at most eleven times as many bytes (U+FDFA).
    let mut composed = Zeroizing::new(String::with_capacity(text.len().saturating_mul(11)));
    composed.extend(text.nfkc().filter(|letter| !is_ignored(*letter)));
    composed
        .split(|letter: char| !letter.is_alphanumeric() && !is_combining_mark(letter))
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .map(|word| Part {
            exact: exact(word),
            approximate: approximate::forms(word),
        })
        .collect()
}

/// The form as written: decomposed (Unicode NFKD), without diacritics, in one case.
fn exact(word: &str) -> Zeroizing<String> {
    // What is composed in compatible letters becomes at most three times as long.
    let mut form = Zeroizing::new(String::with_capacity(word.len().saturating_mul(4)));
    let letters = word.nfkd().filter(|letter| !is_diacritic(*letter));
    form.extend(letters.flat_map(in_one_case).map(unified));
    form
}

/// A letter without its case: by way of upper case, which makes ß and SS, ς and σ, ı and I equal.
pub(super) fn in_one_case(letter: char) -> impl Iterator<Item = char> {
    letter.to_uppercase().flat_map(char::to_lowercase)
}

/// Whether it is a mark that is often left out: an accent or a vowel point of the European scripts and
/// of Hebrew, Arabic and Syriac. Vowel signs of other scripts are letters of their own, and stay.
pub(super) fn is_diacritic(letter: char) -> bool {
    matches!(canonical_combining_class(letter), 1 | 10..=36 | 202..=240)
}

/// What stands within a word and says nothing: apostrophes, the joiners, and the Arabic stretch.
fn is_ignored(letter: char) -> bool {
    matches!(
        letter,
        '\'' | '`' | '´' | '‘' | '’' | 'ʹ'..='ʿ' | 'ˈ' | '\u{ad}' | '\u{200c}' | '\u{200d}' | 'ـ'
    )
}

/// Letters of the Arabic script that languages and keyboards write differently.
fn unified(letter: char) -> char {
    match letter {
        'ک' => 'ك',
        'ی' | 'ى' => 'ي',
        'ة' | 'ہ' | 'ە' => 'ه',
        other => other,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn exact_of(text: &str) -> Vec<String> {
        parts(text)
            .iter()
            .map(|part| part.exact.to_string())
            .collect()
    }

    #[test]
    fn a_word_is_as_it_is_written_but_for_case_and_diacritics() {
        for (one, other) in [
            ("José", "JOSE\u{301}"),
            ("Straße", "STRASSE"),
            ("Γιώργος", "ΓΙΩΡΓΟΣ"),
            ("Королёв", "КОРОЛЕВ"),
            ("أحمد", "احمد"),
            ("مُحَمَّد", "محمد"),
            ("محــمد", "محمد"),
            ("کریم", "كريم"),
            ("فاطمة", "فاطمه"),
            ("Ｍａｒｉａ", "maria"),
            ("O’Brien", "obrien"),
            ("İbrahim", "ibrahim"),
            ("ﬁona", "Fiona"),
        ] {
            assert_eq!(exact_of(one), exact_of(other), "{one} {other}");
        }
    }

    #[test]
    fn words_of_several_scripts_stay_different_words() {
        assert_ne!(exact_of("Иванов"), exact_of("Ivanov"));
        // Vowel signs are letters: Rani and Renu.
        assert_ne!(exact_of("रानी"), exact_of("रेनू"));
    }

    #[test]
    fn spaces_hyphens_and_other_signs_separate_words_and_leave_none_empty() {
        assert_eq!(exact_of("  al-Hasan, Omar."), ["al", "hasan", "omar"]);
        assert_eq!(exact_of("Abd\u{a0}al Rahman"), ["abd", "al", "rahman"]);
        assert_eq!(exact_of(" - ' \u{301} "), [""; 0]);
    }

    #[test]
    fn a_part_shows_nothing_of_itself() {
        assert_eq!(format!("{:?}", parts("Ivanov")), "[Part(withheld)]");
    }
}
