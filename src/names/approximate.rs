//! How a word may sound, written so that common romanisations of one name become one form.
//!
//! 1. Into Latin letters: by a small table where a letter's usual romanisations differ, and by
//!    `any_ascii` for all others. The Arabic article is left out.
//! 2. Groups of letters that stand for one sound become one letter: `kh` and `h`, `sch` and `sh`, `tsch`
//!    and `ch`, `w` and `v`, `y`, `i` and `j`. Where a spelling has two readings (`ch` as in Chekhov or
//!    in Bach, `j` as in Jamal or in Jan, a `c` at the end, the Arabic `و`), both are forms.
//! 3. Doubled letters become one; an `h` at the end is silent; vowels but the first are left out, and the
//!    first is `a`, or `i` for a glide as in Yusuf.
//!
//! It finds too much rather than too little: whoever searches sees what matched, and judges.

use any_ascii::any_ascii_char;
use zeroize::Zeroizing;

use super::form::{in_one_case, is_diacritic};

/// No more forms of a word than that, however many of its letters have two readings.
const FORMS_MAX: usize = 8;

/// `ch` with two readings, within a word in Latin letters.
const CH: char = 'C';
/// `j` with two readings.
const J: char = 'J';
/// `c` at the end, with two readings.
const LAST_C: char = 'K';
/// `و` within a word: a consonant or a long vowel.
const WAW: char = 'W';

/// Groups that stand for one sound, of which the first that fits counts.
const SOUNDS: [(&str, char); 32] = [
    ("schtsch", 'x'),
    ("shtch", 'x'),
    ("shch", 'x'),
    ("tsch", 'c'),
    ("dsch", 'j'),
    ("dzh", 'j'),
    ("tch", 'c'),
    ("sch", 'x'),
    ("dj", 'j'),
    ("cz", 'c'),
    ("sh", 'x'),
    ("zh", 'x'),
    ("ch", CH),
    ("kh", 'h'),
    ("ph", 'f'),
    ("gh", 'g'),
    ("th", 't'),
    ("dh", 'd'),
    ("ck", 'k'),
    ("qu", 'k'),
    ("ts", 'z'),
    ("tz", 'z'),
    ("ce", 's'),
    ("ci", 's'),
    ("cy", 's'),
    ("c", 'k'),
    ("q", 'k'),
    ("w", 'v'),
    ("j", J),
    ("i", 'y'),
    ("o", 'u'),
    ("a", 'a'),
];

/// The forms of a word that is composed (Unicode NFKC); none for an article.
pub(super) fn forms(word: &str) -> Vec<Zeroizing<String>> {
    let latin = latin(word);
    if matches!(latin.as_str(), "al" | "el") {
        return Vec::new();
    }
    let sounds = sounds(&latin);
    let mut readings = vec![Zeroizing::new(String::with_capacity(sounds.len()))];
    for sound in sounds.chars() {
        let (one, other) = match sound {
            CH => ("c", Some("h")),
            J => ("y", Some("j")),
            LAST_C => ("c", Some("k")),
            WAW => ("v", Some("")),
            _ => {
                readings.iter_mut().for_each(|reading| reading.push(sound));
                continue;
            }
        };
        let others = other.filter(|_| readings.len() < FORMS_MAX);
        let others = others.map(|other| {
            let mut copies = readings.clone();
            copies.iter_mut().for_each(|copy| copy.push_str(other));
            copies
        });
        readings
            .iter_mut()
            .for_each(|reading| reading.push_str(one));
        readings.extend(others.into_iter().flatten());
    }
    let mut forms: Vec<_> = readings.iter().map(|reading| skeleton(reading)).collect();
    forms.sort_by(|one, other| one.as_str().cmp(other));
    forms.dedup();
    forms
}

/// The word in small Latin letters and digits, with the signs of two readings among them.
fn latin(word: &str) -> Zeroizing<String> {
    let mut letters = Zeroizing::new(String::with_capacity(word.len().saturating_mul(4)));
    let composed = word.chars().flat_map(char::to_lowercase);
    letters.extend(composed.filter(|letter| !is_diacritic(*letter)));
    // An article is left out where a name is left.
    let named = letters.strip_prefix("ال");
    let named = named.filter(|rest| rest.chars().count() > 2);
    let named = named.unwrap_or(letters.as_str());
    let mut latin = Zeroizing::new(String::with_capacity(word.len().saturating_mul(4)));
    for (place, letter) in named.chars().enumerate() {
        match usual(letter, place == 0) {
            Some(usual) => latin.push_str(usual),
            None => {
                let ascii = any_ascii_char(letter).chars();
                let ascii = ascii.filter(char::is_ascii_alphanumeric);
                latin.extend(ascii.flat_map(in_one_case));
            }
        }
    }
    latin
}

/// How a letter is put into Latin letters here.
fn usual(letter: char, is_first: bool) -> Option<&'static str> {
    Some(match letter {
        'č' | 'ć' | 'ç' | 'ĉ' | 'ч' | 'ћ' | 'چ' => "tch",
        'š' | 'ş' | 'ș' | 'ŝ' | 'ś' | 'ш' | 'ش' => "sh",
        'ž' | 'ż' | 'ź' | 'ж' | 'ژ' => "zh",
        'щ' => "shtch",
        'х' | 'χ' | 'خ' | 'ح' => "kh",
        'ц' => "ts",
        'џ' | 'ج' => "dzh",
        'ъ' | 'ь' | 'ء' => "",
        'ع' | 'آ' | 'أ' | 'إ' | 'ا' | 'ى' | 'ة' => "a",
        'ي' | 'ی' if is_first => "ya",
        'و' if !is_first => "W",
        'و' => "w",
        'ظ' => "z",
        'ذ' => "dh",
        'ث' => "th",
        'غ' => "gh",
        'ي' | 'ی' => "y",
        _ => return None,
    })
}

/// The word with one letter for a sound.
fn sounds(latin: &str) -> Zeroizing<String> {
    let mut sounds = Zeroizing::new(String::with_capacity(latin.len().saturating_mul(2)));
    let mut rest = latin;
    while let Some(first) = rest.chars().next() {
        let fitting = SOUNDS.iter().find(|(group, _)| rest.starts_with(group));
        let (taken, sound) = match (rest, fitting) {
            ("c", _) => (1, LAST_C),
            // Silent.
            ("h", _) if !sounds.is_empty() => break,
            // As in -ov and -off.
            ("f" | "ff", _) => (rest.len(), 'v'),
            (_, None) if first == 'x' => {
                sounds.push('k');
                (1, 's')
            }
            (_, Some((group, sound))) => (group.len(), *sound),
            (_, None) => (first.len_utf8(), first),
        };
        if !sounds.ends_with(sound) {
            sounds.push(sound);
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    sounds
}

/// The sounds without vowels but the first.
fn skeleton(sounds: &str) -> Zeroizing<String> {
    let is_vowel = |sound: char| matches!(sound, 'a' | 'e' | 'y' | 'u');
    let consonants = sounds.trim_start_matches(is_vowel);
    let vowels = sounds.strip_suffix(consonants).unwrap_or_default();
    let mut vowels = vowels.chars();
    let first = match (vowels.next(), vowels.next()) {
        (None, _) => "",
        // Elena and Yelena are one, Yusuf and Usuf two.
        (Some('y'), Some(next)) if next != 'e' => "i",
        (Some(_), _) => "a",
    };
    let mut form = Zeroizing::new(String::with_capacity(sounds.len()));
    form.push_str(first);
    form.extend(consonants.chars().filter(|sound| !is_vowel(*sound)));
    // Too little is left to tell one name from another.
    if form.len() < 2 {
        form = Zeroizing::new(sounds.to_owned());
    }
    form
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn alike(one: &str, other: &str) -> bool {
        let others = forms(other);
        forms(one).iter().any(|form| others.contains(form))
    }

    #[test]
    fn romanisations_of_one_name_sound_alike() {
        for group in [
            &["Иванов", "Ivanov", "Iwanow", "Ivanoff", "Yvanov"][..],
            &["Чехов", "Chekhov", "Tschechow", "Čechov", "Tchekhov"],
            &["Хрущёв", "Khrushchev", "Chruschtschow"],
            &["Жуков", "Zhukov", "Schukow", "Žukov"],
            &["Юрий", "Yuri", "Jurij", "Iouri", "Yury"],
            &["Елена", "Elena", "Yelena", "Jelena"],
            &["Михаил", "Mikhail", "Michail", "Mihail"],
            &["محمد", "مُحَمَّد", "Muhammad", "Mohamed", "Mohammed"],
            &["يوسف", "Yusuf", "Youssef", "Jusuf", "Yousuf"],
            &["عمر", "Omar", "Umar", "Omer"],
            &["الحسن", "حسن", "Hassan", "Hasan"],
            &["إبراهيم", "Ibrahim", "Ebrahim"],
            &["فاطمة", "Fatima", "Fatimah", "Fatma"],
            &["جمال", "Jamal", "Djamal", "Dschamal", "Dzhamal"],
            &["خالد", "Khaled", "Khalid", "Chalid"],
            &["وليد", "Walid", "Waleed", "Valid"],
            &["يحيى", "Yahya", "Jahja"],
            &["Παπαδόπουλος", "Papadopoulos", "Papadopulos"],
            &["Χρήστος", "Christos", "Hristos", "Khristos"],
            &["Müller", "Muller", "Mueller"],
            &["Łukasz", "Lukasz"],
            &["Đukić", "Dukic", "Dukich"],
            &["Хасанов", "Hasanov", "Khasanov", "Chasanow"],
        ] {
            let mut group = group.iter();
            let first = group.next().unwrap_or(&"");
            for other in group {
                assert!(
                    alike(first, other),
                    "{first} {:?} and {other} {:?}",
                    forms(first),
                    forms(other)
                );
            }
        }
    }

    #[test]
    fn different_names_don_t() {
        for (one, other) in [
            ("Ivanov", "Petrov"),
            ("Omar", "Amir Khan"),
            ("Hasan", "Husayb"),
            ("Li", "Le"),
            ("محمد", "محمود شاه"),
            ("Elena", "Yusuf"),
            ("Anna", "Ivana"),
            ("Sara", "Zahra"),
        ] {
            assert!(!alike(one, other), "{one} {other} {:?}", forms(one));
        }
    }

    #[test]
    fn an_article_has_no_form_and_forms_are_few() {
        assert!(forms("al").is_empty());
        assert!(forms("EL").is_empty());
        assert!(forms(&"chj".repeat(30)).len() <= FORMS_MAX);
    }
}
