//! Owns files on their way in over HTTP: the form they come in, its bounds, and the patience with whoever sends it. What
//! may be uploaded is `files`' to say, by whom the route's.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest as _, Multipart, Request};
use axum::http::header::CONTENT_LENGTH;
use futures_util::{Stream, StreamExt as _};

use super::error::{ApiError, FieldErrors};
use crate::files::{Intake, Key, Policy, Refused, Stored, Unfit};

/// How long a sender may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// How long an upload may take in all: the largest recording in this time is 300 kB/s.
const UPLOAD_WITHIN: Duration = Duration::from_secs(2 * 60 * 60);
/// Bytes that the reader of the form may hold unread: a few packets, and room for the heads of its parts. It is what
/// keeps a form whose head never ends out of our memory.
const UNREAD_BYTES_MAX: usize = 256 * 1024;
/// What a form may add to its file: boundaries, heads, small fields.
const FORM_BYTES_MAX: u64 = 64 * 1024;
/// Parts of a form, the file among them.
const PARTS_MAX: usize = 8;
/// The longest small field: a number or a word.
const FIELD_BYTES_MAX: usize = 256;
/// What is read and thrown away of a form that was refused, so that its sender reads the answer and not a broken
/// connection.
const REST_BYTES_MAX: usize = 8 * 1024 * 1024;
/// And for how long.
const REST_WITHIN: Duration = Duration::from_secs(2);
/// When whoever met too many uploads may try again.
const BUSY_SECONDS: u64 = 10;

/// The part of a form that holds the file.
pub const FILE: &str = "file";

/// A form with one file, which is stored and not yet anybody's.
#[derive(Debug)]
pub struct Form {
    pub file: Stored,
    /// As its sender named it.
    pub file_name: String,
    /// The small fields, as they came.
    pub fields: Vec<(String, String)>,
}

impl Form {
    /// A small field's text; blank is absent.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(own, _)| own == name).map(|(_, text)| text.trim()).filter(|text| !text.is_empty())
    }
}

/// Reads `multipart/form-data` with the file in its part `file`, and stores that file under `key` as it comes. Whatever
/// goes wrong, the caller's leaving included, nothing of it stays.
pub async fn receive(request: Request, intake: &Intake, key: Key, policy: &Arc<Policy>) -> Result<Form, ApiError> {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let (parts, body) = request.into_parts();
    let unread = Arc::new(AtomicUsize::new(0));
    let metered = Metered { body: body.into_data_stream(), unread: unread.clone(), resting: false, ended: false };
    if announced.is_some_and(|length| length > policy.bytes_max.saturating_add(FORM_BYTES_MAX)) {
        return Err(ApiError::TooLarge);
    }
    let request = Request::from_parts(parts, Body::from_stream(metered));
    let form = Multipart::from_request(request, &()).await.map_err(|_| {
        ApiError::BadRequest("The body must be multipart/form-data with the file in its part \"file\"".into())
    })?;
    let mut reader = Reader { form, unread };
    tokio::time::timeout(UPLOAD_WITHIN, reader.read(intake, key, policy)).await.map_err(|_| ApiError::Timeout)?
}

struct Reader {
    form: Multipart,
    unread: Arc<AtomicUsize>,
}

impl Reader {
    async fn read(&mut self, intake: &Intake, key: Key, policy: &Arc<Policy>) -> Result<Form, ApiError> {
        let mut stored = None;
        let mut fields = Vec::new();
        for _ in 0..=PARTS_MAX {
            let Self { form, unread } = self;
            let Some(mut part) = patiently(form.next_field()).await? else {
                let (file, file_name) = stored.ok_or_else(|| ApiError::field(FILE, "can't be blank"))?;
                return Ok(Form { file, file_name, fields });
            };
            let name = part.name().unwrap_or_default().to_owned();
            if name == FILE {
                if stored.is_some() {
                    return Err(ApiError::field(FILE, "should be one file"));
                }
                let file_name = part.file_name().unwrap_or_default().to_owned();
                stored = Some((store(&mut part, unread, intake, key, policy).await?, file_name));
            } else {
                fields.push((name, small(&mut part, unread).await?));
            }
        }
        Err(ApiError::BadRequest("The form has too many parts".into()))
    }
}

/// Stores the file of one part.
async fn store(
    part: &mut Field<'_>,
    unread: &AtomicUsize,
    intake: &Intake,
    key: Key,
    policy: &Arc<Policy>,
) -> Result<Stored, ApiError> {
    let declared = part.content_type().map(str::to_owned);
    let mut file = intake.begin(key, policy.clone(), declared).await?;
    while let Some(bytes) = next(part, unread).await? {
        file.write(bytes).await?;
    }
    Ok(file.finish().await?)
}

/// Reads a small field.
async fn small(part: &mut Field<'_>, unread: &AtomicUsize) -> Result<String, ApiError> {
    let mut text = Vec::new();
    while let Some(bytes) = next(part, unread).await? {
        text.extend_from_slice(&bytes);
        if text.len() > FIELD_BYTES_MAX {
            return Err(ApiError::BadRequest("A field of the form is too long".into()));
        }
    }
    String::from_utf8(text).map_err(|_| unreadable())
}

async fn next(part: &mut Field<'_>, unread: &AtomicUsize) -> Result<Option<Bytes>, ApiError> {
    let bytes = patiently(part.chunk()).await?;
    // Heads and boundaries stay counted; there are few of them.
    let read = bytes.as_ref().map_or(0, Bytes::len);
    let _ = unread.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| Some(held.saturating_sub(read)));
    Ok(bytes)
}

async fn patiently<T>(read: impl Future<Output = Result<T, MultipartError>>) -> Result<T, ApiError> {
    let read = tokio::time::timeout(SILENCE, read).await.map_err(|_| ApiError::Timeout)?;
    read.map_err(|_| unreadable())
}

fn unreadable() -> ApiError {
    ApiError::BadRequest("The form could not be read".into())
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Busy => ApiError::TooManyRequests { retry_after_seconds: BUSY_SECONDS },
            Refused::TooLarge => ApiError::TooLarge,
            Refused::Unfit(unfit) => ApiError::Invalid(FieldErrors::of(
                FILE,
                match unfit {
                    Unfit::Empty => "can't be empty".into(),
                    Unfit::Type(found) => format!("is of a type that is not taken: {found}"),
                    Unfit::Declared { found } => format!("is not what its content type says: {found}"),
                },
            )),
            Refused::Place(error) => error.into(),
            Refused::Store(error) => error.into(),
        }
    }
}

/// A body that hands its bytes over one by one and no faster than they are read.
struct Metered {
    body: BodyDataStream,
    /// Bytes handed over and not read yet; the reader takes off what it read.
    unread: Arc<AtomicUsize>,
    /// It handed something over and lets the reader look at that first: the form's parser would else take all there is.
    resting: bool,
    ended: bool,
}

impl Stream for Metered {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.unread.load(Ordering::Relaxed) > UNREAD_BYTES_MAX {
            // Nobody is woken: whoever reads polls again, and whoever does not runs out of patience.
            return Poll::Pending;
        }
        if std::mem::take(&mut self.resting) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let next = std::task::ready!(self.body.poll_next_unpin(context));
        match &next {
            Some(Ok(bytes)) => {
                self.unread.fetch_add(bytes.len(), Ordering::Relaxed);
                self.resting = true;
            }
            Some(Err(_)) | None => self.ended = true,
        }
        Poll::Ready(next)
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.ended {
            return;
        }
        let mut body = std::mem::replace(&mut self.body, Body::empty().into_data_stream());
        runtime.spawn(tokio::time::timeout(REST_WITHIN, async move {
            let mut read = 0;
            while let Some(Ok(bytes)) = body.next().await {
                read += bytes.len();
                if read > REST_BYTES_MAX {
                    break;
                }
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[tokio::test]
    async fn the_parser_gets_no_more_than_is_read() {
        let chunks = (0..100).map(|_| Ok::<_, axum::Error>(Bytes::from(vec![0; 32 * 1024])));
        let body = Body::from_stream(futures_util::stream::iter(chunks)).into_data_stream();
        let unread = Arc::new(AtomicUsize::new(0));
        let mut metered = Metered { body, unread: unread.clone(), resting: false, ended: true };
        let mut taken = 0;
        while let Ok(Some(Ok(bytes))) = tokio::time::timeout(Duration::from_millis(50), metered.next()).await {
            taken += bytes.len();
        }
        assert!((UNREAD_BYTES_MAX..=UNREAD_BYTES_MAX + 32 * 1024).contains(&taken), "{taken}");
        unread.store(0, Ordering::Relaxed);
        assert!(metered.next().await.is_some());
    }
}
