//! Whether an answer says that a submission is recorded, told from its bytes: decoding it would
//! cost the load as much as sending does.

use prost::Message;
use tonic::Code;

use crate::cli::failure::describe;
use crate::cli::names;
use crate::wire::v1::{SubmitEventsResponse, SubmitStreamResponse, submit_stream_response};

/// Field 1 of SubmitEventsResponse, the request_id of 36 characters.
const REQUEST_ID_HEAD: [u8; 2] = [0x0a, 36];
/// Where it ends.
const REQUEST_ID_END: usize = 38;
/// Field 3 of SubmitEventsResponse, recorded_at. Field 2, `replayed`, would come before it.
const RECORDED_AT_KEY: u8 = 0x1a;
/// Fields 1 and 2 of SubmitStreamResponse: the index and the answer of an item that is recorded.
const INDEX_KEY: u8 = 0x08;
const RECORDED_KEY: u8 = 0x12;

/// Whether this SubmitEventsResponse says that the submission with a request_id that ends in these
/// digits is recorded now.
pub(super) fn is_recorded(answer: &[u8], digits: &[u8]) -> bool {
    let (Some(request_id), Some(after)) =
        (answer.get(..REQUEST_ID_END), answer.get(REQUEST_ID_END))
    else {
        return false;
    };
    request_id.starts_with(&REQUEST_ID_HEAD)
        && request_id.ends_with(digits)
        && *after == RECORDED_AT_KEY
}

/// Whether this SubmitStreamResponse says that the item at this index is recorded now.
pub(super) fn is_item_recorded(answer: &[u8], index: u64, digits: &[u8]) -> bool {
    let Some((actual, rest)) = split_index(answer) else {
        return false;
    };
    let Some((&RECORDED_KEY, rest)) = rest.split_first() else {
        return false;
    };
    let Some((_, recorded)) = split_varint(rest) else {
        return false;
    };
    actual == index && is_recorded(recorded, digits)
}

/// What a call's answer said instead, in words.
pub(super) fn explain(answer: &[u8]) -> String {
    match SubmitEventsResponse::decode(answer) {
        Ok(response) if response.replayed => "it was known already".to_owned(),
        Ok(_) => "the answer was that to another submission".to_owned(),
        Err(error) => format!("the answer was malformed: {error}"),
    }
}

/// What the answer to an item said instead, in words.
pub(super) fn explain_item(answer: &[u8]) -> String {
    use submit_stream_response::Outcome::{Recorded, Refused};
    match SubmitStreamResponse::decode(answer).map(|response| response.outcome) {
        Ok(Some(Refused(refusal))) => describe(&refusal),
        Ok(Some(Recorded(response))) => explain(&response.encode_to_vec()),
        Ok(None) => format!("the answer said nothing ({})", names::code(Code::Unknown)),
        Err(error) => format!("the answer was malformed: {error}"),
    }
}

/// The index, 0 where it is left out, and what follows it.
fn split_index(answer: &[u8]) -> Option<(u64, &[u8])> {
    match answer.split_first()? {
        (&INDEX_KEY, rest) => split_varint(rest),
        _ => Some((0, answer)),
    }
}

fn split_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut rest = bytes;
    let value = prost::encoding::decode_varint(&mut rest).ok()?;
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::v1::{CaseChangeResult, Refusal};
    use submit_stream_response::Outcome;

    const DIGITS: &[u8] = b"0123456789ab";

    fn recorded(replayed: bool) -> SubmitEventsResponse {
        SubmitEventsResponse {
            request_id: "018e0b5c-7a40-7cc1-8f00-0123456789ab".to_owned(),
            replayed,
            recorded_at: Some(prost_types::Timestamp {
                seconds: 1_700_000_000,
                nanos: 1,
            }),
            results: vec![CaseChangeResult::default()],
        }
    }

    fn item(index: u64, outcome: Outcome) -> Vec<u8> {
        let outcome = Some(outcome);
        SubmitStreamResponse { index, outcome }.encode_to_vec()
    }

    #[test]
    fn the_answer_to_the_submission_itself_is_recorded() {
        let answer = recorded(false).encode_to_vec();
        assert!(is_recorded(&answer, DIGITS));
        assert!(!is_recorded(&answer, b"0123456789ac"));
        assert!(!is_recorded(b"", DIGITS));
    }

    #[test]
    fn what_was_known_already_is_not_recorded_now() {
        let answer = recorded(true).encode_to_vec();
        assert!(!is_recorded(&answer, DIGITS));
        assert_eq!(explain(&answer), "it was known already");
    }

    #[test]
    fn an_item_is_recorded_at_its_own_index_alone() {
        for index in [0, 1, 127, 128, 1 << 40] {
            let answer = item(index, Outcome::Recorded(recorded(false)));
            assert!(is_item_recorded(&answer, index, DIGITS));
            assert!(!is_item_recorded(&answer, index + 1, DIGITS));
            let known = item(index, Outcome::Recorded(recorded(true)));
            assert!(!is_item_recorded(&known, index, DIGITS));
        }
    }

    #[test]
    fn a_refused_item_is_not_recorded_and_says_why() {
        let refusal = Refusal {
            reason: "STALE_VERSION".to_owned(),
            message: "the case is further on".to_owned(),
            ..Refusal::default()
        };
        let answer = item(3, Outcome::Refused(refusal));
        assert!(!is_item_recorded(&answer, 3, DIGITS));
        assert!(explain_item(&answer).contains("STALE_VERSION"));
    }
}
