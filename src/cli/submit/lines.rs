//! Reads submissions from JSON Lines, on a thread of its own and no faster than they are taken.
//!
//! What is held in memory at a time is bounded, however large the input is: one line of at most
//! [`LINE_BYTES_MAX`] and the few submissions that are read ahead.

use std::io::{self, BufRead, BufReader, Read};

use prost::Message;
use tokio::sync::mpsc;

use crate::wire::json;
use crate::wire::v1::SubmitEventsRequest;

/// The longest line, in bytes. The largest submission is 256 KiB; JSON takes several times that.
pub(super) const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How many submissions are read ahead of their sending.
const READ_AHEAD: usize = 64;

/// A line of the input that is not blank.
pub(crate) struct Line {
    /// Its number, from 1.
    pub(crate) number: u64,
    /// How many bytes of the input end with it.
    pub(crate) end: u64,
    /// The submission, or what is wrong with the line.
    pub(crate) submission: Result<SubmitEventsRequest, String>,
}

impl Line {
    /// The size of the submission on the wire, in bytes.
    pub(super) fn size(&self) -> usize {
        self.submission.as_ref().map_or(0, Message::encoded_len)
    }
}

/// Reads the lines of an input. Where reading fails, that is the last item.
pub(super) fn read(input: impl Read + Send + 'static) -> mpsc::Receiver<io::Result<Line>> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    // A thread and not a task: nothing waits for it where standard input never ends.
    std::thread::spawn(move || {
        for line in Lines::new(BufReader::with_capacity(256 * 1024, input)) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

struct Lines<R> {
    input: R,
    number: u64,
    end: u64,
    failed: bool,
}

impl<R: BufRead> Lines<R> {
    fn new(input: R) -> Self {
        Self {
            input,
            number: 0,
            end: 0,
            failed: false,
        }
    }

    /// The next line with its ending, cut off after the limit; empty at the end of the input.
    fn next_bytes(&mut self) -> io::Result<(Vec<u8>, bool)> {
        let mut bytes = Vec::new();
        let mut too_long = false;
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let newline = buffer.iter().position(|byte| *byte == b'\n');
            let taken = newline.map_or(buffer.len(), |newline| newline + 1);
            // What goes beyond the limit is read over and not kept.
            if bytes.len() + taken > LINE_BYTES_MAX {
                too_long = true;
                bytes.clear();
            }
            if !too_long {
                bytes.extend_from_slice(buffer.get(..taken).unwrap_or_default());
            }
            self.input.consume(taken);
            self.end = self
                .end
                .saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
            if newline.is_some() || taken == 0 {
                return Ok((bytes, too_long));
            }
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            let before = self.end;
            let (bytes, too_long) = match self.next_bytes() {
                Ok(line) => line,
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            };
            if self.end == before {
                return None;
            }
            self.number += 1;
            let submission = if too_long {
                Err(format!("the line is longer than {LINE_BYTES_MAX} bytes"))
            } else {
                match parse(&bytes, self.number == 1) {
                    Some(submission) => submission,
                    None => continue,
                }
            };
            return Some(Ok(Line {
                number: self.number,
                end: self.end,
                submission,
            }));
        }
        None
    }
}

/// The submission of a line, or what is wrong with it; none where the line is blank.
fn parse(bytes: &[u8], first: bool) -> Option<Result<SubmitEventsRequest, String>> {
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let column = error.valid_up_to().saturating_add(1);
            return Some(Err(format!("column {column}: the line is not UTF-8")));
        }
    };
    // Some editors begin a file with a byte order mark.
    let text = if first {
        text.strip_prefix('\u{feff}').unwrap_or(text)
    } else {
        text
    };
    let text = text.trim_end();
    if text.trim_start().is_empty() {
        return None;
    }
    let submission = json::from_json(text);
    Some(submission.map_err(|error| format!("column {}: {}", error.column, error.message)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn lines(input: &[u8]) -> Vec<(u64, u64, Result<String, String>)> {
        Lines::new(BufReader::with_capacity(7, Cursor::new(input.to_vec())))
            .map(Result::unwrap)
            .map(|line| (line.number, line.end, line.submission.map(|s| s.request_id)))
            .collect()
    }

    #[test]
    fn blank_lines_are_skipped_but_counted() {
        let read = lines(b"\xef\xbb\xbf{\"requestId\":\"a\"}\r\n\n  \n{\"requestId\":\"b\"}");
        assert_eq!(read, [(1, 22, Ok("a".into())), (4, 43, Ok("b".into()))]);
    }

    #[test]
    fn a_malformed_line_names_its_column_and_the_next_one_is_read() {
        let read = lines(b"{\"requestId\": \n{\"requestId\":\"b\"}\n\xff\n");
        assert_eq!(read.len(), 3);
        assert!(
            read[0].2.as_ref().unwrap_err().contains("column"),
            "{:?}",
            read[0]
        );
        assert_eq!(read[1].2, Ok("b".into()));
        assert_eq!(read[2].2, Err("column 1: the line is not UTF-8".into()));
    }

    #[test]
    fn a_line_beyond_the_limit_is_read_over_and_the_next_one_is_read() {
        let mut input = vec![b' '; LINE_BYTES_MAX + 1];
        input.extend_from_slice(b"\n{\"requestId\":\"b\"}\n");
        let read: Vec<_> = Lines::new(Cursor::new(input)).map(Result::unwrap).collect();
        assert_eq!(read.len(), 2);
        assert!(
            read[0]
                .submission
                .as_ref()
                .unwrap_err()
                .contains("4194304 bytes")
        );
        assert_eq!(read[1].submission.as_ref().unwrap().request_id, "b");
    }
}
