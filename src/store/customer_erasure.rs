//! Owns the erasure of a customer (LGPD, article 18): his row goes, with everybody who was merged into him, and what other
//! rows keep of his name, contacts and typed words is emptied. What stays tells nothing of the person: that there was a
//! call, when, who served it, how it ended and the rating. Chat, notes of staff, recordings and transcripts are the
//! company's own record of the service; their life is not decided here.

use uuid::Uuid;

use super::turns::take_turn;
use super::{Result, Work};
use crate::domain::ids::CustomerId;

/// What came of an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erased {
    Done,
    /// There is no such customer.
    Unknown,
    /// He waits or is being served: his call's row is its queue's.
    InCall,
    /// The id is that of a duplicate; the person is this one.
    Merged(CustomerId),
}

/// Erases a customer who has no open call.
pub async fn erase(work: &mut Work, customer: CustomerId) -> Result<Erased> {
    let tenant = work.tenant;
    take_turn(work).await?;
    let row = sqlx::query!(
        "SELECT merged_into FROM customers WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
        tenant.0,
        customer.0
    )
    .fetch_optional(work.tx())
    .await?;
    match row {
        None => return Ok(Erased::Unknown),
        Some(row) => {
            if let Some(survivor) = row.merged_into {
                return Ok(Erased::Merged(CustomerId(survivor)));
            }
        }
    }
    let ids: Vec<Uuid> = sqlx::query_scalar!(
        "SELECT id AS \"id!\" FROM customers WHERE tenant_id = $1 AND id = $2
         UNION ALL SELECT id FROM customers WHERE tenant_id = $1 AND merged_into = $2",
        tenant.0,
        customer.0
    )
    .fetch_all(work.tx())
    .await?;
    let in_call = sqlx::query_scalar!(
        "SELECT EXISTS (SELECT FROM calls WHERE tenant_id = $1 AND customer_id = ANY ($2) AND open) AS \"open!\"",
        tenant.0,
        &ids
    )
    .fetch_one(work.tx())
    .await?;
    if in_call {
        return Ok(Erased::InCall);
    }
    empty_calls(work, &ids).await?;
    empty_appointments(work, &ids).await?;
    empty_links(work, &ids).await?;
    empty_webhook_events(work, &ids).await?;
    // Those who were merged into him go with him.
    sqlx::query!("DELETE FROM customers WHERE tenant_id = $1 AND id = $2", tenant.0, customer.0)
        .execute(work.tx())
        .await?;
    Ok(Erased::Done)
}

async fn empty_calls(work: &mut Work, ids: &[Uuid]) -> Result<()> {
    let tenant = work.tenant;
    sqlx::query!(
        "DELETE FROM call_fields AS kept USING calls AS c
         WHERE kept.tenant_id = $1 AND c.tenant_id = $1 AND kept.call_id = c.id AND c.customer_id = ANY ($2)",
        tenant.0,
        ids
    )
    .execute(work.tx())
    .await?;
    sqlx::query!(
        "UPDATE calls SET customer_name = '', customer_email = NULL, customer_phone = NULL, reason = NULL,
             rating_comment = NULL
         WHERE tenant_id = $1 AND customer_id = ANY ($2) AND NOT open",
        tenant.0,
        ids
    )
    .execute(work.tx())
    .await?;
    Ok(())
}

/// Appointments, what was still to be said of them, and the notices that name him.
async fn empty_appointments(work: &mut Work, ids: &[Uuid]) -> Result<()> {
    let (tenant, now) = (work.tenant, work.now);
    sqlx::query!(
        "DELETE FROM mails USING (
             SELECT lookup_email AS address FROM customers WHERE tenant_id = $1 AND id = ANY ($2)
             UNION SELECT lower(customer_email) FROM appointments WHERE tenant_id = $1 AND customer_id = ANY ($2)
         ) AS his
         WHERE mails.tenant_id = $1 AND mails.lookup_recipient = his.address AND mails.kind LIKE 'appointment%'",
        tenant.0,
        ids
    )
    .execute(work.tx())
    .await?;
    sqlx::query!("DELETE FROM notifications WHERE tenant_id = $1 AND customer_id = ANY ($2)", tenant.0, ids)
        .execute(work.tx())
        .await?;
    sqlx::query!(
        "UPDATE appointments SET customer_name = '', customer_email = NULL, customer_phone = NULL, updated_at = $3
         WHERE tenant_id = $1 AND customer_id = ANY ($2)",
        tenant.0,
        ids,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    Ok(())
}

/// Links made for him, and those that were made with his contacts alone.
async fn empty_links(work: &mut Work, ids: &[Uuid]) -> Result<()> {
    let tenant = work.tenant;
    // Each way to him on its own index.
    sqlx::query!(
        "WITH his AS MATERIALIZED (
             SELECT id, lookup_email, lookup_phone FROM customers WHERE tenant_id = $1 AND id = ANY ($2)
         ), found AS (
             SELECT link.id FROM his JOIN access_links AS link ON link.tenant_id = $1 AND link.customer_id = his.id
             UNION
             SELECT link.id FROM his JOIN access_links AS link ON link.tenant_id = $1 AND link.lookup_email = his.lookup_email
             UNION
             SELECT link.id FROM his JOIN access_links AS link ON link.tenant_id = $1 AND link.lookup_phone = his.lookup_phone
         )
         UPDATE access_links AS link SET customer_id = NULL, customer_name = NULL, customer_email = NULL,
             customer_phone = NULL, custom_fields = NULL
         FROM found WHERE link.tenant_id = $1 AND link.id = found.id",
        tenant.0,
        ids
    )
    .execute(work.tx())
    .await?;
    Ok(())
}

/// What webhooks were told of him and are to be told yet, and what came back, which may repeat it. What waits goes out all
/// the same, without what is his: whoever follows the calls misses none, and hears no more than an erased call says.
async fn empty_webhook_events(work: &mut Work, ids: &[Uuid]) -> Result<()> {
    let tenant = work.tenant;
    sqlx::query!(
        "WITH his AS MATERIALIZED (
             SELECT id FROM unnest($2::uuid[]) AS given (id)
             UNION SELECT id FROM calls WHERE tenant_id = $1 AND customer_id = ANY ($2)
             UNION SELECT id FROM appointments WHERE tenant_id = $1 AND customer_id = ANY ($2)
         ), emptied AS (
             UPDATE webhook_events AS told SET data = vez_without_person(told.event, told.data)
             FROM his WHERE told.tenant_id = $1 AND told.subject_id = his.id
             RETURNING told.id
         )
         UPDATE webhook_attempts AS attempt SET response_body = NULL
         FROM emptied JOIN webhook_deliveries AS delivery ON delivery.tenant_id = $1 AND delivery.event_id = emptied.id
         WHERE attempt.tenant_id = $1 AND attempt.delivery_id = delivery.id AND attempt.response_body IS NOT NULL",
        tenant.0,
        ids
    )
    .execute(work.tx())
    .await?;
    Ok(())
}
