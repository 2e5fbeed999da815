//! Owns which call carries which tags. Those of a link come with the join, in the database (migration 0008).

use uuid::Uuid;

use super::tags::{Tag, TagRow};
use super::{Result, Store, Work};
use crate::domain::ids::{CallId, TagId, TenantId};

/// Most tags of one call.
pub const CALL_TAGS_MAX: usize = 50;

/// What came of giving a call tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tagged {
    /// How many it did not carry before.
    Added(u64),
    /// At least one of the tags is not there.
    UnknownTag,
    /// It would carry more than [`CALL_TAGS_MAX`].
    TooMany,
}

/// The tags of a call, by name.
pub async fn list(store: &Store, tenant: TenantId, call: CallId) -> Result<Vec<Tag>> {
    let mut tx = store.tenant_tx(tenant).await?;
    read(&mut tx, tenant, call).await
}

/// As [`list`], within a work.
pub async fn list_in(work: &mut Work, call: CallId) -> Result<Vec<Tag>> {
    let tenant = work.tenant;
    read(work.tx(), tenant, call).await
}

async fn read(connection: &mut sqlx::PgConnection, tenant: TenantId, call: CallId) -> Result<Vec<Tag>> {
    let rows = sqlx::query_as!(
        TagRow,
        r#"SELECT t.id, t.name, t.color, t.parent_id, t.inserted_at,
                  (SELECT COALESCE(sum(u.uses), 0)::bigint FROM tag_uses u WHERE u.tenant_id = $1 AND u.tag_id = t.id) AS "usage_count!"
           FROM call_tags c JOIN tags t ON t.tenant_id = c.tenant_id AND t.id = c.tag_id
           WHERE c.tenant_id = $1 AND c.call_id = $2 ORDER BY lower(t.name) COLLATE vez_names, t.id"#,
        tenant.0,
        call.0
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(Tag::from).collect())
}

/// Gives a call, which must be there, tags; those it carries already stay.
pub async fn add(work: &mut Work, call: CallId, tags: &[TagId]) -> Result<Tagged> {
    let (tenant, now) = (work.tenant, work.now);
    let mut wanted: Vec<Uuid> = tags.iter().map(|id| id.0).collect();
    wanted.sort_unstable();
    wanted.dedup();
    // Kept from being deleted meanwhile.
    let known = sqlx::query_scalar!(
        "SELECT id FROM tags WHERE tenant_id = $1 AND id = ANY ($2) ORDER BY id FOR KEY SHARE",
        tenant.0,
        &wanted
    )
    .fetch_all(work.tx())
    .await?;
    if known.len() < wanted.len() {
        return Ok(Tagged::UnknownTag);
    }
    let done = sqlx::query!(
        "INSERT INTO call_tags (tenant_id, call_id, tag_id, inserted_at)
         SELECT $1, $2, id, $4 FROM unnest($3::uuid[]) AS wanted (id) ON CONFLICT DO NOTHING",
        tenant.0,
        call.0,
        &wanted,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    let count = sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\" FROM call_tags c JOIN tags t ON t.tenant_id = c.tenant_id AND t.id = c.tag_id
         WHERE c.tenant_id = $1 AND c.call_id = $2",
        tenant.0,
        call.0
    )
    .fetch_one(work.tx())
    .await?;
    if usize::try_from(count).is_ok_and(|count| count > CALL_TAGS_MAX) {
        return Ok(Tagged::TooMany);
    }
    Ok(Tagged::Added(done.rows_affected()))
}

/// Takes a tag from a call; false when it did not carry it.
pub async fn remove(work: &mut Work, call: CallId, tag: TagId) -> Result<bool> {
    let tenant = work.tenant;
    let done = sqlx::query!(
        "DELETE FROM call_tags WHERE tenant_id = $1 AND call_id = $2 AND tag_id = $3",
        tenant.0,
        call.0,
        tag.0
    )
    .execute(work.tx())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The custom fields a call got of its link; none is empty.
pub async fn fields(store: &Store, tenant: TenantId, call: CallId) -> Result<super::links::CustomFields> {
    let mut tx = store.tenant_tx(tenant).await?;
    let fields = sqlx::query_scalar!(
        "SELECT fields AS \"fields: sqlx::types::Json<super::links::CustomFields>\" FROM call_fields
         WHERE tenant_id = $1 AND call_id = $2",
        tenant.0,
        call.0
    )
    .fetch_optional(&mut *tx)
    .await?;
    Ok(fields.map(|fields| fields.0).unwrap_or_default())
}
