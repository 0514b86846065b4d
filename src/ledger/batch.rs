//! A batch: the submissions of one commit, judged one after the other. Later ones see earlier ones,
//! and what the commit before them brings, which may not be durable yet.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::Recorder;
use super::completion;
use super::erasure::{self, ErasurePolicy};
use super::error::SubmitError;
use crate::domain::{Arrival, Authority, Before, CaseState, Rejection, Together};
use crate::log::COMMIT_BYTES_MAX;
use crate::seal::{Keyring, SealError};
use crate::view::{Committed, Views};
use crate::wire::block::BlockBuilder;
use crate::wire::event_type;
use crate::wire::limits::{
    RECORD_BYTES_MAX, SUBMISSION_BYTES_MAX, SUBMISSION_EVENTS_MAX, SUBMISSION_PERSONAL_VALUES_MAX,
};
use crate::wire::moment::Moment;
use crate::wire::v1::{
    CaseChangeResult, EventType, Record, SealedPersonal, SubmitEventsResponse, event::Payload,
};
use crate::wire::validate::{Change, Expected, Submission, ValidEvent};

/// The most bytes that the service adds to an event in its record: ids, the two standings, the
/// organisation and the actor, each at most 128 bytes of text and their framing.
const RECORD_OVERHEAD_BYTES_MAX: usize = 2 * 1024;

/// The most bytes that sealing adds to a personal value: nonce, tag, padding, and the framing of the
/// one value of a subject (its subject stands in the submission too).
const SEALING_OVERHEAD_BYTES_MAX: usize = 128;

/// A batch takes no further submission beyond this size, so that the largest one still fits.
const FULL_BYTES: usize = COMMIT_BYTES_MAX
    - SUBMISSION_BYTES_MAX
    - SUBMISSION_EVENTS_MAX * RECORD_OVERHEAD_BYTES_MAX
    - SUBMISSION_PERSONAL_VALUES_MAX * SEALING_OVERHEAD_BYTES_MAX;

/// The most submissions of one batch: enough for the disk to be the limit, few enough that the
/// first one does not wait long for the last one's decision.
const FULL_SUBMISSIONS: usize = 1_024;

/// What a batch is judged against: what is durable, and the commit that is on its way to the disk.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) views: &'a Views,
    pub(super) under_way: Option<&'a UnderWay>,
    /// The keys, which know whose data was erased by what is durable.
    pub(super) keyring: Option<&'a Keyring>,
}

/// A commit on its way to the disk: the next batch is judged as if it were there already, and fails
/// with it.
#[derive(Default)]
pub(super) struct UnderWay {
    pub(super) committed: Committed,
    cases: Cases,
    /// Subjects whose data it erases.
    pub(super) erased: Vec<Uuid>,
}

/// The cases that a batch names, also those that only a refused submission does.
#[derive(Default)]
struct Cases {
    places: HashMap<Uuid, usize>,
    states: Vec<Arc<CaseState>>,
}

/// Submissions that are judged and not yet durable.
pub(super) struct Batch {
    first_position: u64,
    recorded_at: Moment,
    builder: BlockBuilder,
    cases: Cases,
    event_ids: HashSet<Uuid>,
    request_ids: HashMap<Uuid, u64>,
    /// Subjects whose data it erases.
    erased: Vec<Uuid>,
    erasure: ErasurePolicy,
    submissions: usize,
}

/// What becomes of a submission.
pub(super) enum Verdict {
    Recorded(SubmitEventsResponse),
    Refused(SubmitError),
    /// Its request_id is recorded already.
    Known(Known),
}

/// A submission whose request_id is recorded: the answer is in the records from a position on.
pub(super) struct Known {
    pub(super) first_position: u64,
    pub(super) request_id: Uuid,
    /// What was submitted now, to tell whether it is the same.
    pub(super) content: Content,
    /// The organisation for which alone it may have been recorded; none where any may.
    pub(super) organisation: Option<String>,
}

/// By what a submission is compared with the one that is recorded under its request_id.
pub(super) enum Content {
    /// SHA-256 of all of it.
    Digest([u8; 32]),
    /// Its events, by case and event_id: its personal values can't be sealed, without which nobody can
    /// tell whether they are the same.
    Events(Vec<(Uuid, Uuid)>),
}

/// What a batch comes to.
pub(super) struct Finished {
    pub(super) first_position: u64,
    pub(super) builder: BlockBuilder,
    pub(super) under_way: UnderWay,
}

/// What of a submission was judged so far, so that it can be taken back.
#[derive(Default)]
struct Staged {
    /// The cases that it touched, by their place in the batch, with what they were before it.
    touched: Vec<(usize, Before)>,
    records: Vec<Record>,
    results: Vec<CaseChangeResult>,
    event_ids: Vec<Uuid>,
    /// Subjects whose data it erases.
    erased: Vec<Uuid>,
    /// The cases that it merges.
    merges: Vec<Merge>,
}

impl Content {
    fn of(submission: &Submission, is_sealed: bool) -> Self {
        if is_sealed {
            return Self::Digest(submission.digest);
        }
        let changes = submission.changes.iter();
        let events = changes.flat_map(|change| {
            let events = change.events.iter();
            events.map(|event| (change.case_id, event.event_id()))
        });
        Self::Events(events.collect())
    }
}

impl<'a> Ground<'a> {
    /// The position that a commit on this ground begins at.
    pub(super) fn position(&self) -> u64 {
        self.under_way.map_or(self.views.position(), |under_way| {
            under_way.committed.position
        })
    }

    /// When the newest record was recorded.
    fn recorded_at(&self) -> Moment {
        match self.under_way {
            Some(under_way) => under_way.committed.recorded_at,
            None => self.views.recorded_at().unwrap_or_default(),
        }
    }

    fn case(&self, case_id: Uuid) -> Option<&'a Arc<CaseState>> {
        self.under_way
            .and_then(|under_way| under_way.cases.get(case_id))
            .filter(|case| case.version() > 0)
            .or_else(|| self.views.case(case_id))
    }

    fn has_event(&self, event_id: Uuid) -> bool {
        self.under_way
            .is_some_and(|under_way| under_way.committed.event_ids.contains(&event_id))
            || self.views.has_event(event_id)
    }

    /// Whether a subject's data is erased by what is durable, or by the commit under way.
    fn is_erased(&self, subject: Uuid) -> bool {
        self.under_way
            .is_some_and(|under_way| under_way.erased.contains(&subject))
            || self.keyring.is_some_and(|keys| keys.is_erased(subject))
    }

    fn request(&self, request_id: Uuid) -> Option<u64> {
        self.under_way
            .and_then(|under_way| under_way.committed.request_ids.get(&request_id).copied())
            .or_else(|| self.views.request(request_id))
    }
}

impl Cases {
    fn get(&self, case_id: Uuid) -> Option<&Arc<CaseState>> {
        self.states.get(*self.places.get(&case_id)?)
    }

    /// The place of a case, which is taken from the ground at first.
    fn place_of(&mut self, case_id: Uuid, ground: Ground<'_>) -> usize {
        *self.places.entry(case_id).or_insert_with(|| {
            self.states.push(match ground.case(case_id) {
                Some(case) => Arc::clone(case),
                None => Arc::new(CaseState::new(case_id)),
            });
            self.states.len() - 1
        })
    }

    /// A place for a case that is judged as if there were none of its identifier. Nothing finds it
    /// again.
    fn place_beside(&mut self, case_id: Uuid) -> usize {
        self.states.push(Arc::new(CaseState::new(case_id)));
        self.states.len() - 1
    }
}

impl Batch {
    /// A batch that begins where the ground ends. `now` is the time of its recording, unless the
    /// newest record is later.
    pub(super) fn new(ground: Ground<'_>, now: Moment, erasure: ErasurePolicy) -> Self {
        Self {
            first_position: ground.position(),
            recorded_at: now.max(ground.recorded_at()),
            builder: BlockBuilder::new(),
            cases: Cases::default(),
            event_ids: HashSet::new(),
            request_ids: HashMap::new(),
            erased: Vec::new(),
            erasure,
            submissions: 0,
        }
    }

    /// Whether no further submission should be taken in.
    pub(super) fn is_full(&self) -> bool {
        self.builder.bytes_count() > FULL_BYTES || self.submissions >= FULL_SUBMISSIONS
    }

    /// Whether anything is taken in that is not durable yet.
    pub(super) fn holds_records(&self) -> bool {
        !self.builder.is_empty()
    }

    /// Number of subjects whose data it erases.
    pub(super) fn erased_count(&self) -> usize {
        self.erased.len()
    }

    /// Judges a submission, and takes it into the batch if all of it is allowed. One whose personal
    /// values can't be sealed is refused, unless it is recorded already.
    pub(super) fn judge(
        &mut self,
        ground: Ground<'_>,
        submission: Submission,
        unsealed: Option<SealError>,
        recorder: &Recorder,
    ) -> Verdict {
        self.submissions += 1;
        let request_id = submission.request_id;
        let known = self.request_ids.get(&request_id).copied();
        if let Some(first_position) = known.or_else(|| ground.request(request_id)) {
            return Verdict::Known(Known {
                first_position,
                request_id,
                content: Content::of(&submission, unsealed.is_none()),
                organisation: recorder.authority.sight.organisation().map(str::to_owned),
            });
        }
        if let Some(error) = unsealed {
            return Verdict::Refused(error.into());
        }
        let mut staged = Staged::default();
        let judged = self.stage(ground, submission, recorder, &mut staged);
        let judged = judged.and_then(|()| self.encode(&staged.records));
        if let Err(error) = judged {
            self.take_back(&staged);
            return Verdict::Refused(error);
        }
        let first_position = staged
            .results
            .first()
            .and_then(|result| result.positions.first());
        self.request_ids
            .insert(request_id, first_position.copied().unwrap_or_default());
        self.event_ids.extend(staged.event_ids);
        self.erased.extend(staged.erased);
        Verdict::Recorded(SubmitEventsResponse {
            request_id: request_id.to_string(),
            replayed: false,
            recorded_at: Some(self.recorded_at.into()),
            results: staged.results,
        })
    }

    /// What the batch comes to. Its blocks are yet to be finished, which takes longer than the rest.
    pub(super) fn finish(self) -> Finished {
        let first_position = self.first_position;
        let position = first_position.saturating_add(self.builder.record_count());
        let states = self.cases.states.iter();
        let mut cases: Vec<_> = states
            .filter(|case| case.last_position() >= Some(first_position))
            .cloned()
            .collect();
        // The views keep cases in the order in which the log opens them; a submission that was
        // refused may have been the first to name one here.
        cases.sort_by_cached_key(|case| case.first_position());
        Finished {
            first_position,
            builder: self.builder,
            under_way: UnderWay {
                committed: Committed {
                    position,
                    recorded_at: self.recorded_at,
                    cases,
                    event_ids: self.event_ids,
                    request_ids: self.request_ids,
                },
                cases: self.cases,
                erased: self.erased,
            },
        }
    }

    fn stage(
        &mut self,
        ground: Ground<'_>,
        submission: Submission,
        recorder: &Recorder,
        staged: &mut Staged,
    ) -> Result<(), SubmitError> {
        let size = submission
            .changes
            .iter()
            .map(|change| change.events.len())
            .sum::<usize>();
        let request_id = submission.request_id.to_string();
        for (index, change) in submission.changes.into_iter().enumerate() {
            let Change {
                case_id,
                expected,
                events,
            } = change;
            check_permitted(index, &events, &recorder.authority)?;
            let mut place = self.cases.place_of(case_id, ground);
            let is_unseen = self.cases.states.get(place);
            let is_unseen = is_unseen.is_some_and(|case| !is_seen(case, recorder));
            if is_unseen {
                place = self.cases.place_beside(case_id);
            }
            let case = self.cases.states.get(place);
            let before = case.map(|case| case.before()).unwrap_or_default();
            let mut together = case.map(|case| Together::before(case));
            staged.touched.push((place, before));
            check_version(index, case_id, expected, before.version)?;
            staged.results.push(CaseChangeResult {
                case_id: case_id.to_string(),
                ..Default::default()
            });
            let is_alone = events.len() == 1;
            for (event_index, event) in events.into_iter().enumerate() {
                let place = Place {
                    path: Path {
                        change: index,
                        event: event_index,
                    },
                    case: place,
                    is_alone,
                };
                self.stage_event(ground, place, event, recorder, staged, together.as_mut())?;
            }
            self.settle(index, place, together.as_ref())?;
            if is_unseen {
                let change = index;
                return Err(SubmitError::CaseIdTaken { change, case_id });
            }
        }
        self.check_merges(staged)?;
        // What only the whole submission knows is written into its records last.
        let digest = bytes::Bytes::copy_from_slice(&submission.digest);
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        for (index, record) in (0..).zip(&mut staged.records) {
            record.submission_index = index;
            record.submission_size = size;
            record.request_id.clone_from(&request_id);
            if index == 0 {
                record.submission_digest = digest.clone();
            }
        }
        Ok(())
    }

    fn stage_event(
        &mut self,
        ground: Ground<'_>,
        place: Place,
        mut event: ValidEvent,
        recorder: &Recorder,
        staged: &mut Staged,
        together: Option<&mut Together>,
    ) -> Result<(), SubmitError> {
        let Path {
            change,
            event: event_index,
        } = place.path;
        let (event_id, event_type, days) = (event.event_id(), event.event_type(), event.days());
        if ground.has_event(event_id) || self.event_ids.contains(&event_id) {
            return Err(SubmitError::EventIdReused {
                change,
                event: event_index,
                event_id,
            });
        }
        self.check_not_erased(ground, event.sealed(), staged)?;
        completion::complete(&mut event, recorder, self.recorded_at.day(), self.erasure);
        let position =
            self.first_position + self.builder.record_count() + staged.records.len() as u64;
        let case = self.cases.states.get_mut(place.case);
        let (Some(case), Some(together)) = (case, together) else {
            return Ok(());
        };
        if !recorder.authority.may_record_in(case, event.event()) {
            return Err(not_permitted(change, event_index, event_type));
        }
        case.decide_persons(
            event.event(),
            recorder.authority.two_persons,
            &recorder.actor,
        )
        .map_err(|rejection| refused(place.path, event_type, case, case.version(), rejection))?;
        together
            .decide(case, &event, self.recorded_at.day(), place.is_alone)
            .map_err(|rejection| {
                refused(place.path, event_type, case, case.version(), rejection)
            })?;
        if let Some(Payload::CasesMerged(merged)) = &event.event().payload
            && let Ok(other) = Uuid::try_parse(&merged.other_case_id)
        {
            staged.merges.push(Merge {
                path: place.path,
                case: place.case,
                version: case.version(),
                other,
            });
        }
        let before = (case.version() > 0).then(|| case.standing());
        let (event, sealed) = event.into_stored();
        let case = Arc::make_mut(case);
        case.take(Arrival {
            position,
            event: &event,
            event_id,
            days,
            recorded_at: self.recorded_at,
            organisation: &recorder.organisation,
        });
        together.taken(case);
        let standing = case.standing();
        let version = case.version();
        if let Some(result) = staged.results.last_mut() {
            result.version = version;
            result.standing = Some(standing.clone());
            result.positions.push(position);
        }
        staged.event_ids.push(event_id);
        staged.erased.extend(erasure::subject_of(&event));
        staged.records.push(Record {
            case_id: case.case_id().to_string(),
            case_version: version,
            event_type: event_type.into(),
            recorded_at: Some(self.recorded_at.into()),
            actor: recorder.actor.clone(),
            organisation: recorder.organisation.clone(),
            event: Some(event),
            previous_standing: before.filter(|before| *before != standing),
            standing: Some(standing),
            sealed,
            ..Default::default()
        });
        Ok(())
    }

    /// Whether nobody of whom there are sealed values was erased since they were sealed, so that
    /// nothing is recorded behind an erasure that nobody could ever read.
    fn check_not_erased(
        &self,
        ground: Ground<'_>,
        sealed: &[SealedPersonal],
        staged: &Staged,
    ) -> Result<(), SubmitError> {
        let subjects = sealed
            .iter()
            .filter_map(|sealed| Uuid::try_parse(&sealed.subject_id).ok());
        for subject in subjects {
            let is_erased = self.erased.contains(&subject)
                || staged.erased.contains(&subject)
                || ground.is_erased(subject);
            if is_erased {
                return Err(SealError::Erased { subject }.into());
            }
        }
        Ok(())
    }

    /// Whether the events of a change fit together in their case.
    fn settle(
        &self,
        change: usize,
        place: usize,
        together: Option<&Together>,
    ) -> Result<(), SubmitError> {
        let (Some(case), Some(together)) = (self.cases.states.get(place), together) else {
            return Ok(());
        };
        together
            .settle(case)
            .map_err(|out_of_place| SubmitError::Refused {
                change,
                event: out_of_place.event,
                payload: event_type::field_name(out_of_place.event_type),
                case_id: case.case_id(),
                version: out_of_place.version,
                rejection: out_of_place.rejection,
            })
    }

    /// Whether cases that are merged are of one kind.
    fn check_merges(&self, staged: &Staged) -> Result<(), SubmitError> {
        for merge in &staged.merges {
            let cases = (
                self.cases.states.get(merge.case),
                self.cases.get(merge.other),
            );
            if let (Some(case), Some(other)) = cases {
                case.decide_merge_with(other).map_err(|rejection| {
                    let event_type = EventType::CasesMerged;
                    refused(merge.path, event_type, case, merge.version, rejection)
                })?;
            }
        }
        Ok(())
    }

    /// Encodes the records of a submission, all or none.
    fn encode(&mut self, records: &[Record]) -> Result<(), SubmitError> {
        let largest = records
            .iter()
            .map(prost::Message::encoded_len)
            .max()
            .unwrap_or_default();
        if largest > RECORD_BYTES_MAX {
            return Err(SubmitError::TooLarge {
                bytes: largest,
                limit: RECORD_BYTES_MAX,
            });
        }
        for record in records {
            let too_large = |_| SubmitError::TooLarge {
                bytes: largest,
                limit: RECORD_BYTES_MAX,
            };
            self.builder.push(record).map_err(too_large)?;
        }
        Ok(())
    }

    /// Puts the cases of a refused submission back to how they stood before it.
    fn take_back(&mut self, staged: &Staged) {
        for (place, before) in &staged.touched {
            if let Some(case) = self.cases.states.get_mut(*place)
                && case.version() > before.version
            {
                Arc::make_mut(case).take_back_to(*before);
            }
        }
    }
}

/// Place of an event in its submission.
#[derive(Clone, Copy)]
struct Path {
    change: usize,
    event: usize,
}

/// A case that is merged with another one.
struct Merge {
    path: Path,
    /// Its place in the batch.
    case: usize,
    /// Its version before the event that says so.
    version: u64,
    other: Uuid,
}

/// Where an event goes.
#[derive(Clone, Copy)]
struct Place {
    path: Path,
    /// The place of its case in the batch.
    case: usize,
    /// Whether no other event of the submission goes to that case.
    is_alone: bool,
}

fn refused(
    path: Path,
    event_type: EventType,
    case: &CaseState,
    version: u64,
    rejection: Rejection,
) -> SubmitError {
    SubmitError::Refused {
        change: path.change,
        event: path.event,
        payload: event_type::field_name(event_type),
        case_id: case.case_id(),
        version,
        rejection,
    }
}

/// Whether a case is there for who records. One that is not opened yet is there for everybody.
fn is_seen(case: &CaseState, recorder: &Recorder) -> bool {
    case.version() == 0 || recorder.authority.sight.includes(case)
}

/// Whether the events are such that who records may record them.
fn check_permitted(
    change: usize,
    events: &[ValidEvent],
    authority: &Authority,
) -> Result<(), SubmitError> {
    let refused = events
        .iter()
        .position(|event| !authority.may_record(event.event()));
    match refused.and_then(|index| Some((index, events.get(index)?))) {
        Some((index, event)) => Err(not_permitted(change, index, event.event_type())),
        None => Ok(()),
    }
}

fn not_permitted(change: usize, event: usize, event_type: EventType) -> SubmitError {
    SubmitError::NotPermitted {
        change,
        event,
        payload: event_type::field_name(event_type),
    }
}

fn check_version(
    change: usize,
    case_id: Uuid,
    expected: Expected,
    current: u64,
) -> Result<(), SubmitError> {
    let expected = match expected {
        Expected::Any => return Ok(()),
        Expected::NoCase => 0,
        Expected::Version(version) => version,
    };
    if expected == current {
        return Ok(());
    }
    Err(SubmitError::StaleVersion {
        change,
        case_id,
        expected,
        current,
    })
}
