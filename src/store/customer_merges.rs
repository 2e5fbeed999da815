//! Owns making one customer of several. What belongs to a duplicate moves to the survivor; the duplicate's row stays as the
//! redirect, and its address and telephone still find the person when he joins again.
//!
//! Only ended calls are moved here: an open one is its queue's, which writes the whole row with each version. The database
//! moves it with the version that ends it (migration 0008), and until then whoever counts a customer's calls counts those
//! of the merged ids, too. So it never matters which came first.

use std::collections::HashMap;

use uuid::Uuid;

use super::customers::{self, Customer};
use super::turns::take_turn;
use super::{Result, Work};
use crate::domain::ids::CustomerId;

/// Most characters of a customer's notes: those of several, put together by a merge, must find room.
pub const NOTES_CHARS_MAX: usize = 10_000;

/// Why a merge was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeFault {
    /// There is no such survivor.
    UnknownSurvivor,
    /// At least one of the duplicates is not there.
    UnknownDuplicate,
    /// The survivor is among the duplicates.
    Itself,
}

struct Row {
    id: Uuid,
    merged_into: Option<Uuid>,
    email: Option<String>,
    phone: Option<String>,
    document: Option<String>,
    notes: Option<String>,
}

/// Makes `duplicates` one with `survivor`. What the survivor lacks (address, telephone, document) he gets of the first
/// duplicate that has it; notes are put together. Who was merged before is the same as his survivor, so doing it again
/// changes nothing.
pub async fn merge(
    work: &mut Work,
    survivor: CustomerId,
    duplicates: &[CustomerId],
) -> Result<std::result::Result<Customer, MergeFault>> {
    let (tenant, now) = (work.tenant, work.now);
    // Two merges at once could make a circle of redirects.
    take_turn(work).await?;
    let mut named: Vec<Uuid> = duplicates.iter().map(|id| id.0).collect();
    named.push(survivor.0);
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, merged_into, email, phone, document, notes FROM customers
         WHERE tenant_id = $1 AND (id = ANY ($2)
             OR id = ANY (ARRAY(SELECT merged_into FROM customers WHERE tenant_id = $1 AND id = ANY ($2))))
         ORDER BY id FOR UPDATE",
        tenant.0,
        &named
    )
    .fetch_all(work.tx())
    .await?;
    let rows: HashMap<Uuid, Row> = rows.into_iter().map(|row| (row.id, row)).collect();
    let resolve = |id: CustomerId| rows.get(&id.0).map(|row| row.merged_into.unwrap_or(row.id));
    let Some(kept) = resolve(survivor) else { return Ok(Err(MergeFault::UnknownSurvivor)) };
    if duplicates.contains(&survivor) {
        return Ok(Err(MergeFault::Itself));
    }
    let mut gone: Vec<Uuid> = Vec::with_capacity(duplicates.len());
    for duplicate in duplicates {
        match resolve(*duplicate) {
            None => return Ok(Err(MergeFault::UnknownDuplicate)),
            // Merged into the survivor before.
            Some(id) if id == kept => {}
            Some(id) if gone.contains(&id) => {}
            Some(id) => gone.push(id),
        }
    }
    if !gone.is_empty() {
        let all: Vec<&Row> = [kept].iter().chain(&gone).filter_map(|id| rows.get(id)).collect();
        let first = |of: fn(&Row) -> Option<&String>| all.iter().find_map(|row| of(row)).cloned();
        sqlx::query!(
            "UPDATE customers SET email = $3, phone = $4, document = $5, notes = $6, updated_at = $7
             WHERE tenant_id = $1 AND id = $2",
            tenant.0,
            kept,
            first(|row| row.email.as_ref()),
            first(|row| row.phone.as_ref()),
            first(|row| row.document.as_ref()),
            notes_of(&all),
            now.to_utc()
        )
        .execute(work.tx())
        .await?;
        redirect(work, kept, &gone).await?;
    }
    let kept = customers::read(work.tx(), tenant, CustomerId(kept)).await?;
    Ok(kept.ok_or(MergeFault::UnknownSurvivor))
}

fn notes_of(rows: &[&Row]) -> Option<String> {
    let notes: Vec<&str> = rows.iter().filter_map(|row| row.notes.as_deref()).collect();
    let mut notes = notes.join("\n\n");
    if let Some((end, _)) = notes.char_indices().nth(NOTES_CHARS_MAX) {
        notes.truncate(end);
    }
    (!notes.is_empty()).then_some(notes)
}

/// Leaves the redirects, and moves what names the duplicates.
async fn redirect(work: &mut Work, kept: Uuid, gone: &[Uuid]) -> Result<()> {
    let (tenant, now) = (work.tenant, work.now);
    // Whoever was merged into a duplicate follows, so that no redirect leads to another one.
    sqlx::query!(
        "UPDATE customers SET merged_into = $2, merged_at = COALESCE(merged_at, $4), updated_at = $4
         WHERE tenant_id = $1 AND (id = ANY ($3) OR merged_into = ANY ($3))",
        tenant.0,
        kept,
        gone,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    sqlx::query!(
        "UPDATE calls SET customer_id = $2
         WHERE tenant_id = $1 AND NOT open AND customer_id IN (SELECT id FROM customers WHERE tenant_id = $1 AND merged_into = $2)",
        tenant.0,
        kept
    )
    .execute(work.tx())
    .await?;
    // In the order in which whoever changes an appointment locks them.
    sqlx::query!(
        "UPDATE appointments SET customer_id = $2, updated_at = $4 WHERE tenant_id = $1 AND customer_id = ANY ($3)",
        tenant.0,
        kept,
        gone,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    sqlx::query!(
        "UPDATE access_links SET customer_id = $2 WHERE tenant_id = $1 AND customer_id = ANY ($3)",
        tenant.0,
        kept,
        gone
    )
    .execute(work.tx())
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_put_together_and_bounded() {
        let row = |notes: Option<String>| Row {
            id: Uuid::nil(),
            merged_into: None,
            email: None,
            phone: None,
            document: None,
            notes,
        };
        let (one, none, long) = (row(Some("one".into())), row(None), row(Some("é".repeat(NOTES_CHARS_MAX))));
        assert_eq!(notes_of(&[&none]), None);
        assert_eq!(notes_of(&[&one, &none, &one]).as_deref(), Some("one\n\none"));
        let both = notes_of(&[&one, &long]).unwrap_or_default();
        assert_eq!(both.chars().count(), NOTES_CHARS_MAX);
    }
}
