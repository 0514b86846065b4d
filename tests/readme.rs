//! README says what the code does: its diagrams and its limits come from the same data.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use casetrail::domain::lifecycle::{KINDS, document};
use casetrail::wire::limits;

const README: &str = include_str!("../README.md");

#[test]
fn the_diagrams_are_those_of_the_lifecycles() {
    for kind in KINDS {
        let diagram = document::mermaid(kind);
        let name = document::kind_name(kind);
        assert!(
            README.contains(diagram.trim_end()),
            "print it anew: casetrail lifecycle {name} --mermaid"
        );
    }
}

#[test]
fn the_table_of_roles_is_that_of_the_code() {
    let table = casetrail::access::table::document();
    assert!(
        README.contains(table.trim_end()),
        "print it anew: casetrail roles"
    );
}

#[test]
fn the_limits_are_those_of_the_code() {
    const KIB: usize = 1024;
    let rows = [
        format!("| an event | {} KiB |", limits::EVENT_BYTES_MAX / KIB),
        format!("| a record | {} KiB |", limits::RECORD_BYTES_MAX / KIB),
        format!(
            "| a submission | {} events, {} cases, {} KiB |",
            limits::SUBMISSION_EVENTS_MAX,
            limits::SUBMISSION_CASES_MAX,
            limits::SUBMISSION_BYTES_MAX / KIB
        ),
        format!(
            "| personal values | {} of an event, {} of a submission; {} KiB each |",
            limits::EVENT_PERSONAL_VALUES_MAX,
            limits::SUBMISSION_PERSONAL_VALUES_MAX,
            limits::PERSONAL_VALUE_BYTES_MAX / KIB
        ),
        format!(
            "| cases whose personal values are asked for at once | {} |",
            limits::PERSONAL_CASES_MAX
        ),
        format!(
            "| a search by name | {} parts of {} bytes; {} matches |",
            limits::SEARCH_PARTS_MAX,
            limits::SEARCH_PART_BYTES_MAX,
            limits::SEARCH_MATCHES_MAX
        ),
        format!("| a reference | {} bytes", limits::REFERENCE_BYTES_MAX),
        format!(
            "| a request message | {} MiB, {} fields |",
            limits::REQUEST_MESSAGE_BYTES_MAX / KIB / KIB,
            with_comma(limits::REQUEST_FIELDS_MAX)
        ),
        format!(
            "| a page | {} items; {} where",
            with_comma(limits::PAGE_SIZE_MAX),
            limits::PAGE_SIZE_DEFAULT
        ),
        format!(
            "| a list of a filter | {} values |",
            with_comma(limits::FILTER_VALUES_MAX)
        ),
        format!(
            "| submissions that wait for the writer | {} and {} MiB;",
            with_comma(limits::QUEUE_SUBMISSIONS_MAX),
            limits::QUEUE_BYTES_MAX / KIB / KIB
        ),
        format!(
            "| open streams | {} |",
            with_comma(limits::OPEN_STREAMS_MAX)
        ),
        format!(
            "| streams of submissions beside them | {} |",
            with_comma(limits::SUBMIT_STREAMS_KEPT)
        ),
        format!(
            "| open streams of an account | {} ",
            limits::STREAMS_PER_ACCOUNT_MAX
        ),
        format!(
            "| connections of one address, with accounts | {} ",
            with_comma(limits::CONNECTIONS_PER_ADDRESS_MAX)
        ),
        format!(
            "| silence on an open stream | {} seconds |",
            limits::PROGRESS_INTERVAL.as_secs()
        ),
        format!(
            "| calls of an account | {} a second, {} at once |",
            with_comma(usize::try_from(limits::CALLS_PER_SECOND).unwrap()),
            with_comma(usize::try_from(limits::CALLS_BURST).unwrap())
        ),
        format!(
            "| wrong credentials from one address | {} in {} seconds,",
            limits::FAILURES_MAX,
            limits::LOCK_OUT.as_secs()
        ),
        format!(
            "| a household | {} members |",
            with_comma(usize::try_from(limits::HOUSEHOLD_MEMBERS_MAX).unwrap())
        ),
    ];
    for row in rows {
        assert!(README.contains(&row), "{row}");
    }
}

fn with_comma(number: usize) -> String {
    if number < 1_000 {
        number.to_string()
    } else {
        format!("{},{:03}", number / 1_000, number % 1_000)
    }
}
