//! Owns a company's event feed on the wire: pages by a cursor for who was away, a stream for who stays. What a stream does while
//! it lasts is `event_stream`'s.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::ids::{CallId, DepartmentId, UserId};
use crate::http::caller::{Supervisor, bearer};
use crate::http::error::ApiError;
use crate::http::event_stream::{self, LAST_EVENT_ID, Reader};
use crate::http::input::{Params, Query, QueryInput};
use crate::http::state::AppState;
use crate::live::hub::SocketOwner;
use crate::store::events::StoredEvent;
use crate::store::feed::{self, Kept, LOOK_MAX, Look};

/// Facts of a page when nobody says otherwise.
const LIMIT: u32 = 100;

/// `/api/v1/events`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Query of the feed.
#[derive(Debug)]
pub struct EventQuery {
    after: Option<i64>,
    limit: u32,
}

impl QueryInput for EventQuery {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        let after = params.integer("after", 0..=i64::MAX);
        let limit = params.integer("limit", 1..=i64::from(LOOK_MAX));
        Ok(Self { after: after?, limit: limit?.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(LIMIT) })
    }
}

/// A fact of the feed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FeedEvent {
    /// Its number: from 1, one after the other, without gaps, in the order of the commits.
    pub seq: i64,
    /// What happened; the operation's description lists all kinds.
    pub kind: String,
    /// When, to the microsecond, so that waits and talks add up as they do here.
    #[schema(format = DateTime)]
    pub at: String,
    pub call_id: Option<CallId>,
    /// Where the call was.
    pub department_id: Option<DepartmentId>,
    /// Whom it is about: the agent, or who acted.
    pub user_id: Option<UserId>,
    /// More ids, times and reasons.
    #[schema(value_type = Option<Object>)]
    pub data: Value,
}

impl From<StoredEvent> for FeedEvent {
    fn from(fact: StoredEvent) -> Self {
        Self {
            seq: fact.seq,
            kind: fact.kind,
            at: fact.at.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
            call_id: fact.call_id,
            department_id: fact.department_id,
            user_id: fact.user_id,
            data: fact.data,
        }
    }
}

/// Where a page stands in the feed.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct FeedMeta {
    /// The cursor for the next page: the number of the last fact of this one.
    pub after: i64,
    /// Whether there is more by now.
    pub has_more: bool,
    /// The oldest fact that is kept; of a feed without facts the number of the next one.
    pub oldest_seq: i64,
    /// The newest fact; 0 before the first.
    pub last_seq: i64,
}

/// A page of the feed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FeedPage {
    pub data: Vec<FeedEvent>,
    pub meta: FeedMeta,
}

/// Read the event feed
///
/// What happened in the company, for integrations that must not miss anything: every committed fact once, in order, numbered
/// without gaps. Keep the `seq` of the last one that you dealt with, and ask for what comes `after` it; without `after` the feed
/// begins with the oldest fact that is kept. Facts hold ids, times and reasons; names and typed texts are elsewhere.
///
/// With `Accept: text/event-stream` the answer does not end: each fact is an event with its `seq` as id and its kind as type, sent
/// within moments of its commit, and a comment comes every 15 seconds. The header `Last-Event-ID` says where to go on, and wins
/// over `after`. The stream ends with the login or API token, when the role changes, after a day, and when nothing is read for 30
/// seconds; connect again with the last id. A company may have twenty streams (429 beyond).
///
/// | `kind` | what happened | in `data` |
/// |---|---|---|
/// | `call_joined` | a customer took a place | `priority`, `link_id`, `service_level_seconds` (the wait that is in time), `estimated_wait_seconds` and `estimated_wait_p90_seconds` (what he was told) |
/// | `call_assigned` | an agent took the call, by an offer or by hand | `offer_id`, `offered_at` or `picked_by`, `passed` (who waited longer, and why he was passed) |
/// | `call_started`, `call_resumed` | they began to talk: for the first time; again, with another agent | |
/// | `call_returned` | the call went back to its place | `reason`, `talk_seconds` of the agent who had it |
/// | `call_transferred` | an agent gave it on | `to_department_id`, `to_user_id`, `transferred_by`, `talk_seconds` of the agent who had it |
/// | `call_ended` | it is over | `end_reason`, `status`; `by`, when somebody ended what was not his |
/// | `call_rated` | its customer rated it | `rating`, `verified` |
/// | `offer_declined`, `offer_timed_out`, `offer_withdrawn` | an offer led to nothing | `offer_id`, `offered_at`, `outcome`, `reason`, `passed` |
/// | `agent_status_changed` | an agent, or a supervisor for him, chose another status | `status`, `reason_given`, `after_call`, `by` |
/// | `agent_held` | the system holds an agent back after missed offers | `cause` |
///
/// New kinds and fields may come; pass over what you do not know. Devices that come and go are not facts, so agents' times are
/// for the analytics to tell.
///
/// Facts are kept for a time that the operator chooses (400 days unless told otherwise). When the next one is gone, or the cursor
/// never was one of this feed, the answer is 410 with code `cursor_too_old`, and the detail names the oldest that is kept: take
/// stock anew by the lists, then go on from there.
#[utoipa::path(get, path = "/api/v1/events", tag = "Events", security(("staff" = ["supervisor"])),
    params(
        Query<EventQuery>,
        ("Last-Event-ID" = Option<i64>, Header, description = "Of streams: the last fact that arrived."),
    ),
    responses(
        (status = 200, description = "A page, or a stream.", content(
            (FeedPage = "application/json"),
            (String = "text/event-stream", example = "id: 1042\nevent: call_joined\ndata: {\"seq\":1042, ...}\n\n"),
        )),
        (status = 410, description = "What comes after the cursor is not kept any more.", body = Object,
            example = json!({"errors": {
                "detail": "Events up to 41 are not kept any more; the oldest is 42", "code": "cursor_too_old"}})),
    ))]
async fn list(
    State(state): State<AppState>,
    staff: Supervisor,
    Query(query): Query<EventQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if !wants_stream(&headers) {
        return Ok(page(&state, &staff, &query).await?.into_response());
    }
    let after = match last_event_id(&headers)?.or(query.after) {
        Some(after) => {
            // Asked before the answer begins, since a stream has no status to say it with.
            match feed::look(&state.store, staff.tenant, Some(after), 1).await? {
                Look::Facts(_) => after,
                Look::Lost(kept) => return Err(lost(after, kept)),
            }
        }
        None => feed::kept(&state.store, staff.tenant).await?.oldest - 1,
    };
    let reader = Reader {
        tenant: staff.tenant,
        owner: SocketOwner::Staff { user: staff.user, session: staff.session },
        token: staff.token.and_then(|_| bearer(&headers)).map(str::to_owned),
    };
    event_stream::answer(&state, reader, after)
}

async fn page(state: &AppState, staff: &Supervisor, query: &EventQuery) -> Result<axum::Json<FeedPage>, ApiError> {
    let facts = match feed::look(&state.store, staff.tenant, query.after, query.limit).await? {
        Look::Facts(facts) => facts,
        Look::Lost(kept) => return Err(lost(query.after.unwrap_or(0), kept)),
    };
    // Read after the facts, so that no fact is beyond the last.
    let kept = feed::kept(&state.store, staff.tenant).await?;
    let after = facts.last().map(|last| last.seq).or(query.after).unwrap_or(kept.oldest - 1);
    let meta = FeedMeta { after, has_more: after < kept.last, oldest_seq: kept.oldest, last_seq: kept.last };
    Ok(axum::Json(FeedPage { data: facts.into_iter().map(FeedEvent::from).collect(), meta }))
}

fn lost(after: i64, kept: Kept) -> ApiError {
    let detail = if after > kept.last {
        format!("There is no event {after}; the newest is {}, the oldest {}", kept.last, kept.oldest)
    } else {
        format!("Events up to {} are not kept any more; the oldest is {}", kept.oldest - 1, kept.oldest)
    };
    ApiError::Gone { code: "cursor_too_old", detail: detail.into() }
}

/// Whether the client asks for a stream.
fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|one| {
        let kind = one.split(';').next().unwrap_or_default();
        kind.trim().eq_ignore_ascii_case("text/event-stream")
    })
}

/// Where the client was; an empty one is none, as the standard has it.
fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>, ApiError> {
    let Some(id) = headers.get(&LAST_EVENT_ID).filter(|id| !id.is_empty()) else { return Ok(None) };
    let id = id.to_str().ok().and_then(|id| id.parse().ok()).filter(|id| *id >= 0);
    id.map(Some).ok_or_else(|| ApiError::BadRequest("The header Last-Event-ID is invalid".into()))
}
