//! Owns the tree of tags. Which call carries which is `call_tags`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use super::name_search::push_name_like;
use super::page::{SortKey, push_order, push_page};
use super::turns::take_turn;
use super::{Page, Paged, Result, Sort, Store, StoreError, Work, lists};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{TagId, TenantId};
use crate::domain::words::words;

/// Most levels of the tree, roots included: deeper ones nobody finds his way in.
pub const DEPTH_MAX: i64 = 5;
/// Most tags of a company: the tree is answered whole.
pub const TAGS_MAX: i64 = 2_000;

/// Calls or links that one sweep takes a tag from that is gone.
const SWEPT_AT_ONCE: i64 = 2_000;
/// Notes of uses that are summed up at once.
const SUMMED_AT_ONCE: i64 = 10_000;

/// A tag: serialises as Voki's object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Tag {
    pub id: TagId,
    pub name: String,
    /// Red, green and blue: `#3b82f6`.
    pub color: String,
    /// Null of a tag at the top.
    pub parent_id: Option<TagId>,
    /// Calls that carry this very tag; those of tags below it are not counted.
    pub usage_count: i64,
    pub inserted_at: Timestamp,
}

/// A tag with what stands below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TagNode {
    #[serde(flatten)]
    pub tag: Tag,
    /// By name.
    #[schema(no_recursion)]
    pub children: Vec<TagNode>,
}

/// What a new tag is made of.
#[derive(Clone, Debug)]
pub struct NewTag {
    pub id: TagId,
    pub name: String,
    pub color: String,
    pub parent_id: Option<TagId>,
}

/// What changes; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct TagChange {
    pub name: Option<String>,
    pub color: Option<String>,
    /// `Some(None)` puts it at the top.
    pub parent_id: Option<Option<TagId>>,
}

/// Why a tag could not be made, changed or deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagFault {
    UnknownParent,
    /// The new parent is the tag itself or stands below it.
    Cycle,
    /// Below [`DEPTH_MAX`].
    TooDeep,
    /// There are [`TAGS_MAX`] already.
    TooMany,
    /// Another one of the same parent has the name, whatever its case.
    NameTaken,
    HasChildren,
}

/// What came of it.
pub type Outcome<T> = Result<std::result::Result<T, TagFault>>;

words! {
    /// What tags may be sorted by.
    TagSort {
        Name = "name",
        InsertedAt = "inserted_at",
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct TagRow {
    pub id: Uuid,
    pub name: String,
    pub color: String,
    pub parent_id: Option<Uuid>,
    pub usage_count: i64,
    pub inserted_at: DateTime<Utc>,
}

impl From<TagRow> for Tag {
    fn from(row: TagRow) -> Self {
        Self {
            id: TagId(row.id),
            name: row.name,
            color: row.color,
            parent_id: row.parent_id.map(TagId),
            usage_count: row.usage_count,
            inserted_at: row.inserted_at.into(),
        }
    }
}

/// One page of tags, of those whose name contains `search` when there is one.
pub async fn list(
    store: &Store,
    tenant: TenantId,
    search: Option<&str>,
    sort: Sort<TagSort>,
    page: Page,
) -> Result<Paged<Tag>> {
    let narrow = |query: &mut QueryBuilder<Postgres>| {
        query.push(" FROM tags t WHERE t.tenant_id = ").push_bind(tenant.0);
        if let Some(search) = search {
            query.push(" AND ");
            push_name_like(query, "t.name", search);
        }
    };
    let order = match sort.field {
        TagSort::Name => SortKey::Filled("lower(t.name) COLLATE vez_names"),
        TagSort::InsertedAt => SortKey::Filled("t.inserted_at"),
    };
    let mut count = QueryBuilder::new("SELECT count(*)");
    narrow(&mut count);
    // Summed up for the rows of the page alone.
    let mut query = QueryBuilder::new(
        "SELECT t.id, t.name, t.color, t.parent_id, t.inserted_at, (SELECT COALESCE(sum(u.uses), 0)::bigint \
         FROM tag_uses u WHERE u.tenant_id = t.tenant_id AND u.tag_id = t.id) AS usage_count FROM (SELECT t.*",
    );
    narrow(&mut query);
    push_page(&mut query, order, sort.order, "t.id", page);
    query.push(") AS t");
    push_order(&mut query, order, sort.order, "t.id");
    Ok(lists::read::<TagRow>(store, tenant, page, count, query).await?.map(Tag::from))
}

/// The whole tree, by name.
pub async fn tree(store: &Store, tenant: TenantId) -> Result<Vec<TagNode>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let rows = sqlx::query_as!(
        TagRow,
        r#"SELECT t.id, t.name, t.color, t.parent_id, t.inserted_at,
                  (SELECT COALESCE(sum(u.uses), 0)::bigint FROM tag_uses u WHERE u.tenant_id = $1 AND u.tag_id = t.id) AS "usage_count!"
           FROM tags t WHERE t.tenant_id = $1 ORDER BY lower(t.name) COLLATE vez_names, t.id LIMIT $2"#,
        tenant.0,
        TAGS_MAX
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(nested(rows.into_iter().map(Tag::from).collect()))
}

/// Puts each tag below its parent, keeping the order.
fn nested(tags: Vec<Tag>) -> Vec<TagNode> {
    let mut by_parent: BTreeMap<Option<TagId>, Vec<Tag>> = BTreeMap::new();
    for tag in tags {
        by_parent.entry(tag.parent_id).or_default().push(tag);
    }
    below(None, &mut by_parent)
}

/// As deep as the tree, which is bounded.
fn below(parent: Option<TagId>, by_parent: &mut BTreeMap<Option<TagId>, Vec<Tag>>) -> Vec<TagNode> {
    let tags = by_parent.remove(&parent).unwrap_or_default();
    tags.into_iter().map(|tag| TagNode { children: below(Some(tag.id), by_parent), tag }).collect()
}

/// The tag with this id.
pub async fn find(store: &Store, tenant: TenantId, tag: TagId) -> Result<Option<Tag>> {
    let mut tx = store.tenant_tx(tenant).await?;
    read(&mut tx, tenant, tag).await
}

async fn read(connection: &mut PgConnection, tenant: TenantId, tag: TagId) -> Result<Option<Tag>> {
    let row = sqlx::query_as!(
        TagRow,
        r#"SELECT t.id, t.name, t.color, t.parent_id, t.inserted_at,
                  (SELECT COALESCE(sum(u.uses), 0)::bigint FROM tag_uses u WHERE u.tenant_id = $1 AND u.tag_id = t.id) AS "usage_count!"
           FROM tags t WHERE t.tenant_id = $1 AND t.id = $2"#,
        tenant.0,
        tag.0
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(Tag::from))
}

/// How deep a tag stands, from 1, and whether `other` is it or stands above it; a depth of 0 when there is no such tag.
async fn standing(connection: &mut PgConnection, tenant: TenantId, tag: TagId, other: TagId) -> Result<(i64, bool)> {
    let row = sqlx::query!(
        r#"WITH RECURSIVE up AS (
               SELECT id, parent_id FROM tags WHERE tenant_id = $1 AND id = $2
               UNION
               SELECT t.id, t.parent_id FROM up JOIN tags t ON t.tenant_id = $1 AND t.id = up.parent_id
           )
           SELECT count(*) AS "depth!", COALESCE(bool_or(id = $3), false) AS "passes!" FROM up"#,
        tenant.0,
        tag.0,
        other.0
    )
    .fetch_one(connection)
    .await?;
    Ok((row.depth, row.passes))
}

/// How many levels a tag and what stands below it take up.
async fn height(connection: &mut PgConnection, tenant: TenantId, tag: TagId) -> Result<i64> {
    // No deeper than the tree may be, so it ends whatever the rows say.
    let height = sqlx::query_scalar!(
        r#"WITH RECURSIVE down AS (
               SELECT id, 1::bigint AS level FROM tags WHERE tenant_id = $1 AND id = $2
               UNION ALL
               SELECT t.id, down.level + 1 FROM down JOIN tags t ON t.tenant_id = $1 AND t.parent_id = down.id
               WHERE down.level <= $3
           )
           SELECT COALESCE(max(level), 0) AS "height!" FROM down"#,
        tenant.0,
        tag.0,
        DEPTH_MAX
    )
    .fetch_one(connection)
    .await?;
    Ok(height)
}

/// Makes a tag.
pub async fn create(work: &mut Work, new: NewTag) -> Outcome<Tag> {
    let (tenant, now) = (work.tenant, work.now);
    take_turn(work).await?;
    let count = sqlx::query_scalar!("SELECT count(*) AS \"count!\" FROM tags WHERE tenant_id = $1", tenant.0)
        .fetch_one(work.tx())
        .await?;
    if count >= TAGS_MAX {
        return Ok(Err(TagFault::TooMany));
    }
    if let Some(parent) = new.parent_id {
        match standing(work.tx(), tenant, parent, new.id).await?.0 {
            0 => return Ok(Err(TagFault::UnknownParent)),
            depth if depth >= DEPTH_MAX => return Ok(Err(TagFault::TooDeep)),
            _ => {}
        }
    }
    let made = sqlx::query!(
        "INSERT INTO tags (tenant_id, id, name, color, parent_id, inserted_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)",
        tenant.0,
        new.id.0,
        new.name,
        new.color,
        new.parent_id.map(|id| id.0),
        now.to_utc()
    )
    .execute(work.tx())
    .await;
    if let Err(fault) = named(made.map(|_| ()))? {
        return Ok(Err(fault));
    }
    Ok(read(work.tx(), tenant, new.id).await?.ok_or(TagFault::UnknownParent))
}

/// Changes a tag; as it is then, `None` when there is none.
pub async fn update(work: &mut Work, tag: TagId, change: TagChange) -> Outcome<Option<Tag>> {
    let tenant = work.tenant;
    take_turn(work).await?;
    if let Some(Some(parent)) = change.parent_id {
        let (depth, passes) = standing(work.tx(), tenant, parent, tag).await?;
        if depth == 0 {
            return Ok(Err(TagFault::UnknownParent));
        }
        if passes {
            return Ok(Err(TagFault::Cycle));
        }
        if depth + height(work.tx(), tenant, tag).await? > DEPTH_MAX {
            return Ok(Err(TagFault::TooDeep));
        }
    }
    let now = work.now;
    let changed = sqlx::query!(
        "UPDATE tags SET name = COALESCE($3, name), color = COALESCE($4, color),
             parent_id = CASE WHEN $5 THEN $6 ELSE parent_id END, updated_at = $7
         WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        tag.0,
        change.name,
        change.color,
        change.parent_id.is_some(),
        change.parent_id.flatten().map(|id| id.0),
        now.to_utc()
    )
    .execute(work.tx())
    .await;
    if let Err(fault) = named(changed.map(|_| ()))? {
        return Ok(Err(fault));
    }
    Ok(Ok(read(work.tx(), tenant, tag).await?))
}

/// Tells a name that is taken from what else may go wrong.
fn named(result: std::result::Result<(), sqlx::Error>) -> Outcome<()> {
    match result.map_err(StoreError::from) {
        Ok(()) => Ok(Ok(())),
        Err(StoreError::Conflict { constraint }) if constraint == "tags_name_key" => Ok(Err(TagFault::NameTaken)),
        Err(error) => Err(error),
    }
}

/// Deletes a tag without children: no call carries it any more, no link gives it, since whoever reads them looks for the tag.
/// What still names it, perhaps a million calls, is taken by [`sweep`]. False when there is none.
pub async fn delete(work: &mut Work, tag: TagId) -> Outcome<bool> {
    let tenant = work.tenant;
    take_turn(work).await?;
    let has_children = sqlx::query_scalar!(
        "SELECT EXISTS (SELECT FROM tags WHERE tenant_id = $1 AND parent_id = $2) AS \"some!\"",
        tenant.0,
        tag.0
    )
    .fetch_one(work.tx())
    .await?;
    if has_children {
        return Ok(Err(TagFault::HasChildren));
    }
    let done =
        sqlx::query!("DELETE FROM tags WHERE tenant_id = $1 AND id = $2", tenant.0, tag.0).execute(work.tx()).await?;
    if done.rows_affected() == 0 {
        return Ok(Ok(false));
    }
    sqlx::query!("INSERT INTO removed_tags (tenant_id, tag_id) VALUES ($1, $2)", tenant.0, tag.0)
        .execute(work.tx())
        .await?;
    Ok(Ok(true))
}

/// Takes a slice of what still names a tag that is gone; how much was done, and 0 when nothing is left.
pub async fn sweep(store: &Store) -> Result<u64> {
    let gone = sqlx::query!("SELECT tenant_id, tag_id FROM removed_tags ORDER BY tenant_id, tag_id LIMIT 1")
        .fetch_optional(store.system())
        .await?;
    let Some(gone) = gone else { return Ok(0) };
    let (tenant, tag) = (gone.tenant_id, gone.tag_id);
    let calls = sqlx::query!(
        "DELETE FROM call_tags USING (
             SELECT call_id FROM call_tags WHERE tenant_id = $1 AND tag_id = $2 LIMIT $3
         ) AS slice WHERE call_tags.tenant_id = $1 AND call_tags.call_id = slice.call_id AND call_tags.tag_id = $2",
        tenant,
        tag,
        SWEPT_AT_ONCE
    )
    .execute(store.system())
    .await?;
    if calls.rows_affected() > 0 {
        return Ok(calls.rows_affected());
    }
    let links = sqlx::query!(
        "UPDATE access_links AS link SET tag_ids = array_remove(link.tag_ids, $2)
         FROM (
             SELECT id FROM access_links WHERE tenant_id = $1 AND tag_ids <> '{}' AND $2 = ANY (tag_ids) LIMIT $3
         ) AS slice WHERE link.tenant_id = $1 AND link.id = slice.id",
        tenant,
        tag,
        SWEPT_AT_ONCE
    )
    .execute(store.system())
    .await?;
    if links.rows_affected() > 0 {
        return Ok(links.rows_affected());
    }
    let done = sqlx::query!(
        "WITH uses AS (DELETE FROM tag_uses WHERE tenant_id = $1 AND tag_id = $2)
         DELETE FROM removed_tags WHERE tenant_id = $1 AND tag_id = $2",
        tenant,
        tag
    )
    .execute(store.system())
    .await?;
    Ok(done.rows_affected())
}

/// Sums up a slice of what was noted of the uses of tags; how many notes, and 0 when few are left, since more always come.
pub async fn sum_uses(store: &Store) -> Result<u64> {
    let noted = sqlx::query_scalar!(
        "WITH noted AS (
             DELETE FROM tag_uses WHERE ctid = ANY (ARRAY(SELECT ctid FROM tag_uses WHERE NOT is_sum LIMIT $1))
             RETURNING tenant_id, tag_id, uses
         ), summed AS (
             INSERT INTO tag_uses AS stored (tenant_id, tag_id, uses, is_sum)
             SELECT tenant_id, tag_id, sum(uses)::bigint, true FROM noted GROUP BY tenant_id, tag_id
             ON CONFLICT (tenant_id, tag_id) WHERE is_sum DO UPDATE SET uses = stored.uses + excluded.uses
         )
         SELECT count(*) AS \"count!\" FROM noted",
        SUMMED_AT_ONCE
    )
    .fetch_one(store.system())
    .await?;
    Ok(if noted < SUMMED_AT_ONCE { 0 } else { noted.unsigned_abs() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_stand_below_their_parents_in_order() {
        let tag = |id: u128, parent: Option<u128>| Tag {
            id: TagId(Uuid::from_u128(id)),
            name: id.to_string(),
            color: String::new(),
            parent_id: parent.map(|id| TagId(Uuid::from_u128(id))),
            usage_count: 0,
            inserted_at: Timestamp::default(),
        };
        fn told(nodes: &[TagNode]) -> String {
            nodes.iter().map(|node| format!("{}({})", node.tag.name, told(&node.children))).collect()
        }
        let tree = nested(vec![tag(3, Some(2)), tag(1, None), tag(4, Some(1)), tag(2, Some(1)), tag(5, None)]);
        assert_eq!(told(&tree), "1(4()2(3()))5()");
    }
}
