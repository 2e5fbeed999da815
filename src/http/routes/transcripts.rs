//! Owns transcripts and summaries of calls on the wire. An outside transcriber puts them; Vez makes none itself.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::calls::visible;
use crate::domain::clock::Timestamp;
use crate::domain::ids::CallId;
use crate::http::caller::Staff;
use crate::http::envelope::Data;
use crate::http::error::ApiError;
use crate::http::input::{Body, Fields, Ids, Input, NAME_CHARS_MAX, TEXT_CHARS_MAX, WORD_CHARS_MAX, described_bodies};
use crate::http::state::AppState;
use crate::store::tenants;
use crate::store::transcripts::{self, Segment, Summary, SummaryChange, Transcript, TranscriptChange};

/// The status of every transcript that is shown: there is none before.
pub const COMPLETED: &str = "completed";
/// Most characters of a transcript: ten hours of quick speech. The bound on bodies comes first with most alphabets.
const TRANSCRIPT_CHARS_MAX: usize = 500_000;
/// Most characters of a summary: some pages.
const SUMMARY_CHARS_MAX: usize = 20_000;
/// Most stretches of speech: one every few seconds of ten hours.
const SEGMENTS_MAX: usize = 10_000;
/// The latest a stretch may be: as long as a recording may.
const MILLIS_MAX: i64 = crate::store::recordings::RECORDING_SECONDS_MAX as i64 * 1_000;

/// `/api/v1/calls/:call_id/transcript` and `summary`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(show_transcript, put_transcript)).routes(routes!(show_summary, put_summary))
}

/// What was said in a call.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CallTranscript {
    pub call_id: CallId,
    #[schema(example = "completed")]
    pub status: &'static str,
    pub text: String,
    pub language: Option<String>,
    pub segments: Vec<Segment>,
    pub inserted_at: Timestamp,
    pub updated_at: Timestamp,
}

impl CallTranscript {
    fn new(call_id: CallId, transcript: Transcript) -> Self {
        let Transcript { text, language, segments, inserted_at, updated_at } = transcript;
        Self { call_id, status: COMPLETED, text, language, segments, inserted_at, updated_at }
    }
}

/// What a call was about.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CallSummary {
    pub call_id: CallId,
    pub text: String,
    pub language: Option<String>,
    pub inserted_at: Timestamp,
    pub updated_at: Timestamp,
}

impl CallSummary {
    fn new(call_id: CallId, summary: Summary) -> Self {
        let Summary { text, language, inserted_at, updated_at } = summary;
        Self { call_id, text, language, inserted_at, updated_at }
    }
}

/// One of `segments`.
#[derive(Debug)]
struct SegmentInput(Segment);

impl Input for SegmentInput {
    fn read(fields: &mut Fields) -> Self {
        let start = fields.required_integer("start_ms", 0..=MILLIS_MAX);
        let end = fields.required_integer("end_ms", 0..=MILLIS_MAX);
        let speaker = fields.text("speaker", NAME_CHARS_MAX);
        let text = fields.required_text("text", TEXT_CHARS_MAX);
        if end < start {
            fields.fault("end_ms", "must not be before start_ms");
        }
        Self(Segment { start_ms: start.unsigned_abs(), end_ms: end.unsigned_abs(), speaker, text })
    }
}

/// Body of `PUT /calls/:call_id/transcript`.
#[derive(Debug)]
pub struct PutTranscript(TranscriptChange);

impl Input for PutTranscript {
    const WRAPPER: Option<&'static str> = Some("transcript");

    fn read(fields: &mut Fields) -> Self {
        let change = TranscriptChange {
            text: fields.patch_required_text("text", TRANSCRIPT_CHARS_MAX),
            language: fields.patch_text("language", WORD_CHARS_MAX),
            segments: segments(fields),
        };
        Self(change)
    }
}

fn segments(fields: &mut Fields) -> Option<Vec<Segment>> {
    let items = fields.patch_items::<SegmentInput>("segments", SEGMENTS_MAX)?;
    let mut segments = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        match item {
            Ok(SegmentInput(segment)) => segments.push(segment),
            Err(_) => {
                fields.fault("segments", format!("item {} is invalid", index + 1));
                return None;
            }
        }
    }
    Some(segments)
}

/// Body of `PUT /calls/:call_id/summary`.
#[derive(Debug)]
pub struct PutSummary(SummaryChange);

impl Input for PutSummary {
    const WRAPPER: Option<&'static str> = Some("summary");

    fn read(fields: &mut Fields) -> Self {
        Self(SummaryChange {
            text: fields.patch_required_text("text", SUMMARY_CHARS_MAX),
            language: fields.patch_text("language", WORD_CHARS_MAX),
        })
    }
}

described_bodies!(PutTranscript, PutSummary);

/// That the caller sees the call; what is missing is called by `name` whatever the reason.
async fn seen(state: &AppState, staff: &Staff, call: CallId, name: &'static str) -> Result<(), ApiError> {
    match visible(&state.store, staff, call).await {
        Ok(_) => Ok(()),
        Err(ApiError::NotFound(_)) => Err(ApiError::NotFound(name.into())),
        Err(other) => Err(other),
    }
}

/// That something may be put for this call: it is seen, it started, and the company has its calls transcribed.
async fn may_put(state: &AppState, staff: &Staff, call: CallId) -> Result<(), ApiError> {
    let call = visible(&state.store, staff, call).await?;
    let company = tenants::company(&state.store, staff.tenant).await?.ok_or_else(ApiError::unauthorized)?;
    if !company.transcription_enabled {
        return Err(ApiError::PlanLimit("Transcription is not enabled for this company".into()));
    }
    if call.started_at.is_none() {
        return Err(ApiError::Rejected { code: "not_started", detail: "The call has not started".into() });
    }
    Ok(())
}

const NO_TRANSCRIPT: &str = "Transcript not found";
const NO_SUMMARY: &str = "Summary not found";

/// Show a call's transcript
///
/// 404 until a transcriber has put it.
#[utoipa::path(get, path = "/api/v1/calls/{call_id}/transcript", tag = "Recordings",
    security(("staff" = ["attendant"])), responses((status = 200, body = Data<CallTranscript>)))]
async fn show_transcript(
    State(state): State<AppState>,
    staff: Staff,
    Ids(call): Ids<CallId>,
) -> Result<Data<CallTranscript>, ApiError> {
    seen(&state, &staff, call, NO_TRANSCRIPT).await?;
    let transcript = transcripts::of_call(&state.store, staff.tenant, call).await?;
    let transcript = transcript.ok_or_else(|| ApiError::NotFound(NO_TRANSCRIPT.into()))?;
    Ok(Data::new(CallTranscript::new(call, transcript)))
}

/// Put a call's transcript
///
/// For transcribers. The first one must have a `text`; after that, what is absent stays as it is. 403 when the company's
/// calls are not transcribed, 422 `not_started` for a call that never started.
#[utoipa::path(put, path = "/api/v1/calls/{call_id}/transcript", tag = "Recordings",
    security(("staff" = ["attendant"])), request_body = PutTranscript,
    responses((status = 200, body = Data<CallTranscript>)))]
async fn put_transcript(
    State(state): State<AppState>,
    staff: Staff,
    Ids(call): Ids<CallId>,
    Body(PutTranscript(change)): Body<PutTranscript>,
) -> Result<Data<CallTranscript>, ApiError> {
    may_put(&state, &staff, call).await?;
    let mut work = state.work(&staff).await?;
    let transcript = transcripts::put(&mut work, call, change).await?;
    let transcript = transcript.ok_or_else(|| ApiError::field("text", "can't be blank"))?;
    work.commit().await?;
    Ok(Data::new(CallTranscript::new(call, transcript)))
}

/// Show a call's summary
///
/// 404 until somebody has put it.
#[utoipa::path(get, path = "/api/v1/calls/{call_id}/summary", tag = "Recordings",
    security(("staff" = ["attendant"])), responses((status = 200, body = Data<CallSummary>)))]
async fn show_summary(
    State(state): State<AppState>,
    staff: Staff,
    Ids(call): Ids<CallId>,
) -> Result<Data<CallSummary>, ApiError> {
    seen(&state, &staff, call, NO_SUMMARY).await?;
    let summary = transcripts::summary_of_call(&state.store, staff.tenant, call).await?;
    let summary = summary.ok_or_else(|| ApiError::NotFound(NO_SUMMARY.into()))?;
    Ok(Data::new(CallSummary::new(call, summary)))
}

/// Put a call's summary
///
/// For transcribers, by the same rules as the transcript.
#[utoipa::path(put, path = "/api/v1/calls/{call_id}/summary", tag = "Recordings",
    security(("staff" = ["attendant"])), request_body = PutSummary, responses((status = 200, body = Data<CallSummary>)))]
async fn put_summary(
    State(state): State<AppState>,
    staff: Staff,
    Ids(call): Ids<CallId>,
    Body(PutSummary(change)): Body<PutSummary>,
) -> Result<Data<CallSummary>, ApiError> {
    may_put(&state, &staff, call).await?;
    let mut work = state.work(&staff).await?;
    let summary = transcripts::put_summary(&mut work, call, change).await?;
    let summary = summary.ok_or_else(|| ApiError::field("text", "can't be blank"))?;
    work.commit().await?;
    Ok(Data::new(CallSummary::new(call, summary)))
}
