//! CaseService: submissions in, cases and their history out.

use std::borrow::Cow;
use std::sync::Arc;

use prost::Message;
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::as_of::{self, Time};
use super::call::{PAGE_BYTES_MAX, answer, blocking, caller, recorder, refuse, violation, who};
use super::coverage::{self, Agreement};
use super::status::Failure;
use super::stream::{Answers, Outlet};
use super::submit_stream;
use super::{Seeing, Shared};
use super::{compare, history};
use crate::domain::{CaseState, Sight, Ties};
use crate::wire::limits::PAGE_SIZE_MAX;
use crate::wire::v1::AsOf as SentAsOf;
use crate::wire::v1::case_service_server::CaseService;
use crate::wire::v1::{
    Case, CaseKind, CompareCasesRequest, CompareCasesResponse, GetAgreementCoverageRequest,
    GetAgreementCoverageResponse, GetAgreementProgressRequest, GetAgreementProgressResponse,
    GetCaseHistoryRequest, GetCaseHistoryResponse, GetCaseRequest, GetCaseResponse,
    ListCasesRequest, ListCasesResponse, SubmitEventsRequest, SubmitEventsResponse,
    SubmitStreamRequest, SubmitStreamResponse,
};
use crate::wire::validate::{self, AsOf, CaseFilter, PageScope};

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
        answer(&self.shared, "SubmitEvents", who(&request), async {
            let ledger = &self.shared.ledger;
            let recorder = recorder(&request)?;
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
        let who = who(&request);
        let opened = recorder(&request).and_then(|recorder| {
            let outlet = Outlet::open_to_submit(&self.shared, &caller(&request)?)?;
            Ok((recorder, outlet))
        });
        let (recorder, (outlet, answers)) = opened
            .map_err(|failure| refuse(&self.shared, METHOD, who.as_ref(), began_at, failure))?;
        tracing::debug!(method = METHOD, "opened");
        let ledger = Arc::clone(&self.shared.ledger);
        tokio::spawn(async move {
            let result = submit_stream::run(&outlet, &ledger, recorder, request.into_inner());
            let result = result.await;
            outlet.finish(METHOD, result).await;
        });
        Ok(Response::new(answers))
    }

    async fn get_case(
        &self,
        request: Request<GetCaseRequest>,
    ) -> Result<Response<GetCaseResponse>, Status> {
        answer(&self.shared, "GetCase", who(&request), async {
            let sight = caller(&request)?.authority().sight;
            let GetCaseRequest { case_id, as_of } = request.into_inner();
            let as_of = validate::as_of("as_of", as_of)?;
            let (case, head) = find(&self.shared, &sight, &case_id)?;
            let time = as_of::resolve(&self.shared, head, &as_of).await?;
            let known = time.known(&case);
            let known = known.ok_or_else(|| Failure::case_not_found(case.case_id()))?;
            let (mut shown, mut possible_case) = as_of::to_case(&known, time.true_at);
            let ties = self.ties(&known, time, &sight);
            if let Some(possible) = &mut possible_case {
                ties.clone().show_in(possible);
            }
            ties.show_in(&mut shown);
            Ok(GetCaseResponse {
                case: Some(shown),
                position: time.position,
                possible_case,
            })
        })
        .await
    }

    async fn get_agreement_coverage(
        &self,
        request: Request<GetAgreementCoverageRequest>,
    ) -> Result<Response<GetAgreementCoverageResponse>, Status> {
        let shared = Arc::clone(&self.shared);
        answer(
            &self.shared,
            "GetAgreementCoverage",
            who(&request),
            async move {
                let sight = caller(&request)?.authority().sight;
                let request = request.into_inner();
                let (agreement, _) =
                    Agreement::find(&shared, sight, &request.agreement_case_id, request.as_of)
                        .await?;
                let cases_max = if request.with_cases { PAGE_SIZE_MAX } else { 0 };
                blocking(move || coverage::count(&agreement, cases_max)).await
            },
        )
        .await
    }

    async fn get_agreement_progress(
        &self,
        request: Request<GetAgreementProgressRequest>,
    ) -> Result<Response<GetAgreementProgressResponse>, Status> {
        let shared = Arc::clone(&self.shared);
        answer(
            &self.shared,
            "GetAgreementProgress",
            who(&request),
            async move {
                let sight = caller(&request)?.authority().sight;
                let request = request.into_inner();
                let months = validate::months(&request.first_month, &request.last_month)?;
                let (agreement, as_of) =
                    Agreement::find(&shared, sight, &request.agreement_case_id, request.as_of)
                        .await?;
                blocking(move || {
                    let day = as_of::day_of(&shared, &as_of)?;
                    Ok(coverage::progress(&agreement, &months, day))
                })
                .await?
            },
        )
        .await
    }

    async fn list_cases(
        &self,
        request: Request<ListCasesRequest>,
    ) -> Result<Response<ListCasesResponse>, Status> {
        let shared = Arc::clone(&self.shared);
        answer(&self.shared, "ListCases", who(&request), async move {
            let sight = caller(&request)?.authority().sight;
            let ListCasesRequest {
                page_size,
                page_token,
                filter,
                as_of,
            } = request.into_inner();
            let filter = validate::case_filter("filter", filter)?;
            let size = validate::page_size("page_size", page_size)?;
            let as_of = validate::as_of("as_of", as_of)?;
            let scope = filter.page_scope().and(&as_of.encoded);
            let begin = validate::page_token("page_token", &page_token, scope)?;
            let at = shared.cases();
            let time = as_of::resolve(&shared, at.position, &as_of).await?;
            blocking(move || {
                let seen = Seeing {
                    cases: &at.cases,
                    sight: &sight,
                };
                list_page(seen, time, &filter, scope, begin, size)
            })
            .await
        })
        .await
    }

    async fn compare_cases(
        &self,
        request: Request<CompareCasesRequest>,
    ) -> Result<Response<CompareCasesResponse>, Status> {
        let shared = Arc::clone(&self.shared);
        answer(&self.shared, "CompareCases", who(&request), async move {
            let sight = caller(&request)?.authority().sight;
            let CompareCasesRequest {
                from,
                to,
                filter,
                page_size,
                page_token,
            } = request.into_inner();
            let from = validate::as_of("from", from)?;
            let to = validate::as_of("to", to)?;
            let filter = validate::case_filter("filter", filter)?;
            let size = validate::page_size("page_size", page_size)?;
            let scope = filter.page_scope().and(&from.encoded).and(&to.encoded);
            let begin = validate::page_token("page_token", &page_token, scope)?;
            let at = shared.cases();
            let from = as_of::resolve(&shared, at.position, &from).await?;
            let to = as_of::resolve(&shared, at.position, &to).await?;
            if to.position < from.position {
                let description = "is known earlier than from; give the earlier report first";
                return Err(violation("to", description).into());
            }
            let times = (from, to);
            blocking(move || {
                let seen = Seeing {
                    cases: &at.cases,
                    sight: &sight,
                };
                compare::page(seen, times, &filter, scope, begin, size)
            })
            .await
        })
        .await
    }

    async fn get_case_history(
        &self,
        request: Request<GetCaseHistoryRequest>,
    ) -> Result<Response<GetCaseHistoryResponse>, Status> {
        answer(&self.shared, "GetCaseHistory", who(&request), async {
            let sight = caller(&request)?.authority().sight;
            let GetCaseHistoryRequest {
                case_id,
                page_size,
                page_token,
            } = request.into_inner();
            let (case, _) = find(&self.shared, &sight, &case_id)?;
            let scope = PageScope::of_case(case.case_id());
            let size = validate::page_size("page_size", page_size)?;
            let begin = validate::page_token("page_token", &page_token, scope)?;
            let log = Arc::clone(self.shared.ledger.log());
            blocking(move || history::page(log.as_ref(), &case, begin, size)).await?
        })
        .await
    }
}

impl Cases {
    /// What binds a case to others as it was known at a time, at both ends, as far as the caller sees
    /// the others.
    fn ties(&self, case: &CaseState, time: Time, sight: &Sight) -> Ties {
        let mut ties = Ties::of(case);
        let others = self.shared.ledger.views().linked_with(case.case_id());
        for other in others.iter().filter(|other| sight.includes(other)) {
            if let Some(known) = time.known(other) {
                ties.take_inverse(case.case_id(), &known);
            }
        }
        ties
    }
}

impl Agreement {
    async fn find(
        shared: &Shared,
        sight: Sight,
        agreement_case_id: &str,
        as_of: Option<SentAsOf>,
    ) -> Result<(Self, AsOf), Failure> {
        let field = "agreement_case_id";
        let agreement_id = validate::uuid(field, agreement_case_id)?;
        let as_of = validate::as_of("as_of", as_of)?;
        if as_of.true_at.is_some() {
            let description = "is not told of coverage, which is by what was known; leave it out";
            return Err(violation("as_of.true_at", description).into());
        }
        let (agreement, head) = find(shared, &sight, agreement_case_id)?;
        let time = as_of::resolve(shared, head, &as_of).await?;
        let known = time.known(&agreement).map(Cow::into_owned);
        let known = known.ok_or_else(|| Failure::case_not_found(agreement_id))?;
        if known.kind() != CaseKind::Agreement {
            return Err(violation(field, "is the case of no agreement").into());
        }
        let (cases, put) = {
            let views = shared.ledger.views();
            (views.cases().clone(), views.covered_by(agreement_id))
        };
        let agreement = Self {
            cases,
            sight,
            time,
            known,
            put: put.iter().map(|case| case.case_id()).collect(),
        };
        Ok((agreement, as_of))
    }
}

/// The case of an identifier, where there is one for the caller, and the position of the views.
fn find(shared: &Shared, sight: &Sight, case_id: &str) -> Result<(Arc<CaseState>, u64), Failure> {
    let case_id: Uuid = validate::uuid("case_id", case_id)?;
    let views = shared.ledger.views();
    let case = views
        .case(case_id)
        .filter(|case| sight.includes(case))
        .ok_or_else(|| Failure::case_not_found(case_id))?;
    Ok((Arc::clone(case), views.position()))
}

/// The page of the cases that match as they were at a time, from the place `begin` in the order of
/// opening on; a case keeps its place for ever. Those that were known then are the first.
fn list_page(
    seen: Seeing<'_>,
    time: Time,
    filter: &CaseFilter,
    scope: PageScope,
    begin: u64,
    size: usize,
) -> ListCasesResponse {
    let mut page = ListCasesResponse {
        position: time.position,
        ..ListCasesResponse::default()
    };
    let mut bytes: usize = 0;
    let first = usize::try_from(begin).unwrap_or(usize::MAX);
    for (place, case) in (begin..).zip(seen.cases.iter().skip(first)) {
        if case.first_position() >= Some(time.position) {
            break;
        }
        if !seen.sight.includes(case) {
            continue;
        }
        let Some(seen) = time.see(case) else { continue };
        let mut standings = seen.standings();
        if !standings.any(|standing| filter.matches(case.case_id(), standing)) {
            continue;
        }
        if page.cases.len() >= size || bytes >= PAGE_BYTES_MAX {
            page.next_page_token = scope.token(place);
            break;
        }
        let (case, possible) = seen.to_case();
        bytes = bytes.saturating_add(case.encoded_len());
        bytes = bytes.saturating_add(possible.as_ref().map_or(0, Case::encoded_len));
        page.cases.push(case);
        page.possible_cases.extend(possible);
    }
    page
}
