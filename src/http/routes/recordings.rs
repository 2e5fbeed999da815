//! Owns recordings on the wire: upload, show, download. Nobody deletes one; how long they are kept is the store's to say.

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::calls::visible;
use crate::domain::call::CallView;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, TenantId};
use crate::files::{FileKind, Key, sniff};
use crate::http::caller::Staff;
use crate::http::envelope::{Created, Data};
use crate::http::error::ApiError;
use crate::http::input::Ids;
use crate::http::receiving::{Form, receive};
use crate::http::sending::{Outgoing, send};
use crate::http::state::AppState;
use crate::store::recordings::{self, NewRecording, RECORDING_SECONDS_MAX, Recording};
use crate::store::transcripts::Transcript;
use crate::store::{tenants, transcripts};

/// What Voki says of every recording that is not there.
pub(super) const NOT_FOUND: &str = "Recording not found";

/// `/api/v1/calls/:call_id/recording*`.
pub fn routes() -> OpenApiRouter<AppState> {
    // The file has a bound of its own, counted as it comes.
    let upload = OpenApiRouter::new().routes(routes!(upload_recording)).layer(DefaultBodyLimit::disable());
    OpenApiRouter::new().merge(upload).routes(routes!(show)).routes(routes!(download_recording))
}

/// Voki's recording object.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CallRecording {
    pub id: Uuid,
    pub call_id: CallId,
    #[schema(example = "webm")]
    pub format: String,
    /// Seconds.
    #[schema(example = 345)]
    pub duration: Option<i64>,
    /// Bytes.
    #[schema(example = 15_234_567)]
    pub file_size: u64,
    /// A path of this server; it takes the same token as everything else.
    pub download_url: String,
    /// What was said, once a transcriber has put it.
    pub transcription: Option<Transcription>,
    pub created_at: Timestamp,
}

/// What was said, as a recording shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Transcription {
    /// `completed`: nothing is shown before.
    #[schema(example = "completed")]
    pub status: &'static str,
    pub text: String,
    pub language: Option<String>,
}

impl CallRecording {
    fn new(recording: Recording, transcript: Option<Transcript>) -> Self {
        Self {
            id: recording.id,
            call_id: recording.call_id,
            format: recording.format,
            duration: recording.duration,
            file_size: recording.file_size,
            download_url: format!("/api/v1/calls/{}/recording/download", recording.call_id),
            transcription: transcript.map(|transcript| Transcription {
                status: super::transcripts::COMPLETED,
                text: transcript.text,
                language: transcript.language,
            }),
            created_at: recording.inserted_at,
        }
    }
}

/// The form of a recording; for the description of the API.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "the form is read part by part")]
pub struct RecordingForm {
    /// The recording.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// Seconds; the call's own when absent.
    #[schema(minimum = 0, maximum = 86_400)]
    duration: Option<u32>,
}

fn key(tenant: TenantId, id: Uuid) -> Key {
    Key { tenant, kind: FileKind::Recording, id }
}

/// Upload a call's recording
///
/// `multipart/form-data` with the recording in its part `file` (WebM, MP4, Matroska, Ogg, MP3, M4A or WAV, at most 2 GiB
/// unless the server is set otherwise) and, if it differs from the call's, its `duration` in seconds. The call must have
/// started (`not_started`) and have no recording yet (`already_recorded`); an upload that failed leaves none. It can be read
/// once the call is over, nobody can delete it, and it is kept for as long as the company's plan says: 30 days (basic), 90
/// (advanced), 365 (professional) or 5 years (enterprise). 403 when the company does not record.
#[utoipa::path(post, path = "/api/v1/calls/{call_id}/recording/upload", tag = "Recordings",
    operation_id = "upload_recording", security(("staff" = ["attendant"])),
    request_body(content = RecordingForm, content_type = "multipart/form-data"),
    responses((status = 201, body = Data<CallRecording>)))]
async fn upload_recording(
    State(state): State<AppState>,
    staff: Staff,
    Ids(call): Ids<CallId>,
    request: Request,
) -> Result<Created<CallRecording>, ApiError> {
    let call = visible(&state.store, &staff, call).await?;
    let company = tenants::company(&state.store, staff.tenant).await?.ok_or_else(ApiError::unauthorized)?;
    if !company.recording_enabled {
        return Err(ApiError::PlanLimit("Recording is not enabled for this company".into()));
    }
    if call.started_at.is_none() {
        return Err(ApiError::Rejected { code: "not_started", detail: "The call has not started".into() });
    }
    // Asked before the file comes, and again by the row's own key.
    if recordings::exists(&state.store, staff.tenant, call.id).await? {
        return Err(already_recorded());
    }
    let key = key(staff.tenant, state.ids.uuid(state.clock.now()));
    let form = receive(request, &state.files.intake, key, &state.files.recordings).await?;
    let duration = duration_of(&form)?;
    let file = form.file;
    let format = sniff::extensions(file.content_type).first().copied().unwrap_or("bin");
    let new = NewRecording {
        id: key.id,
        call_id: call.id,
        department_id: call.department_id,
        format,
        content_type: file.content_type,
        duration,
        file_size: file.size,
    };
    let mut work = state.work(&staff).await?;
    let made = recording_of(&new, &call, work.now);
    if !recordings::create(&mut work, new).await? {
        return Err(already_recorded());
    }
    file.keep(&mut work).await?;
    work.commit().await?;
    let transcript = transcripts::of_call(&state.store, staff.tenant, call.id).await?;
    Ok(Created(CallRecording::new(made, transcript)))
}

fn already_recorded() -> ApiError {
    ApiError::Rejected { code: "already_recorded", detail: "The call has a recording".into() }
}

fn duration_of(form: &Form) -> Result<Option<u32>, ApiError> {
    let Some(text) = form.field("duration") else { return Ok(None) };
    match text.parse() {
        Ok(seconds) if seconds <= RECORDING_SECONDS_MAX => Ok(Some(seconds)),
        _ => Err(ApiError::field("duration", "is invalid")),
    }
}

fn recording_of(new: &NewRecording, call: &CallView, now: Timestamp) -> Recording {
    Recording {
        id: new.id,
        call_id: new.call_id,
        format: new.format.to_owned(),
        content_type: new.content_type.to_owned(),
        duration: new.duration.map(i64::from).or(call.duration),
        file_size: new.file_size,
        inserted_at: now,
    }
}

/// The recording of a call that is over and seen by the caller; one answer for everything that is missing.
async fn found(state: &AppState, staff: &Staff, call: CallId) -> Result<Recording, ApiError> {
    let missing = || ApiError::NotFound(NOT_FOUND.into());
    visible(&state.store, staff, call).await.map_err(|error| match error {
        ApiError::NotFound(_) => missing(),
        other => other,
    })?;
    recordings::of_call(&state.store, staff.tenant, call).await?.ok_or_else(missing)
}

/// Show a call's recording
///
/// There is none before the call is over.
#[utoipa::path(get, path = "/api/v1/calls/{call_id}/recording", tag = "Recordings", operation_id = "show_recording",
    security(("staff" = ["attendant"])), responses((status = 200, body = Data<CallRecording>)))]
async fn show(
    State(state): State<AppState>,
    staff: Staff,
    Ids(call): Ids<CallId>,
) -> Result<Data<CallRecording>, ApiError> {
    let recording = found(&state, &staff, call).await?;
    let transcript = transcripts::of_call(&state.store, staff.tenant, call).await?;
    Ok(Data::new(CallRecording::new(recording, transcript)))
}

/// Download a call's recording
///
/// Always as an attachment. One range of bytes may be asked for, so that a player can seek in it.
#[utoipa::path(get, path = "/api/v1/calls/{call_id}/recording/download", tag = "Recordings",
    operation_id = "download_recording", security(("staff" = ["attendant"])),
    params(("Range" = Option<String>, Header, description = "`bytes=first-last`, `bytes=first-` or `bytes=-count`.",
            example = "bytes=0-1023"),
        ("If-Range" = Option<String>, Header, description = "The `ETag` for which the range is meant.", example = "\"4c5d\"")),
    responses((status = 200, description = "The recording.", body = String, content_type = "*/*"),
        (status = 206, description = "The range.", body = String, content_type = "*/*")))]
async fn download_recording(
    State(state): State<AppState>,
    staff: Staff,
    Ids(call): Ids<CallId>,
    asked: HeaderMap,
) -> Result<Response, ApiError> {
    download(&state, &staff, call, &asked).await
}

/// Sends the recording of a call, or the part of it that is asked for.
pub(super) async fn download(
    state: &AppState,
    staff: &Staff,
    call: CallId,
    asked: &HeaderMap,
) -> Result<Response, ApiError> {
    let recording = found(state, staff, call).await?;
    let file = Outgoing {
        key: key(staff.tenant, recording.id),
        name: &format!("{call}.{}", recording.format),
        content_type: &recording.content_type,
        size: recording.file_size,
    };
    send(&state.files.place, file, asked).await
}
