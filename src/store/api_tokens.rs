//! Owns personal API tokens: who may act in whose name without logging in. Only their hashes are kept.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Postgres, QueryBuilder};
use utoipa::ToSchema;
use uuid::Uuid;

use super::connect::tenant_by;
use super::page::{SortKey, push_page};
use super::{Page, Paged, Result, Sort, Store, StoreError, Work, lists};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{TenantId, UserId};
use crate::domain::role::Role;
use crate::domain::words::words;

/// Between two notes of a token's use: to the minute is enough to tell a forgotten one.
const USE_NOTED_SECONDS: u64 = 60;

/// A token, without the token itself: that was shown once.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ApiToken {
    pub id: Uuid,
    pub name: String,
    /// What its holder may do at most.
    pub role: Role,
    /// Its first characters, to tell it from others.
    pub hint: String,
    /// In whose name it acts.
    pub user_id: UserId,
    pub user_name: String,
    /// Absent: it is good until it is revoked.
    pub expires_at: Option<Timestamp>,
    /// To the minute.
    pub last_used_at: Option<Timestamp>,
    pub inserted_at: Timestamp,
}

/// What a new token is made of.
#[derive(Clone, Debug)]
pub struct NewApiToken {
    pub id: Uuid,
    pub name: String,
    pub role: Role,
    pub token_hash: String,
    pub hint: String,
    pub user: UserId,
    pub expires_at: Option<Timestamp>,
}

/// Whom a token stands for, as of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHolder {
    pub id: Uuid,
    pub tenant: TenantId,
    pub slug: String,
    pub user: UserId,
    /// The token's.
    pub role: Role,
    pub expires_at: Option<Timestamp>,
}

words! {
    /// What tokens may be sorted by.
    ApiTokenSort {
        Name = "name",
        LastUsedAt = "last_used_at",
        InsertedAt = "inserted_at",
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    role: String,
    hint: String,
    user_id: Uuid,
    user_name: String,
    expires_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
    inserted_at: DateTime<Utc>,
}

impl TryFrom<Row> for ApiToken {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            role: role_of(&row.role, row.id)?,
            id: row.id,
            name: row.name,
            hint: row.hint,
            user_id: UserId(row.user_id),
            user_name: row.user_name,
            expires_at: row.expires_at.map(Timestamp::from),
            last_used_at: row.last_used_at.map(Timestamp::from),
            inserted_at: row.inserted_at.into(),
        })
    }
}

fn role_of(word: &str, id: Uuid) -> Result<Role> {
    word.parse().map_err(|_| StoreError::Corrupt { table: "api_tokens", column: "role", row: id.to_string() })
}

/// Keeps a new token.
pub async fn create(work: &mut Work, new: NewApiToken) -> Result<ApiToken> {
    let (tenant, now) = (work.tenant, work.now);
    let row = sqlx::query_as!(
        Row,
        r#"WITH made AS (
             INSERT INTO api_tokens (tenant_id, id, name, role, token_hash, hint, user_id, expires_at, inserted_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING *)
           SELECT m.id AS "id!", m.name AS "name!", m.role AS "role!", m.hint AS "hint!", m.user_id AS "user_id!",
                  u.name AS user_name, m.expires_at, m.last_used_at, m.inserted_at AS "inserted_at!"
           FROM made m JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.user_id"#,
        tenant.0,
        new.id,
        new.name,
        new.role.as_str(),
        new.token_hash,
        new.hint,
        new.user.0,
        new.expires_at.map(Timestamp::to_utc),
        now.to_utc()
    )
    .fetch_one(work.tx())
    .await?;
    row.try_into()
}

/// One page of the company's tokens.
pub async fn list(store: &Store, tenant: TenantId, sort: Sort<ApiTokenSort>, page: Page) -> Result<Paged<ApiToken>> {
    let mut count = QueryBuilder::new("SELECT count(*) FROM api_tokens WHERE tenant_id = ");
    count.push_bind(tenant.0);
    let mut query = QueryBuilder::<Postgres>::new(
        "SELECT t.id, t.name, t.role, t.hint, t.user_id, u.name AS user_name, t.expires_at, t.last_used_at, t.inserted_at
         FROM api_tokens t JOIN users u ON u.tenant_id = t.tenant_id AND u.id = t.user_id WHERE t.tenant_id = ",
    );
    query.push_bind(tenant.0);
    let field = match sort.field {
        ApiTokenSort::Name => SortKey::Filled("lower(t.name) COLLATE vez_names"),
        ApiTokenSort::LastUsedAt => SortKey::Nullable("t.last_used_at"),
        ApiTokenSort::InsertedAt => SortKey::Filled("t.inserted_at"),
    };
    push_page(&mut query, field, sort.order, "t.id", page);
    lists::read::<Row>(store, tenant, page, count, query).await?.try_map(ApiToken::try_from)
}

/// One token of the company.
pub async fn find(store: &Store, tenant: TenantId, id: Uuid) -> Result<Option<ApiToken>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let row = sqlx::query_as!(
        Row,
        "SELECT t.id, t.name, t.role, t.hint, t.user_id, u.name AS user_name, t.expires_at, t.last_used_at, t.inserted_at
         FROM api_tokens t JOIN users u ON u.tenant_id = t.tenant_id AND u.id = t.user_id
         WHERE t.tenant_id = $1 AND t.id = $2",
        tenant.0,
        id
    )
    .fetch_optional(&mut *tx)
    .await?;
    row.map(ApiToken::try_from).transpose()
}

/// Forgets a token; false when there is none.
pub async fn remove(work: &mut Work, id: Uuid) -> Result<bool> {
    let tenant = work.tenant;
    let done = sqlx::query!("DELETE FROM api_tokens WHERE tenant_id = $1 AND id = $2", tenant.0, id)
        .execute(work.tx())
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Whom the token with this hash stands for, and notes its use. `None` when there is none, it has expired, or the one it
/// acts for is deactivated or may no longer do what it may.
pub async fn holder(store: &Store, token_hash: &str, now: Timestamp) -> Result<Option<TokenHolder>> {
    let tenant =
        tenant_by(sqlx::query_scalar!("SELECT vez_tenant_of_api_token($1)", token_hash).fetch_one(store.app())).await?;
    let Some(tenant) = tenant else { return Ok(None) };
    let mut tx = store.tenant_tx(tenant).await?;
    let row = sqlx::query!(
        "SELECT t.id, t.role, t.user_id, t.expires_at, t.last_used_at, u.role AS user_role, c.slug
         FROM api_tokens t
         JOIN users u ON u.tenant_id = t.tenant_id AND u.id = t.user_id
         JOIN tenants c ON c.id = t.tenant_id
         WHERE t.tenant_id = $1 AND t.token_hash = $2 AND u.active AND (t.expires_at IS NULL OR t.expires_at > $3)",
        tenant.0,
        token_hash,
        now.to_utc()
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let role = role_of(&row.role, row.id)?;
    if role_of(&row.user_role, row.id)? < role {
        return Ok(None);
    }
    let noted = row.last_used_at.map(Timestamp::from);
    if noted.is_none_or(|at| at.plus_seconds(USE_NOTED_SECONDS) <= now) {
        sqlx::query!(
            "UPDATE api_tokens SET last_used_at = $3 WHERE tenant_id = $1 AND id = $2",
            tenant.0,
            row.id,
            now.to_utc()
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
    }
    Ok(Some(TokenHolder {
        id: row.id,
        tenant,
        slug: row.slug,
        user: UserId(row.user_id),
        role,
        expires_at: row.expires_at.map(Timestamp::from),
    }))
}
