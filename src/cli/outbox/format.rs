//! The lines of a queue file, and what a file holds that may end anywhere.
//!
//! ```text
//! casetrail outbox 1
//! 6f0c1d2e appended 2026-11-24 {"requestId":"..","changes":[..]}
//! 1b9a4c07 sealed 412
//! 90d1e2aa recorded 0190a000-0000-7000-8000-000000000001 {"positions":..}
//! 5e77b0c3 refused 0190a000-0000-7000-8000-000000000002 {"reason":".."}
//! 27c4f9d0 removed 0190a000-0000-7000-8000-000000000002
//! e810a35b sealed 803
//! ```
//!
//! A line begins with the CRC-32 of what follows the space behind it. Submissions, answers and
//! refusals are messages of the protocol in canonical JSON, so that a person can read the file.
//!
//! Invariants:
//! - Lines are only appended, but for a torn tail, which the next command cuts off, and for pruning,
//!   which writes a new file. The state of the queue is the fold of the lines.
//! - `sealed N` is written once everything before it is durable, and nothing is told as done before
//!   its seal is durable too. N is the seal's own offset in bytes.
//! - So what is not whole and has no seal behind it was never told as done: it is a torn tail. With a
//!   seal behind it, it is damage. Whole lines without a seal count: they were checked before.
//!
//! It deliberately knows no file and no server.

use std::fmt;

use memchr::{memchr, memmem};
use uuid::Uuid;

use crate::wire::day::Day;
use crate::wire::json::{self, NoJsonForm};
use crate::wire::v1::{Refusal, SubmitEventsRequest, SubmitEventsResponse};
use crate::wire::validate;

/// The first line of a queue file: what it is, and the version of its format.
pub(super) const HEADER: &[u8] = b"casetrail outbox 1\n";
/// How the first line begins in every version.
const HEADER_BEGINS: &[u8] = b"casetrail outbox ";

/// How long a checksum is, in characters.
const CHECKSUM_LENGTH: usize = 8;
/// What tells a seal, behind its checksum.
const SEALED: &str = " sealed ";

/// What happened to the queue.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Record {
    /// A submission was put into it.
    Appended {
        /// The day, by the clock of the machine.
        on: Day,
        /// The submission; its request_id is a UUID.
        submission: SubmitEventsRequest,
    },
    /// A server recorded a submission, then or earlier.
    Recorded {
        /// The submission.
        request_id: Uuid,
        /// What it answered.
        answer: SubmitEventsResponse,
    },
    /// A server refused a submission.
    Refused {
        /// The submission.
        request_id: Uuid,
        /// Why.
        refusal: Refusal,
    },
    /// The user took a submission out.
    Removed {
        /// The submission.
        request_id: Uuid,
    },
}

/// What a file holds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Content {
    /// The records of its whole lines, in order.
    pub(super) records: Vec<Record>,
    /// How many bytes are whole lines; 0 where the file was not begun.
    pub(super) whole_bytes: usize,
    /// Where the last seal begins; 0 where there is none yet.
    pub(super) seal_begins: usize,
    /// How many bytes end with the last seal.
    pub(super) sealed_bytes: usize,
}

/// Why a file can't be taken as a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is something else.
    NotAnOutbox,
    /// A later version of the format.
    NewerFormat,
    /// What was told as done is not as it was written.
    Damaged {
        /// The line, from 1.
        line: u64,
        /// The offset of the line's begin, in bytes.
        byte: usize,
    },
    /// A line is as it was written, and this version doesn't know what it says.
    NotUnderstood {
        /// The line, from 1.
        line: u64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnOutbox => formatter
                .write_str("this is no queue file of casetrail outbox; name one, or a new file"),
            Self::NewerFormat => formatter
                .write_str("a newer version of casetrail wrote this queue file; use that version"),
            Self::Damaged { line, byte } => write!(
                formatter,
                "line {line}, from byte {byte} on, was changed after it was written, and more that \
                 was told as done stands behind it; nothing was changed"
            ),
            Self::NotUnderstood { line } => write!(
                formatter,
                "line {line} is as it was written, but this version of casetrail doesn't know what \
                 it says; use the version that wrote it"
            ),
        }
    }
}

/// The bytes of a record, with its line ending.
///
/// # Errors
/// Where a message has no JSON form.
pub(super) fn render(record: &Record) -> Result<String, NoJsonForm> {
    Ok(line(&match record {
        Record::Appended { on, submission } => {
            format!("appended {on} {}", json::to_json(submission)?)
        }
        Record::Recorded { request_id, answer } => {
            format!("recorded {request_id} {}", json::to_json(answer)?)
        }
        Record::Refused {
            request_id,
            refusal,
        } => format!("refused {request_id} {}", json::to_json(refusal)?),
        Record::Removed { request_id } => format!("removed {request_id}"),
    }))
}

/// The bytes of a seal at this offset.
pub(super) fn seal(offset: u64) -> String {
    line(&format!("sealed {offset}"))
}

fn line(text: &str) -> String {
    format!("{:08x} {text}\n", crc32fast::hash(text.as_bytes()))
}

/// Reads the content of a file.
///
/// # Errors
/// Where it is no queue, or damaged.
pub(super) fn read(bytes: &[u8]) -> Result<Content, Fault> {
    let Some(mut rest) = bytes.strip_prefix(HEADER) else {
        return without_header(bytes);
    };
    let mut content = Content {
        whole_bytes: HEADER.len(),
        sealed_bytes: HEADER.len(),
        ..Content::default()
    };
    let mut line = 1;
    while let Some(end) = memchr(b'\n', rest) {
        let Some((text, behind)) = rest.split_at_checked(end) else {
            break;
        };
        let Some(text) = verified(text) else { break };
        line += 1;
        let whole_bytes = content.whole_bytes + end + 1;
        match parse(text).ok_or(Fault::NotUnderstood { line })? {
            Line::Record(record) => content.records.push(*record),
            Line::Sealed(offset) if usize::try_from(offset) == Ok(content.whole_bytes) => {
                content.seal_begins = content.whole_bytes;
                content.sealed_bytes = whole_bytes;
            }
            // Something is missing before it, or there is more than there was.
            Line::Sealed(_) => {
                line -= 1;
                break;
            }
        }
        content.whole_bytes = whole_bytes;
        rest = behind.get(1..).unwrap_or_default();
    }
    if holds_seal(rest) {
        return Err(Fault::Damaged {
            line: line + 1,
            byte: content.whole_bytes,
        });
    }
    Ok(content)
}

/// What a file is that does not begin as a queue of this version does.
fn without_header(bytes: &[u8]) -> Result<Content, Fault> {
    if was_only_begun(bytes) {
        return Ok(Content::default());
    }
    let (first, behind) = match memchr(b'\n', bytes).and_then(|end| bytes.split_at_checked(end)) {
        Some((first, behind)) => (first, behind.get(1..).unwrap_or_default()),
        None => (bytes, &[][..]),
    };
    let version = first.strip_prefix(HEADER_BEGINS);
    let names_a_version = version.is_some_and(|it| it.iter().all(u8::is_ascii_digit));
    let mut lines = behind.split_inclusive(|byte| *byte == b'\n');
    let is_understood = |line: &[u8]| {
        let line = line.strip_suffix(b"\n");
        line.and_then(verified).and_then(parse).is_some()
    };
    let is_newer = names_a_version && !lines.all(is_understood);
    match holds_seal(bytes) {
        // All that was told as done stands behind a first line that is no longer as it was.
        true if !is_newer => Err(Fault::Damaged { line: 1, byte: 0 }),
        _ if version.is_some() => Err(Fault::NewerFormat),
        _ => Err(Fault::NotAnOutbox),
    }
}

/// The records of all lines that are whole, whatever stands between them, and the numbers of those that
/// are not, from 1.
pub(super) fn read_whole_lines(bytes: &[u8]) -> (Vec<Record>, Vec<u64>) {
    let (mut records, mut others) = (Vec::new(), Vec::new());
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    for (number, line) in (1..).zip(body.split(|byte| *byte == b'\n')) {
        let is_header = number == 1 && HEADER.strip_suffix(b"\n") == Some(line);
        match verified(line).and_then(parse) {
            Some(Line::Record(record)) => records.push(*record),
            Some(Line::Sealed(_)) => {}
            None if is_header => {}
            None => others.push(number),
        }
    }
    (records, others)
}

/// Whether it is what a command leaves that was interrupted before the first line was durable: a part
/// of it, or zeros, which some file systems leave after a power cut.
fn was_only_begun(bytes: &[u8]) -> bool {
    HEADER.starts_with(bytes) || (bytes.len() <= HEADER.len() && bytes.iter().all(|b| *b == 0))
}

/// What a line says.
enum Line {
    Record(Box<Record>),
    Sealed(u64),
}

/// The text of a line, without its ending, where its checksum is right.
fn verified(line: &[u8]) -> Option<&str> {
    let (checksum, text) = line.split_at_checked(CHECKSUM_LENGTH)?;
    let text = text.strip_prefix(b" ")?;
    let expected = format!("{:08x}", crc32fast::hash(text));
    (checksum == expected.as_bytes())
        .then(|| str::from_utf8(text).ok())
        .flatten()
}

fn parse(text: &str) -> Option<Line> {
    let (kind, content) = text.split_once(' ')?;
    let request_id = |text: &str| validate::uuid("request_id", text).ok();
    let record = match kind {
        "sealed" => return content.parse().ok().map(Line::Sealed),
        "appended" => {
            let (on, submission) = content.split_once(' ')?;
            let submission: SubmitEventsRequest = json::from_json(submission).ok()?;
            request_id(&submission.request_id)?;
            Record::Appended {
                on: Day::parse(on)?,
                submission,
            }
        }
        "recorded" => {
            let (id, answer) = content.split_once(' ')?;
            Record::Recorded {
                request_id: request_id(id)?,
                answer: json::from_json(answer).ok()?,
            }
        }
        "refused" => {
            let (id, refusal) = content.split_once(' ')?;
            Record::Refused {
                request_id: request_id(id)?,
                refusal: json::from_json(refusal).ok()?,
            }
        }
        "removed" => Record::Removed {
            request_id: request_id(content)?,
        },
        _ => return None,
    };
    Some(Line::Record(Box::new(record)))
}

/// Whether a whole seal stands anywhere in these bytes; the line ending before it may be damaged.
fn holds_seal(bytes: &[u8]) -> bool {
    memmem::find_iter(bytes, SEALED).any(|found| {
        let begin = found.checked_sub(CHECKSUM_LENGTH);
        let line = begin.and_then(|begin| bytes.get(begin..));
        let line = line.and_then(|line| line.get(..memchr(b'\n', line)?));
        line.and_then(verified).is_some()
    })
}
