//! Owns taking turns: changes of a company that look at several rows before they write one (merges, the tree of tags) and
//! must not interleave. Such changes are rare, made by staff, and short.

use super::{Result, Work};

/// Waits until no other such change of the company is under way; the turn ends with the work. It holds the company's own
/// row, which calls and their record never touch.
pub(super) async fn take_turn(work: &mut Work) -> Result<()> {
    let tenant = work.tenant;
    sqlx::query_scalar!("SELECT 1 AS \"one!\" FROM tenants WHERE id = $1 FOR NO KEY UPDATE", tenant.0)
        .fetch_optional(work.tx())
        .await?;
    Ok(())
}
