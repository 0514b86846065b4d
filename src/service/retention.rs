//! Retention: whose personal data is past its time, by rules over the kind of case and the class of
//! value. It raises nothing by itself: somebody requests the erasure, and a second person confirms it.
//!
//! A subject has one key, so that an erasure takes all that is known of them. So a subject is due only
//! once every value about them is, whatever case it stands in; a value without a rule, or of a case that
//! is open, keeps them.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Arc, Weak};

use prost::Message;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::Shared;
use super::call::blocking;
use super::status::Failure;
use crate::domain::{CaseState, Sight, Ties};
use crate::ledger::Ledger;
use crate::seal::Keyring;
use crate::wire::edtf::Day;
use crate::wire::limits::PAGE_SIZE_MAX;
use crate::wire::outline::KeysOutline;
use crate::wire::v1::{
    CaseKind, ListRetentionDueResponse, PersonalClass, Record, RetentionDue, SealedPersonal,
};

/// How many bytes of blocks are read at a time.
const READ_BYTES: usize = 4 * 1024 * 1024;
/// A merged case is followed to the one that goes on no further than this.
const MERGES_MAX: usize = 100;

/// How long values of a class, or of every class that has no rule of its own, are kept after a case of
/// a kind ended or was closed. An erasure takes all of a person's values, so that a rule for a class can
/// only make it wait longer where they have values of other classes too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionRule {
    /// Kind of the case.
    pub kind: CaseKind,
    /// The class; none for all that have no rule of their own.
    pub class: Option<PersonalClass>,
    /// So many days.
    pub days: u32,
}

/// The longest retention time, in days: a hundred years.
const DAYS_MAX: u32 = 36_525;

impl FromStr for RetentionRule {
    type Err = String;

    /// Reads `detention=3650` or `return:health=5475`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (of, days) = text.split_once('=').ok_or(FORM)?;
        let (kind, class) = match of.split_once(':') {
            Some((kind, class)) => (kind, Some(class)),
            None => (of, None),
        };
        let upper = |prefix: &str, name: &str| format!("{prefix}{}", name.to_ascii_uppercase());
        let kind = CaseKind::from_str_name(&upper("CASE_KIND_", kind));
        let class = class.map(|class| {
            let class = PersonalClass::from_str_name(&upper("PERSONAL_CLASS_", class));
            class
                .filter(|class| *class != PersonalClass::Unspecified)
                .ok_or(FORM)
        });
        Ok(Self {
            kind: kind
                .filter(|kind| *kind != CaseKind::Unspecified)
                .ok_or(FORM)?,
            class: class.transpose()?,
            days: days
                .parse()
                .ok()
                .filter(|days| *days <= DAYS_MAX)
                .ok_or(FORM)?,
        })
    }
}

const FORM: &str = "is no rule; give KIND=DAYS or KIND:CLASS=DAYS, such as detention=3650 or \
                    return:health=5475; a shorter time for a class doesn't erase its values earlier, \
                    since a person's data is erased whole once the last rule allows it";

/// What is known of a subject so far.
struct Kept {
    /// The day on which the last of the values is past its time; none while one has to be kept.
    until: Option<Day>,
    /// The case that ended last.
    case: Arc<CaseState>,
}

/// The rules, and whose turn it is to read the log by them.
#[derive(Debug)]
pub(super) struct Retention {
    rules: Vec<RetentionRule>,
    /// One at a time: each reads the whole log.
    turn: Arc<Mutex<()>>,
}

impl Retention {
    pub(super) fn new(rules: Vec<RetentionRule>) -> Self {
        Self {
            rules,
            turn: Arc::default(),
        }
    }
}

/// The subjects that are due today, as far as there is the case for the caller where the erasure is to be
/// requested. Reads the whole log, one caller after the other, and no further once the caller is gone.
pub(super) async fn due(
    shared: &Arc<Shared>,
    sight: Sight,
) -> Result<ListRetentionDueResponse, Failure> {
    let turn = Arc::clone(&shared.retention.turn).lock_owned().await;
    // It is dropped with this call.
    let waiting = Arc::new(());
    let caller = Arc::downgrade(&waiting);
    let shared = Arc::clone(shared);
    let listed = blocking(move || {
        let _turn = turn;
        let keyring = shared.ledger.keyring().ok_or_else(Failure::no_keys)?;
        let rules = &shared.retention.rules;
        list(&shared.ledger, keyring, rules, &sight, &caller)
    })
    .await;
    drop(waiting);
    listed?
}

fn list(
    ledger: &Ledger,
    keyring: &Keyring,
    rules: &[RetentionRule],
    sight: &Sight,
    caller: &Weak<()>,
) -> Result<ListRetentionDueResponse, Failure> {
    let today = ledger.today();
    let until = ledger.views().position();
    let mut subjects: HashMap<Uuid, Kept> = HashMap::new();
    let mut position = 0;
    while position < until && !rules.is_empty() {
        if caller.strong_count() == 0 {
            return Err(Failure::internal("the caller is gone"));
        }
        for block in ledger.log().read(position, READ_BYTES)? {
            for (at, bytes) in block
                .records()
                .filter(|(at, _)| (position..until).contains(at))
            {
                let damaged = || Failure::unreadable_record(at, "it is no record");
                let outline = KeysOutline::read(&bytes).map_err(|_| damaged())?;
                if outline.sealed.is_empty() {
                    continue;
                }
                let record = Record::decode(bytes).map_err(|_| damaged())?;
                let case_id = Uuid::try_parse(&record.case_id).map_err(|_| damaged())?;
                let Some(case) = standing_for(ledger, case_id) else {
                    continue;
                };
                for sealed in &record.sealed {
                    let subject = Uuid::try_parse(&sealed.subject_id).map_err(|_| damaged())?;
                    take(
                        &mut subjects,
                        subject,
                        &case,
                        kept_until(rules, &case, sealed),
                    );
                }
            }
            position = block.end_position();
        }
    }
    subjects.retain(|subject, kept| {
        kept.until.is_some_and(|until| until <= today)
            && sight.includes(&kept.case)
            && !keyring.is_erased(*subject)
    });
    let (requested, open): (Vec<_>, Vec<_>) = subjects
        .into_iter()
        .partition(|(subject, kept)| Ties::of(&kept.case).requests_erasure_of(*subject));
    let mut open: Vec<_> = open
        .into_iter()
        .filter_map(|(subject, kept)| Some((kept.until?, subject, kept.case.case_id())))
        .collect();
    open.sort_unstable();
    let more = open.len().saturating_sub(PAGE_SIZE_MAX);
    let listed = open.into_iter().take(PAGE_SIZE_MAX);
    Ok(ListRetentionDueResponse {
        due: listed
            .map(|(since, subject, case_id)| RetentionDue {
                subject_id: subject.to_string(),
                case_id: case_id.to_string(),
                due_since: since.to_string(),
            })
            .collect(),
        more: more as u64,
        requested: requested.len() as u64,
        position: until,
    })
}

/// The case, or the one that goes on for it.
fn standing_for(ledger: &Ledger, case_id: Uuid) -> Option<Arc<CaseState>> {
    let views = ledger.views();
    let mut case = views.case(case_id)?;
    for _ in 0..MERGES_MAX {
        match Uuid::try_parse(&case.merged_into()) {
            Ok(survivor) => case = views.case(survivor)?,
            Err(_) => break,
        }
    }
    Some(Arc::clone(case))
}

/// Until when the values of a subject in an event are kept; none where one has no end yet.
fn kept_until(rules: &[RetentionRule], case: &CaseState, sealed: &SealedPersonal) -> Option<Day> {
    let ended_on = case.ended_on()?;
    let days = |class: PersonalClass| {
        let of_kind = || rules.iter().filter(|rule| rule.kind == case.kind());
        let own = of_kind().find(|rule| rule.class == Some(class));
        let rule = own.or_else(|| of_kind().find(|rule| rule.class.is_none()))?;
        i32::try_from(rule.days).ok()
    };
    let mut values = sealed.values.iter();
    let longest = values.try_fold(0, |longest, value| {
        Some(days(value.personal_class())?.max(longest))
    });
    Some(ended_on.plus(longest?))
}

fn take(
    subjects: &mut HashMap<Uuid, Kept>,
    subject: Uuid,
    case: &Arc<CaseState>,
    until: Option<Day>,
) {
    let known = subjects.entry(subject).or_insert_with(|| Kept {
        until,
        case: Arc::clone(case),
    });
    known.until = match (known.until, until) {
        (Some(one), Some(other)) => Some(one.max(other)),
        _ => None,
    };
    if known.case.ended_on() < case.ended_on() {
        known.case = Arc::clone(case);
    }
}
