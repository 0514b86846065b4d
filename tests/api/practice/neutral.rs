//! Neutrality: the names of the parties change nothing, and none that is real is built in.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use casetrail::cli::sample::Sample;
use casetrail::view::Views;
use casetrail::wire::json::{from_json, to_json};
use casetrail::wire::v1::{
    self, CaseKind, CoverageRule, GetCaseHistoryRequest, Record, SubmitEventsRequest,
};
use serde_json::Value;

use super::words::{Office, change, clause, signed, submission};
use crate::clocks;
use crate::support::fresh_uuid;
use crate::truth;

/// The labels of two parties, as far as a sample has any: their countries, and with them their
/// districts; their authorities.
const LABELS: [(&str, &str); 2] = [("XA", "XB"), ("PARTY-A", "PARTY-B")];

/// The sample with two parties alone: every country is one of two, and every authority is of one of
/// two.
fn of_two_parties(submission: &SubmitEventsRequest) -> SubmitEventsRequest {
    let mut text = to_json(submission).unwrap();
    for letter in 'A'..='Z' {
        let party = if letter < 'N' { "\u{1}" } else { "\u{2}" };
        let country = format!("\"X{letter}");
        text = text.replace(&country, &format!("\"X{party}"));
    }
    text = text.replace("X\u{1}", "XA").replace("X\u{2}", "XB");
    for (word, party) in [
        ("AUTHORITY", "PARTY-A"),
        ("ΑΡΧΗ", "PARTY-B"),
        ("ВЕДОМСТВО", "PARTY-A"),
        ("سلطة", "PARTY-B"),
        ("机关", "PARTY-A"),
        ("अधिकारी", "PARTY-B"),
        ("OFFICE", "PARTY-A"),
        ("AUTORITE", "PARTY-B"),
    ] {
        text = text.replace(&format!("\"{word}-"), &format!("\"{party}-"));
    }
    from_json(&text).unwrap()
}

/// A JSON text with the labels swapped, where a value begins with one.
fn swapped(text: &str) -> String {
    let mut text = text.to_owned();
    for (one, other) in LABELS {
        let (one, other) = (format!("\"{one}"), format!("\"{other}"));
        text = text.replace(&one, "\u{1}").replace(&other, &one);
        text = text.replace('\u{1}', &other);
    }
    text
}

fn json<T: prost::Message + prost::Name>(message: &T) -> String {
    to_json(message).unwrap()
}

/// A message as text without what no two servers have alike: when it was recorded, and the digest of
/// what was sent.
fn timeless(text: &str) -> String {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for name in ["recordedAt", "openedAt", "updatedAt", "submissionDigest"] {
                    fields.remove(name);
                }
                fields.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value: Value = serde_json::from_str(text).unwrap();
    strip(&mut value);
    value.to_string()
}

/// All that a server tells of its cases, as texts; lists that are sorted by label as sets.
struct Told {
    records: Vec<Record>,
    cases: Vec<String>,
    histories: Vec<String>,
    rows: BTreeSet<String>,
    coverage: String,
    differences: String,
}

async fn told(office: &Office, agreement: &str) -> Told {
    let client = office.client();
    let records = truth::records(client).await;
    let middle = clocks::known_at(records.len() as u64 / 2);
    let mut cases = Vec::new();
    let mut rows = BTreeSet::new();
    for as_of in [None, middle.clone(), clocks::true_at("2023-02-01")] {
        let (certain, possible) = clocks::listed(client, as_of.clone(), None).await;
        cases.extend(certain.iter().chain(&possible).map(json));
        let summary = clocks::summary(client, as_of).await;
        let all = summary.rows.iter().chain(&summary.possible_rows);
        rows.extend(all.map(json));
        let totals = [summary.cases, summary.contested, summary.uncertain];
        rows.insert(format!("\"{totals:?}\""));
    }
    let mut histories = Vec::new();
    for case in client.list(None).await {
        let request = GetCaseHistoryRequest {
            case_id: case.case_id,
            page_size: 1_000,
            ..Default::default()
        };
        let history = client.cases().get_case_history(request).await;
        histories.push(json(&history.unwrap().into_inner()));
    }
    let request = v1::GetAgreementCoverageRequest {
        agreement_case_id: agreement.to_owned(),
        with_cases: true,
        as_of: None,
    };
    let coverage = client.cases().get_agreement_coverage(request).await;
    let request = v1::CompareCasesRequest {
        from: middle,
        page_size: 1_000,
        ..Default::default()
    };
    let differences = client.cases().compare_cases(request).await;
    Told {
        records,
        cases,
        histories,
        rows,
        coverage: json(&coverage.unwrap().into_inner()),
        differences: json(&differences.unwrap().into_inner()),
    }
}

/// What the records fold to, as if all had been recorded at one time.
fn digest(records: &[String]) -> Vec<u8> {
    let mut views = Views::default();
    for (position, record) in (0..).zip(records) {
        let mut record: Record = from_json(record).unwrap();
        record.recorded_at = Some(prost_types::Timestamp {
            seconds: 1_800_000_000,
            nanos: 0,
        });
        views.fold(position, &record).unwrap();
    }
    views.frozen().digest().to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swapping_the_labels_of_two_parties_swaps_them_in_every_output_and_changes_nothing_else() {
    // Given a sample of two parties, and an agreement between them with a clause about each,
    let agreement = fresh_uuid().to_string();
    let about = |district: &str, kind: CaseKind| {
        let rule = CoverageRule {
            kind: kind.into(),
            district: district.to_owned(),
            ..Default::default()
        };
        clause(&format!("{district}-{}", kind as i32), vec![rule])
    };
    let mut clauses = Vec::new();
    for kind in [CaseKind::Detention, CaseKind::Remains, CaseKind::Return] {
        for district in ["XA01", "XB01", "XA02", "XB02"] {
            clauses.push(about(district, kind));
        }
    }
    let mut between = signed(clauses);
    if let Some(v1::event::Payload::AgreementSigned(signed)) = &mut between.payload {
        signed.parties = vec!["PARTY-A".to_owned(), "PARTY-B".to_owned()];
    }
    let mut sample = vec![submission(vec![change(&agreement, vec![between])])];
    sample.extend(Sample::new(120, 8).map(|it| of_two_parties(&it)));

    // when it is recorded by one server, and with the labels swapped by another,
    let offices = [Office::open().await, Office::open().await];
    let other = sample
        .iter()
        .map(|it| from_json(&swapped(&to_json(it).unwrap())).unwrap());
    let other: Vec<SubmitEventsRequest> = other.collect();
    assert_ne!(sample, other);
    offices[0].client().record_as("relief", sample).await;
    offices[1].client().record_as("relief", other).await;
    let one = told(&offices[0], &agreement).await;
    let other = told(&offices[1], &agreement).await;

    // then all that the one tells is what the other tells, with the labels swapped.
    let turned = |text: &String| timeless(&swapped(text));
    let plain = |text: &String| timeless(text);
    let records = |told: &Told| told.records.iter().map(json).collect::<Vec<_>>();
    let (one_records, other_records) = (records(&one), records(&other));
    assert!(one_records.len() > 1_000);
    for label in ["XA01", "XB01", "PARTY-A", "PARTY-B"] {
        assert!(one_records.iter().any(|it| it.contains(label)), "{label}");
    }
    let all = |texts: &[String], turn: &dyn Fn(&String) -> String| -> Vec<String> {
        texts.iter().map(turn).collect()
    };
    assert_eq!(all(&one_records, &turned), all(&other_records, &plain));
    assert_eq!(all(&one.cases, &turned), all(&other.cases, &plain));
    assert_eq!(all(&one.histories, &turned), all(&other.histories, &plain));
    let rows: BTreeSet<_> = one.rows.iter().map(turned).collect();
    assert_eq!(rows, other.rows.iter().map(plain).collect());
    assert_eq!(turned(&one.coverage), plain(&other.coverage));
    assert!(one.coverage.contains("\"confirmed\""));
    assert_eq!(turned(&one.differences), plain(&other.differences));
    // The digest of the views depends on the labels alone.
    let turned: Vec<_> = one_records.iter().map(|it| swapped(it)).collect();
    assert_eq!(digest(&turned), digest(&other_records));
    assert_ne!(digest(&one_records), digest(&other_records));
    for office in offices {
        office.close().await;
    }
}

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|it| it == ending) {
            found.push(path);
        }
    }
}

/// The source, the protocol and the documents, each with its name.
fn texts() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = vec![root.join("README.md"), root.join("ARCHITECTURE.md")];
    files(&root.join("src"), "rs", &mut paths);
    files(&root.join("proto"), "proto", &mut paths);
    let read = |path: PathBuf| {
        (
            path.display().to_string(),
            fs::read_to_string(&path).unwrap(),
        )
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn every_country_and_district_of_a_sample_is_one_that_no_state_has() {
    let mut countries = BTreeSet::new();
    for seed in 0..5 {
        for submission in Sample::new(60, seed) {
            let value: Value = serde_json::from_str(&to_json(&submission).unwrap()).unwrap();
            collect(&value, &mut countries);
        }
    }
    assert!(countries.len() > 20);
    for country in &countries {
        assert!(is_fictional(country), "{country}");
    }
    // So it is in the examples of the source, the protocol and the documents.
    let quoted = |text: &str, begin: &str| -> Vec<String> {
        let found = text
            .match_indices(begin)
            .map(|(at, _)| &text[at + begin.len()..]);
        let codes = found.map(|rest| rest.chars().take_while(char::is_ascii_alphanumeric));
        codes.map(Iterator::collect).collect()
    };
    let mut examples = 0;
    for (name, text) in texts() {
        for begin in [
            "\"country\": \"",
            "\"district\": \"",
            "\"country\":\"",
            "\"district\":\"",
        ] {
            for code in quoted(&text, begin).iter().filter(|it| !it.is_empty()) {
                assert!(is_fictional(code), "{name}: {code}");
                examples += 1;
            }
        }
    }
    assert!(examples > 3, "{examples}");
}

fn is_fictional(code: &str) -> bool {
    let mut letters = code.chars();
    letters.next() == Some('X') && letters.next().is_some_and(|it| it.is_ascii_uppercase())
}

fn collect(value: &Value, countries: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let ("country" | "district", Some(code)) = (name.as_str(), value.as_str()) {
                    countries.insert(code.to_owned());
                }
                collect(value, countries);
            }
        }
        Value::Array(values) => values.iter().for_each(|it| collect(it, countries)),
        _ => {}
    }
}

/// States, as one would write them in a name in code. Parties that are no states, and conflicts,
/// can't be listed; this catches what somebody may write without thinking.
const STATES: &str = "afghanistan albania algeria andorra angola argentina armenia australia \
    austria azerbaijan bahamas bahrain bangladesh barbados belarus belgium belize benin bhutan \
    bolivia bosnia botswana brazil brunei bulgaria burundi cambodia cameroon canada chad chile china \
    colombia comoros congo croatia cuba cyprus czechia denmark djibouti dominica ecuador egypt \
    eritrea estonia eswatini ethiopia fiji finland france gabon gambia germany ghana greece grenada \
    guatemala guinea guyana haiti honduras hungary iceland india indonesia iran iraq ireland israel \
    italy jamaica japan jordan kazakhstan kenya kiribati korea kosovo kuwait kyrgyzstan laos latvia \
    lebanon lesotho liberia libya liechtenstein lithuania luxembourg madagascar malawi malaysia \
    maldives mali malta mauritania mauritius mexico micronesia moldova monaco mongolia montenegro \
    morocco mozambique myanmar namibia nauru nepal netherlands nicaragua niger nigeria norway oman \
    pakistan palau palestine panama paraguay peru philippines poland portugal qatar romania russia \
    rwanda samoa senegal serbia seychelles singapore slovakia slovenia somalia spain sudan suriname \
    sweden switzerland syria taiwan tajikistan tanzania thailand togo tonga tunisia turkey turkiye \
    turkmenistan tuvalu uganda ukraine uruguay uzbekistan vanuatu venezuela vietnam yemen zambia \
    zimbabwe afghan russian ukrainian israeli palestinian syrian iraqi iranian armenian azeri \
    sudanese korean chinese american british french german";

#[test]
fn no_word_of_the_source_the_protocol_or_the_documents_names_a_state_or_its_people() {
    let states: BTreeSet<_> = STATES.split_whitespace().collect();
    let (mut words, mut texts_read) = (0, 0);
    for (name, text) in texts() {
        texts_read += 1;
        for word in split(&text) {
            words += 1;
            assert!(!states.contains(&*word), "{name}: {word}");
        }
    }
    assert!(texts_read > 100 && words > 100_000, "{texts_read} {words}");
    let parts: Vec<_> = split("fn released_byOman(HTTPServer)").collect();
    assert_eq!(parts, ["fn", "released", "by", "oman", "httpserver"]);
}

/// The words of a text, names taken apart where they change from one word to the next.
fn split(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for letter in text.chars() {
        if !letter.is_alphabetic() || (letter.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        if letter.is_alphabetic() {
            words.last_mut().unwrap().extend(letter.to_lowercase());
        }
        was_lower = letter.is_lowercase();
    }
    words.into_iter().filter(|word| !word.is_empty())
}
