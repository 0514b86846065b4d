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
}
