//! `casetrail outbox append`: what is told as appended is kept, what is malformed never enters.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;

use casetrail::wire::json;
use casetrail::wire::v1::EventType as E;

use super::{Outbox, SEED, ids, kills, request_ids, sample, stderr};
use crate::load::Chance;
use crate::support::server::Process;
use crate::support::{submission_of, valid_event};

#[test]
fn what_append_told_survives_its_kill() {
    let mut outbox = Outbox::new();
    let submissions = sample(40);
    let lines = submissions.iter().map(|each| json::to_json(each).unwrap());
    let lines: Vec<_> = lines.map(|line| line + "\n").collect();
    let mut chance = Chance::new(SEED);
    let mut told = 0;
    let (mut midway, mut untold) = (0, 0);
    for _ in 0..kills() {
        let mut command = outbox.command(&["append", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(command);
        let mut input = process.stdin();
        let lines = lines.clone();
        let writer = std::thread::spawn(move || {
            // It may be killed meanwhile. The pipe stays open, so that it never ends by itself.
            let _ = lines
                .iter()
                .try_for_each(|line| input.write_all(line.as_bytes()));
            input
        });
        let until = chance.below(submissions.len() as u64 + 1);
        let mut output = process.stdout();
        let mut told_now = 0;
        let mut line = String::new();
        while (told_now as u64) < until && output.read_line(&mut line).unwrap() > 0 {
            told_now += 1;
            line.clear();
        }
        let ended = process.kill();
        assert_eq!(ended.code, None, "it ended by itself: {}", ended.stderr);
        // What it told up to the kill counts as well, as far as the line is whole.
        while output.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
            told_now += 1;
            line.clear();
        }
        drop(writer.join().unwrap());
        told = told.max(told_now);

        // In the order appended, none twice, and at least what was told.
        let kept = match outbox.queue().exists() {
            true => outbox.list(),
            false => Vec::new(),
        };
        let kept = ids(&kept);
        assert!(kept.len() >= told);
        assert_eq!(kept, request_ids(&submissions)[..kept.len()]);
        untold += usize::from(kept.len() > told);
        midway += usize::from(kept.len() < submissions.len());
        if kept.len() == submissions.len() {
            outbox = Outbox::new();
            told = 0;
        }
    }
    assert_eq!(outbox.append(&submissions).status.code(), Some(0));
    assert_eq!(ids(&outbox.list()), request_ids(&submissions));
    println!(
        "{} kills of append, {midway} midway, {untold} with more kept than was told",
        kills()
    );
}

#[test]
fn what_is_malformed_is_told_by_line_and_field_and_never_enters_or_is_repeated() {
    let outbox = Outbox::new();
    let good = submission_of(vec![valid_event(E::DetentionAlleged)]);
    let mut ahead = submission_of(vec![valid_event(E::DetentionAlleged)]);
    ahead.changes[0].events[0].occurred = "2924-03-05".to_owned();
    let mut named = submission_of(vec![valid_event(E::DetentionAlleged)]);
    named.changes[0].events[0]
        .source
        .as_mut()
        .unwrap()
        .reference = "Ivanka Secret".to_owned();
    let mut lines = fs::read_to_string(outbox.file(&[ahead, named, good.clone()])).unwrap();
    lines.insert_str(0, "{\"requestId\": \"Ivanka\", \"Secret\": 1}\n");
    let file = outbox.0.path().join("mixed.jsonl");
    fs::write(&file, lines).unwrap();

    let appended = outbox.run(&["append", file.to_str().unwrap()]);
    assert_eq!(appended.status.code(), Some(1));
    let told = stderr(&appended);
    for expected in [
        "line 1: not appended: column ",
        "the message has no field Secret",
        "line 2: not appended: INVALID_FIELDS\n  changes[0].events[0].occurred lies ahead",
        "line 3: not appended: INVALID_FIELDS\n  changes[0].events[0].source.reference ",
        "3 of 4 lines were not appended",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert!(!told.contains("Ivanka"), "{told}");
    let listed = outbox.list();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["requestId"], good.request_id);
    assert!(
        !fs::read_to_string(outbox.queue())
            .unwrap()
            .contains("Ivanka")
    );

    // Where the clock of the machine is wrong, one says what day it is.
    let early = outbox.0.path().join("early.jsonl");
    fs::write(
        &early,
        json::to_json(&submission_of(vec![valid_event(E::Escaped)])).unwrap(),
    )
    .unwrap();
    let early = early.to_str().unwrap();
    let refused = outbox.run(&["append", early, "--today", "2024-01-01"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("lies ahead; give a date no later than 2024-01-02"));
    assert_eq!(
        outbox
            .run(&["append", early, "--today", "2024-03-06"])
            .status
            .code(),
        Some(0)
    );
    assert_eq!(outbox.list()[1]["appendedOn"], "2024-03-06");
}

#[test]
fn what_is_there_is_appended_though_nobody_reads_what_is_told_of_it() {
    let outbox = Outbox::new();
    let submissions = sample(40);
    let lines = submissions.iter().map(|each| json::to_json(each).unwrap());
    let lines: Vec<_> = lines.map(|line| line + "\n").collect();
    let mut command = outbox.command(&["append", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = Process::start(command);
    let mut input = process.stdin();
    // Given a reader who goes away after the first line that is told,
    input.write_all(lines[0].as_bytes()).unwrap();
    let mut told = String::new();
    process.stdout().read_line(&mut told).unwrap();
    assert!(told.starts_with("appended  "), "{told}");

    // when the others follow, then all of them are kept, and the command says that all is well.
    for line in &lines[1..] {
        input.write_all(line.as_bytes()).unwrap();
    }
    drop(input);
    let ended = process.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ids(&outbox.list()), request_ids(&submissions));

    // A line that can't be appended is told by the exit code all the same.
    let mut command = outbox.command(&["append", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = Process::start(command);
    drop(process.stdout());
    let mut input = process.stdin();
    input.write_all(b"{}\n").unwrap();
    drop(input);
    assert_eq!(process.wait().code, Some(1));
}

#[test]
fn a_list_that_is_not_shown_to_its_end_does_not_end_as_if_it_were() {
    let outbox = Outbox::new();
    let submissions = sample(200);
    assert_eq!(outbox.append(&submissions).status.code(), Some(0));
    // More than a pipe holds, of which only the first line is read.
    let mut command = outbox.command(&["list", "--json"]);
    command.stdout(Stdio::piped());
    let mut listing = Process::start(command);
    let mut output: BufReader<_> = listing.stdout();
    output.read_line(&mut String::new()).unwrap();
    // Who lists keeps nobody from writing meanwhile.
    let request_id = &submissions[0].request_id;
    let removed = outbox.run(&["remove", request_id]);
    assert_eq!(removed.status.code(), Some(0), "{}", stderr(&removed));
    let mut some = [0; 4096];
    output.read_exact(&mut some).unwrap();
    drop(output);
    let ended = listing.wait();
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stderr, "the output was closed before all was shown\n");
}
