//! Owns files attached to calls on the wire: upload, list, download. What may be attached is `files`' to say.

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::calls::visible;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, TenantId};
use crate::files::{FileKind, Key, name};
use crate::http::caller::Staff;
use crate::http::envelope::{Created, Data};
use crate::http::error::ApiError;
use crate::http::input::Ids;
use crate::http::receiving::{Form, receive};
use crate::http::sending::{Outgoing, send};
use crate::http::state::AppState;
use crate::store::uploads::{self, NewUpload, UPLOADS_PER_CALL_MAX, Upload};

/// `/api/v1/calls/:call_id/upload` and `uploads`.
pub fn routes() -> OpenApiRouter<AppState> {
    // The file has a bound of its own, counted as it comes.
    let upload = OpenApiRouter::new().routes(routes!(upload_file)).layer(DefaultBodyLimit::disable());
    OpenApiRouter::new().merge(upload).routes(routes!(list)).routes(routes!(download_file))
}

/// A file attached to a call.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CallUpload {
    pub id: Uuid,
    pub call_id: CallId,
    /// As its sender named it, without what could mislead or harm.
    pub file_name: String,
    /// What its content is, whatever its sender said.
    #[schema(example = "image/png")]
    pub content_type: String,
    /// Bytes.
    pub file_size: u64,
    /// A path of this server; it takes the same token as everything else.
    pub download_url: String,
    pub inserted_at: Timestamp,
}

impl From<Upload> for CallUpload {
    fn from(upload: Upload) -> Self {
        Self {
            download_url: format!("/api/v1/calls/{}/uploads/{}/download", upload.call_id, upload.id),
            id: upload.id,
            call_id: upload.call_id,
            file_name: upload.file_name,
            content_type: upload.content_type,
            file_size: upload.file_size,
            inserted_at: upload.inserted_at,
        }
    }
}

/// The form of an upload; for the description of the API.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "the form is read part by part")]
pub struct UploadForm {
    /// The file, with its name.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

fn key(tenant: TenantId, id: Uuid) -> Key {
    Key { tenant, kind: FileKind::Attachment, id }
}

/// Attach a file to a call
///
/// `multipart/form-data` with the file in its part `file`, at most 25 MiB unless the server is set otherwise. Its type is
/// what its content says: pictures, PDF, Office documents, plain text, archives, sound and video are taken; pages, scripts
/// and programs are not, nor is a file that is not what its part's `Content-Type` says. A call has at most 100 files.
/// `Idempotency-Key` does not apply to uploads.
#[utoipa::path(post, path = "/api/v1/calls/{call_id}/upload", tag = "Recordings", operation_id = "upload_file",
    security(("staff" = ["attendant"])),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 201, body = Data<CallUpload>)))]
async fn upload_file(
    State(state): State<AppState>,
    staff: Staff,
    Ids(call): Ids<CallId>,
    request: Request,
) -> Result<Created<CallUpload>, ApiError> {
    visible(&state.store, &staff, call).await?;
    let key = key(staff.tenant, state.ids.uuid(state.clock.now()));
    let files = &state.files;
    let Form { file, file_name, .. } = receive(request, &files.intake, key, &files.attachments).await?;
    let mut work = state.work(&staff).await?;
    let new = NewUpload {
        id: key.id,
        call_id: call,
        file_name: name::sanitise(&file_name, file.content_type),
        content_type: file.content_type,
        file_size: file.size,
    };
    let Some(upload) = uploads::create(&mut work, new).await? else {
        let detail = format!("A call has at most {UPLOADS_PER_CALL_MAX} files");
        return Err(ApiError::Rejected { code: "too_many_files", detail: detail.into() });
    };
    file.keep(&mut work).await?;
    work.commit().await?;
    Ok(Created(upload.into()))
}

/// List the files of a call
///
/// Oldest first, all of them.
#[utoipa::path(get, path = "/api/v1/calls/{call_id}/uploads", tag = "Recordings", operation_id = "list_files",
    security(("staff" = ["attendant"])), responses((status = 200, body = Data<Vec<CallUpload>>)))]
async fn list(
    State(state): State<AppState>,
    staff: Staff,
    Ids(call): Ids<CallId>,
) -> Result<Data<Vec<CallUpload>>, ApiError> {
    visible(&state.store, &staff, call).await?;
    let uploads = uploads::of_call(&state.store, staff.tenant, call).await?;
    Ok(Data::new(uploads.into_iter().map(CallUpload::from).collect()))
}

/// Download a file of a call
///
/// Always as an attachment, never to be shown by a browser. One range of bytes may be asked for.
#[utoipa::path(get, path = "/api/v1/calls/{call_id}/uploads/{id}/download", tag = "Recordings",
    operation_id = "download_file", security(("staff" = ["attendant"])),
    params(("Range" = Option<String>, Header, description = "`bytes=first-last`, `bytes=first-` or `bytes=-count`.",
            example = "bytes=0-1023"),
        ("If-Range" = Option<String>, Header, description = "The `ETag` for which the range is meant.", example = "\"4c5d\"")),
    responses((status = 200, description = "The file.", body = String, content_type = "*/*"),
        (status = 206, description = "The range.", body = String, content_type = "*/*")))]
async fn download_file(
    State(state): State<AppState>,
    staff: Staff,
    Ids((call, id)): Ids<(CallId, Uuid)>,
    asked: HeaderMap,
) -> Result<Response, ApiError> {
    visible(&state.store, &staff, call).await?;
    let upload = uploads::find(&state.store, staff.tenant, call, id).await?.ok_or_else(ApiError::not_found)?;
    let file = Outgoing {
        key: key(staff.tenant, id),
        name: &upload.file_name,
        content_type: &upload.content_type,
        size: upload.file_size,
    };
    send(&state.files.place, file, &asked).await
}
