//! Every limit on what is sent, stored and queued, in one place; README repeats them.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Length of an encoded event with its personal values, in bytes: 16 KiB. Payloads hold codes and
/// references alone.
pub const EVENT_BYTES_MAX: usize = 16 * 1024;
/// Length of an encoded record, in bytes: 64 KiB, the event with what the service adds.
pub const RECORD_BYTES_MAX: usize = 64 * 1024;
/// Number of events of one submission, over all its changes.
pub const SUBMISSION_EVENTS_MAX: usize = 100;
/// Number of cases that one submission may change.
pub const SUBMISSION_CASES_MAX: usize = 16;
/// Length of an encoded submission, in bytes: 256 KiB. A commit must stay far under a segment of
/// the log.
pub const SUBMISSION_BYTES_MAX: usize = 256 * 1024;
/// Length of one encoded personal value, in bytes: 8 KiB.
pub const PERSONAL_VALUE_BYTES_MAX: usize = 8 * 1024;
/// Number of personal values of one event.
pub const EVENT_PERSONAL_VALUES_MAX: usize = 64;
/// Number of personal values of one submission, over all its events: sealing makes each longer.
pub const SUBMISSION_PERSONAL_VALUES_MAX: usize = 500;
/// Length of the name of a personal value's field, in bytes; it has at least one.
pub const PERSONAL_FIELD_BYTES_MAX: usize = 64;
/// Number of parts of a name; it has at least one.
pub const NAME_PARTS_MAX: usize = 32;
/// Number of parts of a name that is searched for; there is at least one.
pub const SEARCH_PARTS_MAX: usize = 8;
/// Length of one of them, in bytes of UTF-8.
pub const SEARCH_PART_BYTES_MAX: usize = 200;
/// Number of matches that a search by name tells.
pub const SEARCH_MATCHES_MAX: usize = 100;
/// Number of cases whose personal values are asked for at once.
pub const PERSONAL_CASES_MAX: usize = 100;
/// Length of a request message, in bytes: 4 MiB.
pub const REQUEST_MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Number of fields of a request message, those of the messages in it included: far more than the
/// largest submission or filter has.
pub const REQUEST_FIELDS_MAX: usize = 200_000;

/// Number of items of a page at most; a larger page_size is taken as this one (AIP-158).
pub const PAGE_SIZE_MAX: usize = 1_000;
/// Number of items of a page where page_size is 0.
pub const PAGE_SIZE_DEFAULT: usize = 100;
/// Number of months of a series of counts.
pub const SERIES_MONTHS_MAX: usize = 120;
/// Number of events that are named of one case between two reports.
pub const COMPARED_EVENTS_MAX: usize = 1_000;
/// Number of values of one list of a filter.
pub const FILTER_VALUES_MAX: usize = 1_000;

/// Number of connections at once: one for each stream that may be open.
pub const CONNECTIONS_MAX: usize = OPEN_STREAMS_MAX;
/// Number of connections of one address at once, on a server with accounts: a tenth of all.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = CONNECTIONS_MAX / 10;
/// Length of what is there of request messages that have not arrived whole, in bytes, over all calls:
/// 64 MiB.
pub const ARRIVING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Number of streams open at once, over all connections.
pub const OPEN_STREAMS_MAX: usize = 10_000;
/// Number of streams of submissions that may be open beside them: who reads never keeps anybody from
/// recording.
pub const SUBMIT_STREAMS_KEPT: usize = 1_000;
/// Number of streams that one account has open at once.
pub const STREAMS_PER_ACCOUNT_MAX: u32 = 100;
/// Number of submissions that wait for the writer.
pub const QUEUE_SUBMISSIONS_MAX: usize = 4_096;
/// Length of the submissions that wait for the writer, in bytes: 64 MiB.
pub const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The longest silence on an open stream: after it, a sign of life is sent.
pub const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// Calls of one account a second, over time; a stream is one call.
pub const CALLS_PER_SECOND: u32 = 2_000;
/// Calls of one account at once, after a rest.
pub const CALLS_BURST: u32 = 10_000;
/// Calls from one address whose credentials are not valid, after which it is locked out.
pub const FAILURES_MAX: u32 = 30;
/// For how long an address is locked out, and within what time its failures are counted together.
pub const LOCK_OUT: Duration = Duration::from_secs(60);
/// How long a call waits for its answer whose credentials are not valid, whatever was wrong with them.
pub const FAILURE_ANSWER: Duration = Duration::from_millis(100);

/// The least number of cases that a count for monitors tells, and the step in which it goes.
pub const SMALL_CELL: u64 = 5;

/// Length of a reference, in bytes of UTF-8; it has at least one.
pub const REFERENCE_BYTES_MAX: usize = 128;
/// Length of a P-code of a first-level district, in characters, at least.
pub const DISTRICT_LENGTH_MIN: usize = 2;
/// Length of a P-code of a first-level district, in characters, at most.
pub const DISTRICT_LENGTH_MAX: usize = 16;
/// Number of members of a household; it has at least one.
pub const HOUSEHOLD_MEMBERS_MAX: u32 = 1_000;
/// Number of labels into which remains are split at once; there is at least one.
pub const SPLIT_LABELS_MAX: usize = 100;
/// Number of parties of an agreement or a consultation; there is at least one.
pub const PARTIES_MAX: usize = 16;
/// Number of clauses that an agreement is signed with; there is at least one.
pub const CLAUSES_MAX: usize = 64;
/// Number of rules that put cases under one clause.
pub const CLAUSE_RULES_MAX: usize = 16;
/// Years that a plan of consultations can have.
pub const PLAN_YEARS: RangeInclusive<u32> = 1900..=2199;
/// Number of later events that one undoing of a merge assigns.
pub const STAYING_EVENTS_MAX: usize = 400;
/// Number of violations that one refusal tells; checking ends there.
pub const VIOLATIONS_MAX: usize = 32;
/// By how many days an event may lie ahead of the day of recording, since the day has already
/// begun elsewhere on earth.
pub const DAYS_AHEAD_MAX: i32 = 1;
