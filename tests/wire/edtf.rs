//! EDTF dates, read as days.

use casetrail::wire::edtf::{Day, EdtfError, days};
use proptest::prelude::*;
use prost_types::Timestamp;

/// The two days as ISO 8601, or the error.
fn read(text: &str) -> Result<(String, String), EdtfError> {
    days(text).map(|days| (days.earliest.to_string(), days.latest.to_string()))
}

fn assert_days(text: &str, earliest: &str, latest: &str) {
    assert_eq!(
        read(text),
        Ok((earliest.to_owned(), latest.to_owned())),
        "{text}"
    );
}

#[test]
fn dates_of_each_precision_are_all_their_days() {
    assert_days("2024", "2024-01-01", "2024-12-31");
    assert_days("2024-03", "2024-03-01", "2024-03-31");
    assert_days("2024-02", "2024-02-01", "2024-02-29");
    assert_days("2023-02", "2023-02-01", "2023-02-28");
    assert_days("2024-03-05", "2024-03-05", "2024-03-05");
    assert_days("0001-01-01", "0001-01-01", "0001-01-01");
    assert_days("9999-12-31", "9999-12-31", "9999-12-31");
}

#[test]
fn a_date_with_time_is_its_day_as_written() {
    for time in [
        "10:00:00",
        "10:00:00Z",
        "00:30:00+05:30",
        "23:59:59-11",
        "01:00:00+14:00",
    ] {
        assert_days(&format!("2024-03-05T{time}"), "2024-03-05", "2024-03-05");
    }
}

#[test]
fn a_time_that_is_none_is_refused() {
    for time in [
        "",
        "10",
        "10:00",
        "24:00:00",
        "10:60:00",
        "10:00:60",
        "10:00:00.5",
        "10:00:00z",
        "10:00:00+15:00",
        "10:00:00+5",
        "10:00:00Z?",
        "10:00:00 ",
        "1:00:00",
        "10-00-00",
    ] {
        assert_eq!(
            read(&format!("2024-03-05T{time}")),
            Err(EdtfError::Time),
            "{time}"
        );
    }
    assert_eq!(read("2024-03T10:00:00"), Err(EdtfError::Time));
    assert_eq!(read("2024-02-30T10:00:00"), Err(EdtfError::DayOfMonth));
}

#[test]
fn qualifiers_do_not_move_the_days() {
    for qualifier in ["?", "~", "%"] {
        assert_days(&format!("2024-03{qualifier}"), "2024-03-01", "2024-03-31");
        assert_days(
            &format!("2024-03-05{qualifier}/2024{qualifier}"),
            "2024-03-05",
            "2024-12-31",
        );
    }
    for text in ["2024?-03", "?2024", "2024-03??", "2024?~"] {
        assert!(
            matches!(read(text), Err(EdtfError::Qualifier)),
            "{text}: {:?}",
            read(text)
        );
    }
}

#[test]
fn unspecified_digits_are_every_day_that_fits() {
    assert_days("202X", "2020-01-01", "2029-12-31");
    assert_days("20XX", "2000-01-01", "2099-12-31");
    assert_days("00XX", "0001-01-01", "0099-12-31");
    assert_days("000X", "0001-01-01", "0009-12-31");
    assert_days("99XX", "9900-01-01", "9999-12-31");
    assert_days("2024-XX", "2024-01-01", "2024-12-31");
    assert_days("2024-XX-XX", "2024-01-01", "2024-12-31");
    assert_days("2024-02-XX", "2024-02-01", "2024-02-29");
    assert_days("202X?", "2020-01-01", "2029-12-31");
    for text in [
        "2XXX",
        "XXXX",
        "2X24",
        "2024-XX-05",
        "2024-1X",
        "2024-03-0X",
        "202X-03",
    ] {
        assert_eq!(read(text), Err(EdtfError::UnspecifiedDigits), "{text}");
    }
}

#[test]
fn a_season_is_its_whole_year() {
    for season in 21..=24 {
        assert_days(&format!("2024-{season}"), "2024-01-01", "2024-12-31");
    }
    for text in ["2024-20", "2024-25", "2024-13", "2024-00", "2024-21-05"] {
        assert_eq!(read(text), Err(EdtfError::Month), "{text}");
    }
}

#[test]
fn an_interval_runs_from_its_first_to_its_last_day() {
    assert_days("2024-03-01/2024-03-09", "2024-03-01", "2024-03-09");
    assert_days("2023/2024-02", "2023-01-01", "2024-02-29");
    assert_days("2024-03-05/2024-03", "2024-03-05", "2024-03-31");
    assert_days("../2024", "0001-01-01", "2024-12-31");
    assert_days("/2024", "0001-01-01", "2024-12-31");
    assert_days("2024-03/..", "2024-03-01", "9999-12-31");
    assert_days("2024/", "2024-01-01", "9999-12-31");
    assert_eq!(read("2024-05/2024-03"), Err(EdtfError::IntervalReversed));
    for text in ["/", "../..", "/..", "../"] {
        assert_eq!(read(text), Err(EdtfError::IntervalWithoutDate), "{text}");
    }
    assert_eq!(
        read("2024-03-05T10:00:00/2024"),
        Err(EdtfError::IntervalWithTime)
    );
    assert_eq!(
        read("2024-XX/2024"),
        Err(EdtfError::IntervalWithUnspecifiedDigits)
    );
    assert!(read("2022/2023/2024").is_err());
}

#[test]
fn anything_else_is_refused_in_words() {
    assert_eq!(read(""), Err(EdtfError::Empty));
    assert_eq!(read("0000"), Err(EdtfError::YearZero));
    assert_eq!(read("Y12024"), Err(EdtfError::LongYear));
    assert_eq!(read("-2024"), Err(EdtfError::LongYear));
    assert_eq!(read("2023-02-29"), Err(EdtfError::DayOfMonth));
    assert_eq!(read("2024-04-31"), Err(EdtfError::DayOfMonth));
    for text in [
        "yesterday",
        "24",
        "2024-3-5",
        "20240305",
        "2024/03/05",
        "2024-03-05-06",
        "٢٠٢٤",
        " 2024",
        "2024 ",
        "05.03.2024",
        "2024-",
        "2024-03-",
        "[2024]",
        "{2024}",
        "2024é",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
    for error in [
        EdtfError::Form,
        EdtfError::LongYear,
        EdtfError::UnspecifiedDigits,
    ] {
        assert!(error.to_string().contains("give"), "{error}");
    }
}

#[test]
fn days_are_counted_from_1970() {
    assert_eq!(Day::from_calendar(1970, 1, 1), Some(Day(0)));
    assert_eq!(Day::from_calendar(2000, 3, 1), Some(Day(11_017)));
    assert_eq!(Day::from_calendar(1, 1, 1), Some(Day::MIN));
    assert_eq!(Day::from_calendar(9999, 12, 31), Some(Day::MAX));
    assert_eq!(Day::from_calendar(0, 1, 1), None);
    let of_seconds = |seconds| Day::from_timestamp(&Timestamp { seconds, nanos: 0 });
    assert_eq!(of_seconds(0), Day(0));
    assert_eq!(of_seconds(86_399), Day(0));
    assert_eq!(of_seconds(86_400), Day(1));
    assert_eq!(of_seconds(-1), Day(-1));
    assert_eq!(of_seconds(i64::MAX), Day::MAX);
    assert_eq!(of_seconds(i64::MIN), Day::MIN);
    assert_eq!(Day::MAX.plus(1), Day::MAX);
    assert_eq!(Day(i32::MIN).to_string(), "0001-01-01");
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = days(&text);
        let _ = Day::parse(&text);
    }

    #[test]
    fn texts_of_its_own_alphabet_have_days_in_order(text in "[0-9XYTZ:.?~%/+-]{0,24}") {
        if let Ok(days) = days(&text) {
            prop_assert!(days.earliest <= days.latest);
            prop_assert!(days.earliest >= Day::MIN && days.latest <= Day::MAX);
        }
    }

    #[test]
    fn every_day_reads_back_as_itself(number in Day::MIN.0..=Day::MAX.0) {
        let day = Day(number);
        prop_assert_eq!(Day::parse(&day.to_string()), Some(day));
        let read = days(&day.to_string()).unwrap();
        prop_assert_eq!((read.earliest, read.latest), (day, day));
    }

    #[test]
    fn intervals_of_two_days_keep_them(a in Day::MIN.0..=Day::MAX.0, b in Day::MIN.0..=Day::MAX.0) {
        let (first, last) = (Day(a.min(b)), Day(a.max(b)));
        let read = days(&format!("{first}/{last}")).unwrap();
        prop_assert_eq!((read.earliest, read.latest), (first, last));
    }

    /// Dates and intervals as the format lists them, with the days that their numbers say.
    #[test]
    fn dates_of_every_form_are_the_days_of_their_numbers(
        from in date(),
        to in date(),
        is_interval in any::<bool>(),
    ) {
        let (text, earliest, latest) = match is_interval {
            false => from,
            true => (format!("{}/{}", from.0, to.0), from.1, to.2),
        };
        let expected = match earliest > latest {
            true => Err(EdtfError::IntervalReversed),
            false => Ok((earliest, latest)),
        };
        prop_assert_eq!(days(&text).map(|it| (it.earliest, it.latest)), expected, "{}", text);
    }

    /// What is accepted after changes is a date all the same: short, of ASCII, with its days in
    /// order, and with the same days where they are written out.
    #[test]
    fn dates_with_changes_are_dates_or_are_refused(
        from in date(),
        to in date(),
        time in "(T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](Z|[+-][01][0-9](:[0-6][0-9])?)?)?",
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<char>()), 0..4),
        form in 0..3_u8,
    ) {
        let mut text: Vec<char> = match form {
            0 => from.0,
            1 => format!("{}/{}", from.0, to.0),
            _ => format!("{}{time}", from.1),
        }.chars().collect();
        const OWN: [char; 16] = [
            '0', '1', '9', 'X', 'Y', 'T', 'Z', '-', '+', ':', '/', '.', '?', '~', '%', ' ',
        ];
        for (at, change, character) in changes {
            let index = at.index(text.len() + 1);
            match change {
                0 => text.insert(index, character),
                1 => text.insert(index, OWN[at.index(OWN.len())]),
                2 if index < text.len() => text[index] = OWN[at.index(OWN.len())],
                3 if index < text.len() => drop(text.remove(index)),
                _ => {}
            }
        }
        let text: String = text.into_iter().collect();
        if let Ok(read) = days(&text) {
            prop_assert!(text.is_ascii() && text.len() <= LENGTH_MAX, "{}", text);
            prop_assert!(Day::MIN <= read.earliest && read.earliest <= read.latest, "{}", text);
            prop_assert!(read.latest <= Day::MAX, "{}", text);
            prop_assert_eq!(days(&format!("{}/{}", read.earliest, read.latest)), Ok(read));
            // A qualifier moves nothing.
            prop_assert_eq!(days(&text.replace(['?', '~', '%'], "")), Ok(read), "{}", text);
        }
    }
}

/// The longest text that is a date: 2024-03-05T10:00:00+05:30.
const LENGTH_MAX: usize = 25;

/// A date without time of any precision, and its first and last day.
fn date() -> impl Strategy<Value = (String, Day, Day)> {
    let parts = (1..=9_999_u16, 1..=12_u8, 1..=31_u8, 0..4_usize, 0..3_u8);
    parts.prop_map(|(year, month, day, qualifier, precision)| {
        let mut last_day = day;
        while Day::from_calendar(year, month, last_day).is_none() {
            last_day -= 1;
        }
        let month_end = (28..=31)
            .filter_map(|day| Day::from_calendar(year, month, day))
            .max();
        let at = |month, day| Day::from_calendar(year, month, day).unwrap();
        let (text, earliest, latest) = match precision {
            0 => (format!("{year:04}"), at(1, 1), at(12, 31)),
            1 => (
                format!("{year:04}-{month:02}"),
                at(month, 1),
                month_end.unwrap(),
            ),
            _ => {
                let day = at(month, last_day);
                (format!("{year:04}-{month:02}-{last_day:02}"), day, day)
            }
        };
        (
            format!("{text}{}", ["", "?", "~", "%"][qualifier]),
            earliest,
            latest,
        )
    })
}

#[test]
fn very_long_texts_are_refused() {
    for part in [
        "2",
        "X",
        "-",
        "/",
        "2024-",
        "2024-03-05T",
        "?",
        "..",
        "+",
        "é",
        "2024/",
    ] {
        for text in [
            part.repeat(1 << 20),
            format!("2024-03-05{}", part.repeat(1 << 20)),
        ] {
            assert!(days(&text).is_err(), "{part}");
            assert_eq!(Day::parse(&text), None, "{part}");
        }
    }
    let padded = format!("{}2024", " ".repeat(1 << 20));
    assert_eq!(read(&padded), Err(EdtfError::Form));
}
