//! Owns the customer's way in, without any login: look at a link, join the line. What a place in line is worth is the
//! queue's business; this file finds the tenant, checks the input and words the answer. How the call goes on is told by
//! `call_status`.
//!
//! The path of a join, the hottest of all routes: link by token (remembered for seconds), then at once the two look-ups
//! that only some joins need, the call of a repeated key and the customer of a known contact, then the queue.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::actors::handle::{CallError, LinkUses, NewCall, Rejection};
use crate::auth::sha256_hex;
use crate::domain::call::{Caller, Status};
use crate::domain::ids::{CallId, CustomerId, LinkId, TenantId};
use crate::http::envelope::Data;
use crate::http::error::ApiError;
use crate::http::input::{Body, Fields, Ids, Input, NAME_CHARS_MAX, PHONE_CHARS_MAX, TEXT_CHARS_MAX, described_bodies};
use crate::http::public_url::BaseUrl;
use crate::http::routes::call_status::{CallStatus, look};
use crate::http::state::AppState;
use crate::store::links::{Link, LinkStatus};
use crate::store::{calls, customers, departments, in_time, tenants};

/// Longest token worth looking up; ours have 20 characters.
const LINK_TOKEN_BYTES_MAX: usize = 64;
/// Longest key a client may name its join with; a UUID has 36 characters.
const JOIN_KEY_CHARS_MAX: usize = 200;

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// `/api/v1/call/:token/*`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(validate)).routes(routes!(join))
}

/// One answer for every link that leads nowhere, so that tokens cannot be sorted into wrong and used ones.
fn no_such_link() -> ApiError {
    ApiError::NotFound("Invalid or expired access link".into())
}

/// The link of a token that may be ours.
async fn link_of(state: &AppState, token: &str) -> Result<(TenantId, Arc<Link>), ApiError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !(1..=LINK_TOKEN_BYTES_MAX).contains(&token.len()) || !token.bytes().all(plain) {
        return Err(no_such_link());
    }
    state.lookups.link(&state.store, token).await?.ok_or_else(no_such_link)
}

/// What a customer sees before joining.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ValidLink {
    /// False while the department takes no calls: a join is refused (`department_inactive`), unless its `join_key` leads back to a
    /// call that is open. A page that holds such a key joins by it without asking here.
    pub valid: bool,
    pub department_name: String,
    pub company_name: String,
    pub company_logo_url: Option<String>,
    pub primary_color: String,
    pub queue_size: u32,
    /// Seconds; null while there is nothing to base it on.
    pub estimated_wait_time: Option<u64>,
    pub online_agents: u32,
    /// Whom the link was made for, to be shown in the form; his contacts are known without being shown.
    pub customer_name: Option<String>,
}

/// Look at an access link
///
/// What a customer sees before joining. Every link that leads nowhere answers alike, whether wrong, used, expired or
/// cancelled. A single-use link still answers while its call is open, so that a reload finds the way back.
#[utoipa::path(get, path = "/api/v1/call/{token}/validate", tag = "Public", security(()),
    responses((status = 200, body = Data<ValidLink>)))]
async fn validate(State(state): State<AppState>, Ids(token): Ids<String>) -> Result<Data<ValidLink>, ApiError> {
    let (tenant, link) = link_of(&state, &token).await?;
    let leads_somewhere = match link.status {
        LinkStatus::Active => true,
        // Whoever used it up may come back to that call while it is open, as after a reload of the page.
        LinkStatus::Used => match earlier_call(&state, tenant, &link, None).await? {
            Some(call) => state.queues.customer_state(tenant, call).await?.is_some(),
            None => false,
        },
        LinkStatus::Expired | LinkStatus::Cancelled => false,
    };
    if !leads_somewhere {
        return Err(no_such_link());
    }
    let company = tenants::company(&state.store, tenant).await?.ok_or_else(no_such_link)?;
    let department = departments::find(&state.store, tenant, link.department_id).await?.ok_or_else(no_such_link)?;
    let figures = state.queues.department_figures(tenant, link.department_id).await?;
    Ok(Data::new(ValidLink {
        valid: department.active || link.status == LinkStatus::Used,
        department_name: department.name,
        company_name: company.name,
        company_logo_url: company.logo_url,
        primary_color: company.primary_color,
        queue_size: figures.queue_size,
        estimated_wait_time: figures.estimated_wait_time,
        online_agents: figures.online_agents,
        customer_name: link.customer_name.clone(),
    }))
}

/// Body of `POST /call/:token/join`.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    pub name: String,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub reason: Option<String>,
    /// Names this join, so that sending it again finds the same call; the header `Idempotency-Key` does the same.
    pub join_key: Option<String>,
}

impl Input for JoinRequest {
    fn read(fields: &mut Fields) -> Self {
        Self {
            name: fields.required_text("name", NAME_CHARS_MAX),
            email: fields.email("email"),
            phone: fields.text("phone", PHONE_CHARS_MAX),
            reason: fields.text("reason", TEXT_CHARS_MAX),
            join_key: fields.text("join_key", JOIN_KEY_CHARS_MAX),
        }
    }
}

described_bodies!(JoinRequest);

/// What a join answers.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct JoinResponse {
    pub call_id: CallId,
    pub status: Status,
    /// From 1; null once the call is not queued.
    pub position: Option<u32>,
    /// Seconds; null while there is nothing to base it on.
    pub estimated_wait_time: Option<u64>,
    /// Nine of ten wait no longer than this.
    pub estimated_wait_time_p90: Option<u64>,
    pub queue_size: Option<u32>,
    /// The call's number.
    pub protocol: i64,
    /// Whether this is a call joined before.
    pub resumed: bool,
    pub websocket_token: String,
    pub websocket_url: String,
}

impl JoinResponse {
    /// For a call joined before.
    fn again(seen: CallStatus, state: &AppState, base: &BaseUrl, tenant: TenantId) -> Result<Self, ApiError> {
        Ok(Self {
            call_id: seen.call_id,
            status: seen.status,
            position: seen.position,
            estimated_wait_time: seen.estimated_wait_time,
            estimated_wait_time_p90: seen.estimated_wait_time_p90,
            queue_size: seen.queue_size,
            protocol: seen.protocol,
            resumed: true,
            websocket_token: state.tokens.issue_call(tenant, seen.call_id).map_err(ApiError::internal)?,
            websocket_url: base.of_socket(),
        })
    }
}

/// Join the queue
///
/// `name` is required; what is absent of the contacts is taken from the link. The customer is the link's own, else whoever
/// is known by the email address or the telephone, else a new one. Joining again with the same `join_key` (or header
/// `Idempotency-Key`), or through a single-use link, is the same call, with `resumed` and a fresh `websocket_token`, while
/// it is open and for 24 hours after. Refused with 422 and `queue_full`, `department_inactive` or `link_cancelled`.
#[utoipa::path(post, path = "/api/v1/call/{token}/join", tag = "Public", security(()),
    params(("Idempotency-Key" = Option<String>, Header, description = "Names this join, as `join_key` does.",
        max_length = 200)),
    request_body = JoinRequest, responses((status = 200, body = Data<JoinResponse>)))]
async fn join(
    State(state): State<AppState>,
    base: BaseUrl,
    Ids(token): Ids<String>,
    headers: HeaderMap,
    Body(request): Body<JoinRequest>,
) -> Result<Data<JoinResponse>, ApiError> {
    let given_key = idempotency_key(&headers)?.or_else(|| request.join_key.clone());
    let (tenant, link) = link_of(&state, &token).await?;
    let (email, phone) =
        (request.email.or_else(|| link.customer_email.clone()), request.phone.or_else(|| link.customer_phone.clone()));
    let (earlier, customer) = tokio::try_join!(
        earlier_call(&state, tenant, &link, given_key.as_deref()),
        known_customer(&state, tenant, &link, email.as_deref(), phone.as_deref()),
    )?;
    if let Some(call) = earlier
        && let Some(seen) = look(&state, tenant, call).await?
    {
        return JoinResponse::again(seen, &state, &base, tenant).map(Data::new);
    }
    // Asked only now: whoever joined in time comes back to his call although the link leads nobody else anywhere.
    if link.status != LinkStatus::Active {
        return Err(no_such_link());
    }
    let customer_id = customer.unwrap_or_else(|| state.ids.next(state.clock.now()));
    let new = NewCall {
        link_id: Some(link.id),
        link_uses: link.max_uses.map(|max| LinkUses { max, used: link.use_count }),
        caller: Caller {
            customer_id,
            name: request.name.into(),
            email: email.map(Into::into),
            phone: phone.map(Into::into),
            reason: request.reason.map(Into::into),
        },
        priority: link.priority,
        due_at: link.due_at(state.clock.now()),
        requirements: link.required_skills.clone(),
        join_key: join_key(&link, given_key.as_deref()),
    };
    let joined = state.queues.join(tenant, link.department_id, new).await.map_err(|refused| match refused {
        // Used up since the link was read.
        CallError::Rejected(Rejection::LinkUsed) => no_such_link(),
        other => other.into(),
    })?;
    state.lookups.call_joined(tenant, joined.call_id);
    Ok(Data::new(JoinResponse {
        call_id: joined.call_id,
        status: joined.status,
        position: joined.position,
        estimated_wait_time: joined.estimate.p50_seconds,
        estimated_wait_time_p90: joined.estimate.p90_seconds,
        queue_size: Some(joined.queue_size),
        protocol: joined.protocol,
        resumed: joined.resumed,
        websocket_token: state.tokens.issue_call(tenant, joined.call_id).map_err(ApiError::internal)?,
        websocket_url: base.of_socket(),
    }))
}

/// The key in the header; one that is no plain text is refused, since ignoring it would make two calls of one.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(&IDEMPOTENCY_KEY) else { return Ok(None) };
    match value.to_str().map(str::trim) {
        Ok(key) if key.len() <= JOIN_KEY_CHARS_MAX => Ok((!key.is_empty()).then(|| key.to_owned())),
        _ => Err(ApiError::BadRequest("The header Idempotency-Key is invalid".into())),
    }
}

/// What two joins that mean the same call share. It holds the link's id, so keys of two links never meet, and is hashed,
/// so that whoever reads the record cannot join again with it.
fn join_key(link: &Link, given: Option<&str>) -> Option<String> {
    let link_id = link.id.0;
    if link.single_use {
        return Some(sha256_hex(&[b"single-use", link_id.as_bytes()]));
    }
    given.map(|key| sha256_hex(&[b"join", link_id.as_bytes(), key.as_bytes()]))
}

/// The call this join repeats, open or ended within the last day. The queue itself knows the open ones; this finds those
/// that have ended, too.
async fn earlier_call(
    state: &AppState,
    tenant: TenantId,
    link: &Link,
    given_key: Option<&str>,
) -> Result<Option<CallId>, ApiError> {
    let now = state.clock.now();
    let link_id: LinkId = link.id;
    if link.single_use {
        return Ok(in_time(calls::by_single_use_link(&state.store, tenant, link_id, now)).await?);
    }
    match join_key(link, given_key) {
        Some(key) => Ok(in_time(calls::by_join_key(&state.store, tenant, link_id, &key, now)).await?),
        None => Ok(None),
    }
}

/// Whom the link was made for, else whoever is known by what was typed.
async fn known_customer(
    state: &AppState,
    tenant: TenantId,
    link: &Link,
    email: Option<&str>,
    phone: Option<&str>,
) -> Result<Option<CustomerId>, ApiError> {
    if link.customer_id.is_some() {
        return Ok(link.customer_id);
    }
    if email.is_none() && phone.is_none() {
        return Ok(None);
    }
    Ok(in_time(customers::match_contact(&state.store, tenant, email, phone)).await?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use uuid::Uuid;

    use super::*;
    use crate::domain::clock::Timestamp;
    use crate::domain::ids::DepartmentId;
    use crate::http::input::parse;

    fn link(id: u128, single_use: bool) -> Link {
        Link {
            id: LinkId(Uuid::from_u128(id)),
            name: None,
            token: "t".to_owned(),
            status: LinkStatus::Active,
            department_id: DepartmentId(Uuid::from_u128(2)),
            department_name: "Support".to_owned(),
            customer_name: None,
            customer_email: None,
            customer_phone: None,
            expires_at: None,
            used_at: None,
            inserted_at: Timestamp::default(),
            single_use,
            max_uses: single_use.then_some(1),
            use_count: 0,
            priority: 0,
            required_skills: Vec::new(),
            customer_id: None,
            tag_ids: Vec::new(),
            custom_fields: Default::default(),
            call_id: None,
            due: None,
        }
    }

    #[test]
    fn a_join_key_names_one_join_of_one_link() {
        assert_eq!(join_key(&link(1, false), None), None);
        let key = join_key(&link(1, false), Some("k")).unwrap();
        assert_eq!(join_key(&link(1, false), Some("k")).as_ref(), Some(&key));
        assert_ne!(join_key(&link(2, false), Some("k")).as_ref(), Some(&key));
        assert_ne!(join_key(&link(1, false), Some("l")).as_ref(), Some(&key));
        // A single-use link means one call whatever the client says.
        let single = join_key(&link(1, true), None).unwrap();
        assert_eq!(join_key(&link(1, true), Some("k")), Some(single));
    }

    #[test]
    fn a_join_needs_a_name_alone() {
        let request: JoinRequest = parse(br#"{"name": "Ana"}"#).unwrap();
        assert_eq!((request.name.as_str(), request.email, request.join_key), ("Ana", None, None));
    }

    #[test]
    fn a_key_that_cannot_be_read_is_refused() {
        let mut headers = HeaderMap::new();
        assert_eq!(idempotency_key(&headers).unwrap(), None);
        headers.insert(IDEMPOTENCY_KEY.clone(), " abc ".parse().unwrap());
        assert_eq!(idempotency_key(&headers).unwrap().as_deref(), Some("abc"));
        headers.insert(IDEMPOTENCY_KEY.clone(), "x".repeat(JOIN_KEY_CHARS_MAX + 1).parse().unwrap());
        assert!(idempotency_key(&headers).is_err());
    }
}
