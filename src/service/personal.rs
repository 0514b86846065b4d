//! PersonalService: personal data out, each disclosure recorded before it is sent.
//!
//! Invariants: nothing is sent before its disclosure is durable; nothing is disclosed without a purpose;
//! a class that the caller may not read is counted and not opened.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::Shared;
use super::call::{PAGE_BYTES_MAX, answer, blocking, caller, recorder, who};
use super::history::record_at;
use super::name_search;
use super::retention;
use super::status::Failure;
use crate::access::Identity;
use crate::domain::{CaseState, Sight};
use crate::ledger::{Ledger, Recorder};
use crate::log::Log;
use crate::seal::{Keyring, Unopened};
use crate::wire::v1::personal_service_server::PersonalService;
use crate::wire::v1::{
    DisclosedValues, Disclosure, DisclosurePurpose, GetPersonalRequest, GetPersonalResponse,
    ListDisclosuresRequest, ListDisclosuresResponse, ListRetentionDueRequest,
    ListRetentionDueResponse, PersonalClass, PersonalEntry, SealedPersonal, SearchByNameRequest,
    SearchByNameResponse,
};
use crate::wire::validate::{self, PersonalPlace, PersonalQuery};

/// The service; all its state is shared with the others.
#[derive(Debug)]
pub(super) struct Personal {
    pub(super) shared: Arc<Shared>,
}

#[tonic::async_trait]
impl PersonalService for Personal {
    async fn get_personal(
        &self,
        request: Request<GetPersonalRequest>,
    ) -> Result<Response<GetPersonalResponse>, Status> {
        let shared = Arc::clone(&self.shared);
        answer(&self.shared, "GetPersonal", who(&request), async move {
            let (who, identity) = (recorder(&request)?, caller(&request)?);
            let query = validate::personal_query(request.into_inner())?;
            let classes = classes(&shared, &identity, query.purpose)?;
            let reader = Reader { who, classes };
            let cases = find(&shared.ledger, &reader, &query)?;
            blocking(move || disclose(&shared.ledger, &reader, &query, &cases)).await?
        })
        .await
    }

    async fn search_by_name(
        &self,
        request: Request<SearchByNameRequest>,
    ) -> Result<Response<SearchByNameResponse>, Status> {
        let shared = Arc::clone(&self.shared);
        answer(&self.shared, "SearchByName", who(&request), async move {
            let (who, identity) = (recorder(&request)?, caller(&request)?);
            if !identity.classes().contains(&PersonalClass::Identity) {
                return Err(Failure::not_permitted(identity.role()));
            }
            let request = request.into_inner();
            validate::name_search(&request)?;
            name_search::search(&shared, who, request).await
        })
        .await
    }

    async fn list_retention_due(
        &self,
        request: Request<ListRetentionDueRequest>,
    ) -> Result<Response<ListRetentionDueResponse>, Status> {
        let shared = Arc::clone(&self.shared);
        answer(
            &self.shared,
            "ListRetentionDue",
            who(&request),
            async move {
                let sight = caller(&request)?.authority().sight;
                retention::due(&shared, sight).await
            },
        )
        .await
    }

    async fn list_disclosures(
        &self,
        request: Request<ListDisclosuresRequest>,
    ) -> Result<Response<ListDisclosuresResponse>, Status> {
        let shared = Arc::clone(&self.shared);
        answer(&self.shared, "ListDisclosures", who(&request), async move {
            let sight = caller(&request)?.authority().sight;
            let query = validate::disclosure_query(request.into_inner())?;
            if shared.ledger.keyring().is_none() {
                return Err(Failure::no_keys());
            }
            let (disclosures, next) = blocking({
                let (shared, query) = (Arc::clone(&shared), query.clone());
                move || {
                    let is_told = |it: &mut Disclosure| keep_told(&shared, &sight, it);
                    let ledger = &shared.ledger;
                    ledger.disclosures(query.begin, query.subject, query.page_size, is_told)
                }
            })
            .await?
            .map_err(Failure::disclosures_unavailable)?;
            Ok(ListDisclosuresResponse {
                disclosures,
                next_page_token: next.map(|place| query.token(place)).unwrap_or_default(),
            })
        })
        .await
    }
}

/// Leaves out of a disclosure what a caller is not told: what was disclosed of cases out of sight, and
/// its number where there are any. False where nothing is left.
fn keep_told(shared: &Shared, sight: &Sight, disclosure: &mut Disclosure) -> bool {
    disclosure.number = number_told(sight, disclosure.number).unwrap_or_default();
    disclosure.values.retain(|values| {
        let case_id = Uuid::try_parse(&values.case_id);
        case_id.is_ok_and(|case_id| shared.sees(sight, case_id))
    });
    !disclosure.values.is_empty() || (*sight == Sight::All && disclosure.name_search)
}

/// The number of a disclosure, for who sees every case: to others it would tell how much is disclosed of
/// cases out of their sight.
pub(super) fn number_told(sight: &Sight, number: u64) -> Option<u64> {
    Some(number).filter(|_| *sight == Sight::All)
}

/// Who reads personal data.
struct Reader {
    who: Recorder,
    /// The classes that their role may read.
    classes: &'static [PersonalClass],
}

/// The classes that a caller may read for a purpose. What they may only for a while is looked up with
/// each page.
fn classes(
    shared: &Shared,
    identity: &Identity,
    purpose: DisclosurePurpose,
) -> Result<&'static [PersonalClass], Failure> {
    let unsealed = identity.classes_unsealed();
    if unsealed.is_empty() {
        return Ok(identity.classes());
    }
    if purpose != DisclosurePurpose::Audit {
        return Err(Failure::purpose_not_permitted());
    }
    let access = shared.access.as_ref();
    if access.is_some_and(|it| it.is_unsealed(identity)) {
        Ok(unsealed)
    } else {
        Err(Failure::unsealing_not_granted())
    }
}

/// The cases that are asked for, each of which there is for the reader.
fn find(
    ledger: &Ledger,
    reader: &Reader,
    query: &PersonalQuery,
) -> Result<Vec<Arc<CaseState>>, Failure> {
    let views = ledger.views();
    let cases = query.cases.iter().map(|case_id| {
        let case = views.case(*case_id);
        case.filter(|case| reader.who.authority.sight.includes(case))
            .cloned()
            .ok_or_else(|| Failure::case_not_found(*case_id))
    });
    cases.collect()
}

/// Opens a page, and records what is disclosed by it. It reads and writes the disk.
fn disclose(
    ledger: &Ledger,
    reader: &Reader,
    query: &PersonalQuery,
    cases: &[Arc<CaseState>],
) -> Result<GetPersonalResponse, Failure> {
    let keyring = ledger.keyring().ok_or_else(Failure::no_keys)?;
    let mut page = Page {
        keyring,
        reader,
        query,
        bytes: 0,
        answer: GetPersonalResponse::default(),
        counts: BTreeMap::new(),
    };
    page.fill(ledger.log().as_ref(), cases)?;
    let Page {
        mut answer, counts, ..
    } = page;
    if !counts.is_empty() {
        let values = counts.into_iter();
        let number = ledger.record_disclosure(Disclosure {
            number: 0,
            recorded_at: Some(ledger.clock().now().into()),
            actor: reader.who.actor.clone(),
            organisation: reader.who.organisation.clone(),
            purpose: query.purpose.into(),
            purpose_reference: query.purpose_reference.clone(),
            name_search: false,
            values: values
                .map(|((case_id, subject_id, class), count)| DisclosedValues {
                    case_id: case_id.to_string(),
                    subject_id: subject_id.to_string(),
                    personal_class: class,
                    count,
                })
                .collect(),
        });
        let number = number.map_err(Failure::disclosures_unavailable)?;
        answer.disclosure = number_told(&reader.who.authority.sight, number);
    }
    Ok(answer)
}

/// A page of personal values that is being opened.
struct Page<'a> {
    keyring: &'a Keyring,
    reader: &'a Reader,
    query: &'a PersonalQuery,
    bytes: usize,
    answer: GetPersonalResponse,
    /// How many values are disclosed, by case, subject and class.
    counts: BTreeMap<(Uuid, Uuid, i32), u32>,
}

impl Page<'_> {
    fn fill(&mut self, log: &dyn Log, cases: &[Arc<CaseState>]) -> Result<(), Failure> {
        let mut looked_at = 0;
        let mut block = None;
        let begin = self.query.begin;
        let skipped = usize::try_from(begin.case).unwrap_or(usize::MAX);
        for (place, case) in (begin.case..).zip(cases.iter().skip(skipped)) {
            let sight = &self.reader.who.authority.sight;
            let classes = sight.opened(case, self.reader.classes);
            let first = if place == begin.case { begin.event } else { 0 };
            let skipped = usize::try_from(first).unwrap_or(usize::MAX);
            for (index, fact) in (first..).zip(case.facts().iter().skip(skipped)) {
                if looked_at >= self.query.page_size || self.bytes >= PAGE_BYTES_MAX {
                    self.answer.next_page_token = self.query.token(PersonalPlace {
                        case: place,
                        event: index,
                    });
                    return Ok(());
                }
                looked_at += 1;
                let record = record_at(log, fact.position, &mut block)?;
                let entry = PersonalEntry {
                    case_id: record.case_id,
                    position: fact.position,
                    event_id: fact.event_id.to_string(),
                    voided: case.removed_by(index).is_some(),
                    value: None,
                };
                for sealed in &record.sealed {
                    self.open((case.case_id(), fact.event_id), sealed, &classes, &entry)?;
                }
            }
        }
        Ok(())
    }

    /// Opens what is asked for of one subject's values in an event, of the classes that may be read.
    fn open(
        &mut self,
        (case_id, event_id): (Uuid, Uuid),
        sealed: &SealedPersonal,
        classes: &[PersonalClass],
        entry: &PersonalEntry,
    ) -> Result<(), Failure> {
        let damaged = || Failure::sealed_value_damaged(entry.position);
        let subject = Uuid::try_parse(&sealed.subject_id).map_err(|_| damaged())?;
        for (place, value) in sealed.values.iter().enumerate() {
            let class = value.personal_class();
            if !self.query.asks_for(subject, class) {
                continue;
            }
            if !classes.contains(&class) {
                self.answer.withheld = self.answer.withheld.saturating_add(1);
                continue;
            }
            match self.keyring.open(case_id, event_id, sealed, place) {
                Ok(value) => {
                    let entry = PersonalEntry {
                        value: Some(value),
                        ..entry.clone()
                    };
                    self.bytes = self.bytes.saturating_add(entry.encoded_len());
                    self.answer.entries.push(entry);
                    let key = (case_id, subject, class.into());
                    let count = self.counts.entry(key).or_default();
                    *count = count.saturating_add(1);
                }
                Err(Unopened::Erased) => {
                    self.answer.erased = self.answer.erased.saturating_add(1);
                }
                Err(Unopened::KeyNotHere) => {
                    self.answer.without_key = self.answer.without_key.saturating_add(1);
                }
                Err(Unopened::Damaged) => return Err(damaged()),
                Err(Unopened::Unavailable { cause }) => {
                    return Err(Failure::keys_unavailable(cause));
                }
            }
        }
        Ok(())
    }
}
