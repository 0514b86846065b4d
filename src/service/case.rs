//! CaseService: submissions in, cases and their history out.

use std::collections::HashSet;
use std::sync::Arc;

use prost::Message;
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::Shared;
use super::call::{PAGE_BYTES_MAX, answer, blocking, recorder, refuse, violation};
use super::coverage;
use super::history;
use super::status::Failure;
use super::stream::{Answers, Outlet};
use super::submit_stream;
use crate::domain::{CaseState, Ties};
use crate::wire::limits::PAGE_SIZE_MAX;
use crate::wire::v1::case_service_server::CaseService;
use crate::wire::v1::{
    CaseKind, GetAgreementCoverageRequest, GetAgreementCoverageResponse, GetCaseHistoryRequest,
    GetCaseHistoryResponse, GetCaseRequest, GetCaseResponse, ListCasesRequest, ListCasesResponse,
    SubmitEventsRequest, SubmitEventsResponse, SubmitStreamRequest, SubmitStreamResponse,
};
use crate::wire::validate::{self, CaseFilter, PageScope};

/// How many cases are taken out of the views at once.
const CASES_AT_ONCE: usize = 4_096;

/// The service; all its state is shared with the others.
#[derive(Debug)]
pub(super) struct Cases {
    pub(super) shared: Arc<Shared>,
}

#[tonic::async_trait]
impl CaseService for Cases {
    async fn submit_events(
        &self,
        request: Request<SubmitEventsRequest>,
    ) -> Result<Response<SubmitEventsResponse>, Status> {
        answer("SubmitEvents", async {
            let ledger = &self.shared.ledger;
            let recorder = recorder(request.metadata())?;
            let submission = validate::submission(request.into_inner(), ledger.today())?;
            Ok(ledger.try_submit(submission, recorder).await?)
        })
        .await
    }

    type SubmitStreamStream = Answers<SubmitStreamResponse>;

    async fn submit_stream(
        &self,
        request: Request<Streaming<SubmitStreamRequest>>,
    ) -> Result<Response<Self::SubmitStreamStream>, Status> {
        const METHOD: &str = "SubmitStream";
        let began_at = Instant::now();
        let opened = recorder(request.metadata())
            .and_then(|recorder| Ok((recorder, Outlet::open(&self.shared)?)));
        let (recorder, (outlet, answers)) =
            opened.map_err(|failure| refuse(METHOD, began_at, failure))?;
        tracing::debug!(method = METHOD, "opened");
        let ledger = Arc::clone(&self.shared.ledger);
        tokio::spawn(async move {
            let result = submit_stream::run(&outlet, &ledger, &recorder, request.into_inner());
            let result = result.await;
            outlet.finish(METHOD, result).await;
        });
        Ok(Response::new(answers))
    }

    async fn get_case(
        &self,
        request: Request<GetCaseRequest>,
    ) -> Result<Response<GetCaseResponse>, Status> {
        answer("GetCase", async {
            let (case, position) = find(&self.shared, &request.into_inner().case_id)?;
            let case_id = case.case_id();
            let others = self.shared.ledger.views().linked_with(case_id);
            let mut ties = Ties::of(&case);
            for other in others {
                ties.take_inverse(case_id, &other);
            }
            let mut case = case.to_case_without_ties();
            ties.show_in(&mut case);
            Ok(GetCaseResponse {
                case: Some(case),
                position,
            })
        })
        .await
    }

    async fn get_agreement_coverage(
        &self,
        request: Request<GetAgreementCoverageRequest>,
    ) -> Result<Response<GetAgreementCoverageResponse>, Status> {
        let shared = Arc::clone(&self.shared);
        answer("GetAgreementCoverage", async move {
            let request = request.into_inner();
            let field = "agreement_case_id";
            let agreement_id = validate::uuid(field, &request.agreement_case_id)?;
            let at = shared.cases();
            // Read after the cases: what was put under a clause since is judged by them.
            let mut cases = at.cases.iter();
            let agreement = cases.find(|case| case.case_id() == agreement_id);
            let agreement = agreement
                .cloned()
                .ok_or_else(|| Failure::case_not_found(agreement_id))?;
            if agreement.kind() != CaseKind::Agreement {
                return Err(violation(field, "is the case of no agreement").into());
            }
            let put = shared.ledger.views().covered_by(agreement_id);
            let put: HashSet<_> = put.iter().map(|case| case.case_id()).collect();
            let cases_max = if request.with_cases { PAGE_SIZE_MAX } else { 0 };
            blocking(move || coverage::count(&at, &agreement, &put, cases_max)).await
        })
        .await
    }

    async fn list_cases(
        &self,
        request: Request<ListCasesRequest>,
    ) -> Result<Response<ListCasesResponse>, Status> {
        let shared = Arc::clone(&self.shared);
        answer("ListCases", async move {
            let ListCasesRequest {
                page_size,
                page_token,
                filter,
            } = request.into_inner();
            let filter = validate::case_filter("filter", filter)?;
            let size = validate::page_size("page_size", page_size)?;
            let begin = validate::page_token("page_token", &page_token, filter.page_scope())?;
            blocking(move || list_page(&shared, &filter, begin, size)).await
        })
        .await
    }

    async fn get_case_history(
        &self,
        request: Request<GetCaseHistoryRequest>,
    ) -> Result<Response<GetCaseHistoryResponse>, Status> {
        answer("GetCaseHistory", async {
            let GetCaseHistoryRequest {
                case_id,
                page_size,
                page_token,
            } = request.into_inner();
            let (case, _) = find(&self.shared, &case_id)?;
            let scope = PageScope::of_case(case.case_id());
            let size = validate::page_size("page_size", page_size)?;
            let begin = validate::page_token("page_token", &page_token, scope)?;
            let log = Arc::clone(self.shared.ledger.log());
            blocking(move || history::page(log.as_ref(), &case, begin, size)).await?
        })
        .await
    }
}

/// The case of an identifier, and the position of the views.
fn find(shared: &Shared, case_id: &str) -> Result<(Arc<CaseState>, u64), Failure> {
    let case_id: Uuid = validate::uuid("case_id", case_id)?;
    let views = shared.ledger.views();
    let case = views
        .case(case_id)
        .ok_or_else(|| Failure::case_not_found(case_id))?;
    Ok((Arc::clone(case), views.position()))
}

/// The page of the cases that match, from the place `begin` in the order of opening on. The views
/// are let go between one portion of cases and the next; a case keeps its place for ever.
fn list_page(shared: &Shared, filter: &CaseFilter, begin: u64, size: usize) -> ListCasesResponse {
    let mut page = ListCasesResponse::default();
    let mut bytes: usize = 0;
    let mut place = begin;
    loop {
        let (portion, position) = portion(shared, place);
        if place == begin {
            page.position = position;
        }
        if portion.is_empty() {
            return page;
        }
        for case in portion {
            if filter.matches(case.case_id(), &case.standing()) {
                if page.cases.len() >= size || bytes >= PAGE_BYTES_MAX {
                    page.next_page_token = filter.page_scope().token(place);
                    return page;
                }
                let case = case.to_case();
                bytes = bytes.saturating_add(case.encoded_len());
                page.cases.push(case);
            }
            place = place.saturating_add(1);
        }
    }
}

/// The next cases from a place on, and the position of the views.
fn portion(shared: &Shared, place: u64) -> (Vec<Arc<CaseState>>, u64) {
    let views = shared.ledger.views();
    let place = usize::try_from(place).unwrap_or(usize::MAX);
    let cases = views
        .cases()
        .iter()
        .skip(place)
        .take(CASES_AT_ONCE)
        .cloned()
        .collect();
    (cases, views.position())
}
