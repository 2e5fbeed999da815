//! Owns rating a call: once, after its end, within a day.

use super::calls::closed_before;
use super::{Result, Store, events};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, DepartmentId, TenantId, UserId};
use crate::domain::record::RecordEvent;

/// What came of rating a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rated {
    Done,
    /// It was rated before, so.
    Already {
        rating: i16,
        comment: Option<String>,
    },
    NotEnded,
    /// It ended too long ago.
    Closed,
    NotFound,
}

/// Rates an ended call once, and tells of it in the tenant's feed.
pub async fn rate(
    store: &Store,
    tenant: TenantId,
    call: CallId,
    rating: i16,
    comment: Option<&str>,
    verified: bool,
    now: Timestamp,
) -> Result<Rated> {
    let mut tx = store.tenant_tx(tenant).await?;
    let row = sqlx::query!(
        "SELECT open, completed_at, rating, rating_comment, department_id, user_id FROM calls
         WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        call.0
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(Rated::NotFound) };
    if row.open {
        return Ok(Rated::NotEnded);
    }
    if let Some(rating) = row.rating {
        return Ok(Rated::Already { rating, comment: row.rating_comment });
    }
    if row.completed_at.is_none_or(|at| at <= closed_before(now)) {
        return Ok(Rated::Closed);
    }
    // The feed's number comes first: it is the row every writer of this tenant locks first, so of two ratings sent at once
    // the second waits here, and below finds the call rated.
    let event = RecordEvent {
        kind: "call_rated",
        at: now,
        call_id: Some(call),
        department_id: Some(DepartmentId(row.department_id)),
        user_id: row.user_id.map(UserId),
        data: serde_json::json!({ "rating": rating, "verified": verified }),
    };
    events::append(&mut tx, tenant, &[event]).await?;
    let done = sqlx::query!(
        "UPDATE calls SET rating = $3, rating_comment = $4, rating_verified = $5, rated_at = $6
         WHERE tenant_id = $1 AND id = $2 AND rating IS NULL",
        tenant.0,
        call.0,
        rating,
        comment,
        verified,
        now.to_utc()
    )
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() > 0 {
        tx.commit().await?;
        store.bells().feed.ring(tenant);
        return Ok(Rated::Done);
    }
    let row =
        sqlx::query!("SELECT rating, rating_comment FROM calls WHERE tenant_id = $1 AND id = $2", tenant.0, call.0)
            .fetch_one(&mut *tx)
            .await?;
    match row.rating {
        Some(rating) => Ok(Rated::Already { rating, comment: row.rating_comment }),
        None => Ok(Rated::NotFound),
    }
}
