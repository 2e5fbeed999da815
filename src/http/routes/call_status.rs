//! Owns what a customer asks by a call's id alone, without any login: how it goes, and at its end the rating. An open call
//! is answered by its queue, an ended one from the record.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::actors::handle::{CustomerState, Estimate};
use crate::domain::call::{Phase, Status};
use crate::domain::ids::{CallId, TenantId};
use crate::http::caller::MaybeCustomer;
use crate::http::envelope::Data;
use crate::http::error::ApiError;
use crate::http::input::{Body, Fields, Ids, Input, TEXT_CHARS_MAX, described_bodies};
use crate::http::state::AppState;
use crate::store::calls::{self, Rated};

/// `/api/v1/call/status/*` and `/api/v1/call/evaluate/*`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(status)).routes(routes!(evaluate))
}

/// A call as its customer sees it; serialises as the answer of `status`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CallStatus {
    pub call_id: CallId,
    pub protocol: i64,
    pub status: Status,
    pub phase: Phase,
    /// From 1; null once the call is not queued.
    pub position: Option<u32>,
    /// Null once the call has ended.
    pub queue_size: Option<u32>,
    /// Seconds; null while there is nothing to base it on.
    pub estimated_wait_time: Option<u64>,
    pub estimated_wait_time_p90: Option<u64>,
    #[schema(value_type = String)]
    pub department_name: Arc<str>,
    /// Null until the call is assigned.
    #[schema(value_type = Option<String>)]
    pub agent_name: Option<Arc<str>>,
}

impl CallStatus {
    fn of_open(call_id: CallId, open: CustomerState) -> Self {
        let Estimate { p50_seconds, p90_seconds } = open.estimate;
        Self {
            call_id,
            protocol: open.protocol,
            status: open.status,
            phase: open.phase,
            position: open.position,
            queue_size: Some(open.queue_size),
            estimated_wait_time: p50_seconds,
            estimated_wait_time_p90: p90_seconds,
            department_name: open.department_name,
            agent_name: open.agent_name,
        }
    }
}

/// The call as it is now, from its queue, or from the record once it has ended. `None` when there is no such call.
pub async fn look(state: &AppState, tenant: TenantId, call_id: CallId) -> Result<Option<CallStatus>, ApiError> {
    if let Some(open) = state.queues.customer_state(tenant, call_id).await? {
        return Ok(Some(CallStatus::of_open(call_id, open)));
    }
    Ok(calls::find(&state.store, tenant, call_id).await?.map(|call| CallStatus {
        call_id,
        protocol: call.protocol,
        status: call.status,
        phase: call.phase,
        position: None,
        queue_size: None,
        estimated_wait_time: None,
        estimated_wait_time_p90: None,
        department_name: call.department_name,
        agent_name: call.user_name,
    }))
}

/// Ask how a call goes
///
/// Asking about an open call keeps its customer present for 30 seconds; a socket does so without asking.
#[utoipa::path(get, path = "/api/v1/call/status/{call_id}", tag = "Public", security(()),
    responses((status = 200, body = Data<CallStatus>)))]
async fn status(State(state): State<AppState>, Ids(call_id): Ids<CallId>) -> Result<Data<CallStatus>, ApiError> {
    let tenant = state.lookups.tenant_of_call(&state.store, call_id).await?.ok_or_else(ApiError::not_found)?;
    let seen = look(&state, tenant, call_id).await?.ok_or_else(ApiError::not_found)?;
    if seen.phase != Phase::Ended
        && let Err(error) = state.queues.poll(tenant, call_id).await
    {
        // The answer is true all the same; the next poll tries again.
        tracing::debug!(call = %call_id, ?error, "a status poll did not count");
    }
    Ok(Data::new(seen))
}

/// Body of `POST /call/evaluate/:call_id`.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// 1 to 5.
    pub rating: i16,
    pub comment: Option<String>,
}

impl Input for Evaluation {
    fn read(fields: &mut Fields) -> Self {
        let rating = fields.required_integer("rating", 1..=5);
        Self { rating: i16::try_from(rating).unwrap_or(1), comment: fields.text("comment", TEXT_CHARS_MAX) }
    }
}

described_bodies!(Evaluation);

/// The rating that counts.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Evaluated {
    pub call_id: CallId,
    pub rating: i16,
    pub comment: Option<String>,
}

/// Rate a call
///
/// Once, within 24 hours after its end; the same rating again is fine. With the call's `websocket_token` as bearer the
/// rating counts as verified. Refused with 422 and `not_ended`, `already_rated` or `rating_closed`.
#[utoipa::path(post, path = "/api/v1/call/evaluate/{call_id}", tag = "Public", security((), ("customer" = [])),
    request_body = Evaluation, responses((status = 200, body = Data<Evaluated>)))]
async fn evaluate(
    State(state): State<AppState>,
    MaybeCustomer(customer): MaybeCustomer,
    Ids(call_id): Ids<CallId>,
    Body(Evaluation { rating, comment }): Body<Evaluation>,
) -> Result<Data<Evaluated>, ApiError> {
    if customer.is_some_and(|customer| customer.call != call_id) {
        return Err(ApiError::unauthorized());
    }
    let tenant = match customer {
        Some(customer) => customer.tenant,
        None => state.lookups.tenant_of_call(&state.store, call_id).await?.ok_or_else(ApiError::not_found)?,
    };
    let now = state.clock.now();
    let rated = calls::rate(&state.store, tenant, call_id, rating, comment.as_deref(), customer.is_some(), now).await?;
    let rejected = |code, detail: &'static str| Err(ApiError::Rejected { code, detail: detail.into() });
    match rated {
        Rated::Done => Ok(Data::new(Evaluated { call_id, rating, comment })),
        Rated::Already { rating: first, comment: kept }
            if first == rating && (comment.is_none() || comment == kept) =>
        {
            Ok(Data::new(Evaluated { call_id, rating, comment: kept }))
        }
        Rated::Already { .. } => rejected("already_rated", "The call has been rated already"),
        Rated::NotEnded => rejected("not_ended", "The call has not ended yet"),
        Rated::Closed => rejected("rating_closed", "The call ended too long ago to be rated"),
        Rated::NotFound => Err(ApiError::not_found()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;
    use crate::http::input::parse;

    #[test]
    fn a_rating_is_one_to_five() {
        for (body, faults) in [
            (json!({"rating": 6}), json!({"rating": ["must be less than or equal to 5"]})),
            (json!({}), json!({"rating": ["can't be blank"]})),
            (json!({"rating": "5", "comment": 1}), json!({"rating": ["is invalid"], "comment": ["is invalid"]})),
        ] {
            let Err(ApiError::Invalid(errors)) = parse::<Evaluation>(body.to_string().as_bytes()) else {
                unreachable!("a bad rating was read")
            };
            assert_eq!(serde_json::to_value(errors).unwrap(), faults);
        }
    }
}
