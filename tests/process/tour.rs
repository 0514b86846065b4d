//! README's tour: its submissions and commands, run in order against a real server, say what README
//! says that they say, but for the times of recording.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;

use crate::support::server::{Server, casetrail};

const README: &str = include_str!("../../README.md");

/// From which heading to which the tour goes.
const FIRST: &str = "## The first five minutes";
const LAST: &str = "### Cases that belong together";

/// A part of the tour that is set apart.
#[derive(Debug, PartialEq)]
enum Part {
    /// A file: its name and its text.
    File(String, String),
    /// A command, and what it is said to print.
    Command(String, Vec<String>),
}

#[test]
fn the_tour_says_what_the_commands_say() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let address = HashMap::from([("CASETRAIL_SERVER".to_owned(), server.url())]);
    let mut environment = address.clone();
    let mut commands = 0;
    for part in parts() {
        match part {
            Part::File(name, text) => std::fs::write(folder.path().join(name), text).unwrap(),
            Part::Command(line, said) => {
                if let Some(variables) = line.strip_prefix("export ") {
                    let variables = variables.split(' ').map(|one| one.split_once('=').unwrap());
                    environment.extend(variables.map(|(name, value)| (name.into(), value.into())));
                } else if let Some(arguments) = line.strip_prefix("casetrail ") {
                    let told = run(folder.path(), &environment, arguments, None);
                    assert_eq!(sorted(&told), sorted(&said), "{line}");
                    commands += 1;
                } else if let Some((_, submission)) = line.split_once("/SubmitEvents '") {
                    // What another client submits is submitted here by the command line.
                    let submission = submission.strip_suffix('\'').unwrap();
                    run(folder.path(), &address, "submit -", Some(submission));
                }
            }
        }
    }
    assert!(commands > 12, "{commands}");
    server.kill();
}

/// What a command prints, both ways.
fn run(
    folder: &Path,
    environment: &HashMap<String, String>,
    arguments: &str,
    input: Option<&str>,
) -> Vec<String> {
    let mut command = casetrail(&arguments.split(' ').collect::<Vec<_>>());
    command.current_dir(folder).envs(environment);
    if let Some(input) = input {
        let file = folder.join("input");
        std::fs::write(&file, input).unwrap();
        command.stdin(std::fs::File::open(file).unwrap());
    } else {
        command.stdin(Stdio::null());
    }
    let output = command.output().unwrap();
    let printed = [output.stderr, output.stdout].map(|bytes| String::from_utf8(bytes).unwrap());
    printed
        .iter()
        .flat_map(|text| text.lines())
        .map(str::to_owned)
        .collect()
}

/// The lines without what differs from run to run, in an order of their own, since the two outputs
/// of a program are read one after the other.
fn sorted(lines: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = lines.iter().map(|line| timeless(line)).collect();
    lines.retain(|line| !line.is_empty());
    lines.sort();
    lines
}

/// The line with the same letters for every time and every digest.
fn timeless(line: &str) -> String {
    let is_like = |word: &str, pattern: &str| {
        word.len() == pattern.len()
            && word
                .bytes()
                .zip(pattern.bytes())
                .all(|(byte, like)| match like {
                    b'0' => byte.is_ascii_digit(),
                    like => byte == like,
                })
    };
    let words = line.split(' ').map(|word| {
        if is_like(word, "0000-00-00T00:00:00Z") {
            "TIME"
        } else if word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            "DIGEST"
        } else {
            word
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The parts of the tour, in order.
fn parts() -> Vec<Part> {
    let tour = README
        .split_once(FIRST)
        .unwrap()
        .1
        .split_once(LAST)
        .unwrap()
        .0;
    let mut parts = Vec::new();
    let mut name = None;
    let mut lines = tour.lines();
    while let Some(line) = lines.next() {
        if let Some(named) = line.split('`').find(|word| word.ends_with(".jsonl")) {
            name = Some(named.to_owned());
        }
        let block = lines.clone().take_while(|line| *line != "```");
        if line == "```json" {
            let text = block.map(|line| format!("{line}\n")).collect();
            parts.push(Part::File(name.take().expect("a file has a name"), text));
        } else if line == "```console" {
            for line in block {
                match (line.strip_prefix("$ "), parts.last_mut()) {
                    (Some(command), _) => parts.push(Part::Command(command.to_owned(), Vec::new())),
                    (None, Some(Part::Command(_, said))) => said.push(line.to_owned()),
                    (None, _) => panic!("{line} comes before any command"),
                }
            }
        }
    }
    parts
}
