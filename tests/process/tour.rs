//! README's tour: its submissions and commands, run in order against a real server, say what README
//! says that they say, and end as it says, but for the times of recording.

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use crate::support::server::{Server, casetrail, serve};

const README: &str = include_str!("../../README.md");

/// From which heading to which the tour goes.
const FIRST: &str = "## The first five minutes";
const LAST: &str = "### Cases that belong together";
/// The part that has a world of its own: it goes back to before anything was sent.
const OUTBOX: &str = "### A case worker without a line";

/// The server of which README tells.
const SERVER: &str = "http://127.0.0.1:7611";

/// The commands that do not end with 0, in the order of the tour: what they were not able to do is told
/// by README as well.
const FAILING: [(&str, i32); 3] = [
    ("casetrail submit case.jsonl", 1),
    ("casetrail outbox send", 3),
    ("casetrail outbox send", 1),
];

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
    let (before, outbox_and_after) = tour().split_once(OUTBOX).unwrap();
    let after = outbox_and_after.split_once("\n### ").unwrap().1;
    let mut tour = Tour::new(folder.path(), server.url());
    tour.go(parts(before).into_iter().chain(parts(after)));
    assert!(tour.commands > 12, "{}", tour.commands);
    assert_eq!(tour.failed, FAILING[..1]);
    server.kill();
}

#[test]
fn the_part_on_the_outbox_says_what_the_commands_say_without_a_line_and_with_one() {
    let folder = tempfile::tempdir().unwrap();
    // A port on which nobody listens until there is a line.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let (before, rest) = tour().split_once(OUTBOX).unwrap();
    let part = rest.split_once("\n### ").unwrap().0;
    let (without, with) = part.split_once("Later, with a connection:").unwrap();
    let is_file = |part: &Part| matches!(part, Part::File(..));
    let is_export =
        |part: &Part| matches!(part, Part::Command(line, _) if line.starts_with("export "));
    let known = parts(before);
    let known = known
        .into_iter()
        .filter(|part| is_file(part) || is_export(part));
    let mut tour = Tour::new(folder.path(), format!("http://{address}"));
    tour.go(known.chain(parts(without)));
    let server = serve(&[], &folder.path().join("data"), &address);
    let server = Server::try_start(server).unwrap_or_else(|ended| panic!("{ended:?}"));
    tour.go(parts(with));
    assert_eq!(tour.commands, 5);
    assert_eq!(tour.failed, FAILING[1..]);
    server.kill();
}

/// Somebody who types what README says.
struct Tour<'a> {
    folder: &'a Path,
    server: String,
    environment: HashMap<String, String>,
    commands: usize,
    failed: Vec<(&'static str, i32)>,
    /// The digests that README told and those that commands told, in the order of the first time.
    digests: [Vec<String>; 2],
}

impl<'a> Tour<'a> {
    fn new(folder: &'a Path, server: String) -> Self {
        Self {
            folder,
            environment: HashMap::from([("CASETRAIL_SERVER".to_owned(), server.clone())]),
            server,
            commands: 0,
            failed: Vec::new(),
            digests: Default::default(),
        }
    }

    fn go(&mut self, parts: impl IntoIterator<Item = Part>) {
        for part in parts {
            match part {
                Part::File(name, text) => std::fs::write(self.folder.join(name), text).unwrap(),
                Part::Command(line, said) => self.type_in(&line, &said),
            }
        }
    }

    fn type_in(&mut self, line: &str, said: &[String]) {
        if let Some(variables) = line.strip_prefix("export ") {
            let variables = variables.split(' ').map(|one| one.split_once('=').unwrap());
            let variables = variables.map(|(name, value)| (name.into(), value.into()));
            self.environment.extend(variables);
        } else if let Some(arguments) = line.strip_prefix("casetrail ") {
            let (code, told) = self.run(arguments, None);
            let told = told.map(|lines| self.timeless(1, &lines));
            let said = self.timeless(0, said);
            assert!(
                is_woven_of(&said, &told[0], &told[1]),
                "{line}\nsaid {said:#?}\ntold {told:#?}"
            );
            self.commands += 1;
            if code != 0 {
                let known = FAILING.iter().find(|known| **known == (line, code));
                self.failed
                    .push(*known.unwrap_or_else(|| panic!("{line} ends with {code}")));
            }
        } else if let Some((_, submission)) = line.split_once("/SubmitEvents '") {
            // What another client submits is submitted here by the command line, as nobody.
            let submission = submission.strip_suffix('\'').unwrap();
            let known = std::mem::take(&mut self.environment);
            let server = ("CASETRAIL_SERVER".to_owned(), self.server.clone());
            self.environment.extend([server]);
            assert_eq!(self.run("submit -", Some(submission)).0, 0);
            self.environment = known;
        }
    }

    /// How a command ends, and the lines that it prints, to standard output and to standard error.
    fn run(&self, arguments: &str, input: Option<&str>) -> (i32, [Vec<String>; 2]) {
        let mut command = casetrail(&arguments.split(' ').collect::<Vec<_>>());
        command.current_dir(self.folder).envs(&self.environment);
        if let Some(input) = input {
            let file = self.folder.join("input");
            std::fs::write(&file, input).unwrap();
            command.stdin(std::fs::File::open(file).unwrap());
        } else {
            command.stdin(Stdio::null());
        }
        let output = command.output().unwrap();
        let lines = |bytes| {
            let text = String::from_utf8(bytes).unwrap();
            text.lines().map(str::to_owned).collect()
        };
        let printed = [output.stdout, output.stderr].map(lines);
        (output.status.code().unwrap(), printed)
    }

    /// The lines with the same letters for every time, with README's server, and with digests by number:
    /// two that are told as the same are the same.
    fn timeless(&mut self, by: usize, lines: &[String]) -> Vec<String> {
        let digests = &mut self.digests[by];
        let mut word_of = |word: &str| {
            if is_like(word, "0000-00-00T00:00:00Z") {
                "TIME".to_owned()
            } else if word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                let known = digests.iter().position(|digest| digest == word);
                let number = known.unwrap_or_else(|| {
                    digests.push(word.to_owned());
                    digests.len() - 1
                });
                format!("DIGEST {number}")
            } else {
                word.to_owned()
            }
        };
        let timeless = lines.iter().map(|line| {
            let line = line.replace(&self.server, SERVER);
            line.split(' ')
                .map(&mut word_of)
                .collect::<Vec<_>>()
                .join(" ")
        });
        timeless.collect()
    }
}

fn is_like(word: &str, pattern: &str) -> bool {
    let mut bytes = word.bytes().zip(pattern.bytes());
    word.len() == pattern.len()
        && bytes.all(|(byte, like)| match like {
            b'0' => byte.is_ascii_digit(),
            like => byte == like,
        })
}

/// Whether lines are those of two outputs, each in its order, and nothing else: a terminal shows both,
/// and which comes first is of no matter.
fn is_woven_of(lines: &[String], one: &[String], other: &[String]) -> bool {
    let Some((line, rest)) = lines.split_first() else {
        return one.is_empty() && other.is_empty();
    };
    let follows = |output: &[String]| output.first() == Some(line);
    follows(one) && is_woven_of(rest, &one[1..], other)
        || follows(other) && is_woven_of(rest, one, &other[1..])
}

#[test]
fn lines_out_of_order_are_not_woven() {
    let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let woven = |all, one, other| is_woven_of(&lines(all), &lines(one), &lines(other));
    assert!(woven("a b x c y", "a b c", "x y"));
    assert!(woven("a a b", "a b", "a"));
    assert!(!woven("b a x", "a b", "x"));
    assert!(!woven("a b", "a b", "x"));
    assert!(!woven("a b x x", "a b", "x"));
}

fn tour() -> &'static str {
    let from_first = README.split_once(FIRST).unwrap().1;
    from_first.split_once(LAST).unwrap().0
}

/// The parts of a text that are set apart, in order.
fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut name = None;
    let mut lines = text.lines();
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
