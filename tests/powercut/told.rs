//! What the server had told, and when: the submissions whose request_id was in anything that it
//! sent. That is found in the bytes that went through its sockets, which the trace has in one order
//! with the changes of the disk, so that nothing hangs on when a client came to read its answer.

use std::collections::{HashMap, HashSet};

use super::trace::{Happening, Trace};

/// The head of an HTTP/2 frame, and its type where it carries data.
const FRAME_HEAD_BYTES: usize = 9;
const DATA: u8 = 0;

/// The head of a gRPC message.
const MESSAGE_HEAD_BYTES: usize = 5;

/// The length of a UUID as text.
const UUID_BYTES: usize = 36;

/// The known request_ids that the server told, each with the entry that told it first. A message is
/// told once its last frame was sent whole: before that no client sees it.
pub fn told<'a>(trace: &Trace, known: &'a HashSet<String>) -> HashMap<&'a str, usize> {
    let mut connections: HashMap<&str, Connection> = HashMap::new();
    let mut told = HashMap::new();
    for (index, entry) in trace.entries.iter().enumerate() {
        let Happening::Send(sent) = &entry.happening else {
            continue;
        };
        let connection = connections.entry(&entry.path).or_default();
        for message in connection.take(trace.data(sent)) {
            for text in message.windows(UUID_BYTES).filter(|text| text[8] == b'-') {
                let text = str::from_utf8(text).ok();
                if let Some(request_id) = text.and_then(|text| known.get(text)) {
                    told.entry(request_id.as_str()).or_insert(index);
                }
            }
        }
    }
    told
}

/// What a connection has sent and is not whole yet.
#[derive(Default)]
struct Connection {
    frames: Vec<u8>,
    /// The data of each HTTP/2 stream.
    streams: HashMap<[u8; 4], Vec<u8>>,
}

impl Connection {
    /// Takes in what was sent, and returns the gRPC messages that it made whole.
    fn take(&mut self, sent: &[u8]) -> Vec<Vec<u8>> {
        self.frames.extend(sent);
        let mut messages = Vec::new();
        let mut at = 0;
        while let Some(head) = self.frames.get(at..at + FRAME_HEAD_BYTES) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let (kind, stream) = (head[3], [head[5], head[6], head[7], head[8]]);
            let from = at + FRAME_HEAD_BYTES;
            let Some(payload) = self.frames.get(from..from + length) else {
                break;
            };
            if kind == DATA {
                let stream = self.streams.entry(stream).or_default();
                stream.extend(payload);
                take_messages(stream, &mut messages);
            }
            at = from + length;
        }
        self.frames.drain(..at);
        messages
    }
}

fn take_messages(stream: &mut Vec<u8>, messages: &mut Vec<Vec<u8>>) {
    while let Some(head) = stream.get(1..MESSAGE_HEAD_BYTES) {
        let length = u32::from_be_bytes(head.try_into().unwrap()) as usize;
        let end = MESSAGE_HEAD_BYTES + length;
        if stream.len() < end {
            return;
        }
        messages.push(stream[MESSAGE_HEAD_BYTES..end].to_vec());
        stream.drain(..end);
    }
}
