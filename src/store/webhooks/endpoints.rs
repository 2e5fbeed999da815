//! Owns the webhooks a company has set up. Secrets are sealed before they come here and opened after they left.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Postgres, QueryBuilder};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Endpoint, Event, Target};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{TenantId, UserId};
use crate::domain::locale::Locale;
use crate::domain::words::words;
use crate::store::page::{SortKey, push_page};
use crate::store::{Page, Paged, Result, Sort, Store, StoreError, Work, lists};

/// Most webhooks of a company: every fact is sent to each.
pub const WEBHOOKS_MAX: u32 = 20;

/// A webhook as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = WebhookSettings)]
pub struct Webhook {
    pub id: Uuid,
    pub url: String,
    pub events: Vec<Event>,
    pub active: bool,
    pub description: Option<String>,
    /// Since when nothing but failures came.
    pub failing_since: Option<Timestamp>,
    /// When it was switched off for its failures.
    pub disabled_at: Option<Timestamp>,
    /// Until when the secret before the present one signs, too.
    pub former_secret_until: Option<Timestamp>,
    pub inserted_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A webhook to be made.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    pub id: Uuid,
    pub url: String,
    pub events: Vec<Event>,
    pub active: bool,
    pub description: Option<String>,
    /// Sealed.
    pub secret: String,
}

/// What is to be changed; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct WebhookChange {
    pub url: Option<String>,
    pub events: Option<Vec<Event>>,
    pub active: Option<bool>,
    pub description: Option<Option<String>>,
    /// Sealed; replaces the present one at once.
    pub secret: Option<String>,
}

words! {
    /// What webhooks may be sorted by.
    #[derive(Default)]
    WebhookSort {
        #[default]
        InsertedAt = "inserted_at",
        Url = "url",
    }
}

/// A webhook that was switched off for its failures, and who is to hear of it.
#[derive(Clone, Debug)]
pub struct Disabled {
    pub url: String,
    pub company: String,
    pub failing_since: Timestamp,
    pub managers: Vec<ManagerContact>,
}

/// How to reach a manager.
#[derive(Clone, Debug)]
pub struct ManagerContact {
    pub user: UserId,
    pub name: String,
    pub email: String,
    pub locale: Locale,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    url: String,
    events: Vec<String>,
    active: bool,
    description: Option<String>,
    failing_since: Option<DateTime<Utc>>,
    disabled_at: Option<DateTime<Utc>>,
    former_secret_until: Option<DateTime<Utc>>,
    inserted_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Webhook {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let corrupt = || StoreError::Corrupt { table: "webhooks", column: "events", row: row.id.to_string() };
        Ok(Self {
            id: row.id,
            events: row.events.iter().map(|word| Event::parse(word).ok_or_else(corrupt)).collect::<Result<_>>()?,
            url: row.url,
            active: row.active,
            description: row.description,
            failing_since: row.failing_since.map(Timestamp::from),
            disabled_at: row.disabled_at.map(Timestamp::from),
            former_secret_until: row.former_secret_until.map(Timestamp::from),
            inserted_at: row.inserted_at.into(),
            updated_at: row.updated_at.into(),
        })
    }
}

fn spelled(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.as_str().to_owned()).collect()
}

/// One page of a company's webhooks.
pub async fn list(store: &Store, tenant: TenantId, sort: Sort<WebhookSort>, page: Page) -> Result<Paged<Webhook>> {
    let order = match sort.field {
        WebhookSort::InsertedAt => SortKey::Filled("inserted_at"),
        WebhookSort::Url => SortKey::Filled("url"),
    };
    let mut count = QueryBuilder::new("SELECT count(*) FROM webhooks WHERE tenant_id = ");
    count.push_bind(tenant.0);
    let mut query: QueryBuilder<Postgres> = QueryBuilder::new(
        "SELECT id, url, events, active, description, failing_since, disabled_at, former_secret_until, inserted_at, \
         updated_at FROM webhooks WHERE tenant_id = ",
    );
    query.push_bind(tenant.0);
    push_page(&mut query, order, sort.order, "id", page);
    lists::read::<Row>(store, tenant, page, count, query).await?.try_map(Webhook::try_from)
}

/// A webhook of the company.
pub async fn find(store: &Store, tenant: TenantId, id: Uuid) -> Result<Option<Webhook>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let row = sqlx::query_as!(
        Row,
        "SELECT id, url, events, active, description, failing_since, disabled_at, former_secret_until, inserted_at,
                updated_at
         FROM webhooks WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        id
    )
    .fetch_optional(&mut *tx)
    .await?;
    row.map(Webhook::try_from).transpose()
}

/// Where a webhook's deliveries go now.
pub async fn target(store: &Store, tenant: TenantId, id: Uuid, now: Timestamp) -> Result<Option<Target>> {
    let mut tx = store.tenant_tx(tenant).await?;
    Ok(sqlx::query_as!(
        Target,
        "SELECT id AS webhook, url, secret, CASE WHEN former_secret_until > $3 THEN former_secret END AS former_secret
         FROM webhooks WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        id,
        now.to_utc()
    )
    .fetch_optional(&mut *tx)
    .await?)
}

/// Makes a webhook; `None` when the company has [`WEBHOOKS_MAX`] already.
pub async fn create(work: &mut Work, new: NewWebhook) -> Result<Option<Webhook>> {
    // Before the commit, so that no change after it goes untold.
    work.bells().webhooks.will_listen(work.tenant);
    let (tenant, now) = (work.tenant.0, work.now.to_utc());
    let row = sqlx::query_as!(
        Row,
        "INSERT INTO webhooks (tenant_id, id, url, events, active, description, secret, inserted_at, updated_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $8
         WHERE (SELECT count(*) FROM webhooks WHERE tenant_id = $1) < $9
         RETURNING id, url, events, active, description, failing_since, disabled_at, former_secret_until, inserted_at,
             updated_at",
        tenant,
        new.id,
        new.url,
        &spelled(&new.events),
        new.active,
        new.description,
        new.secret,
        now,
        i64::from(WEBHOOKS_MAX)
    )
    .fetch_optional(work.tx())
    .await?;
    row.map(Webhook::try_from).transpose()
}

/// Changes a webhook; `None` when there is none. One that is switched on begins anew: its failures are forgotten, and what
/// waits for it is sent.
pub async fn update(work: &mut Work, id: Uuid, change: WebhookChange) -> Result<Option<Webhook>> {
    let (tenant, now) = (work.tenant.0, work.now.to_utc());
    let row = sqlx::query_as!(
        Row,
        "UPDATE webhooks SET
             url = COALESCE($3, url),
             events = COALESCE($4, events),
             failing_since = CASE WHEN $5 AND NOT active THEN NULL ELSE failing_since END,
             disabled_at = CASE WHEN $5 THEN NULL ELSE disabled_at END,
             active = COALESCE($5, active),
             description = CASE WHEN $6 THEN $7 ELSE description END,
             former_secret = CASE WHEN $8::text IS NULL THEN former_secret END,
             former_secret_until = CASE WHEN $8::text IS NULL THEN former_secret_until END,
             secret = COALESCE($8, secret),
             updated_at = $9
         WHERE tenant_id = $1 AND id = $2
         RETURNING id, url, events, active, description, failing_since, disabled_at, former_secret_until, inserted_at,
             updated_at",
        tenant,
        id,
        change.url,
        change.events.map(|events| spelled(&events)) as _,
        change.active,
        change.description.is_some(),
        change.description.flatten(),
        change.secret,
        now
    )
    .fetch_optional(work.tx())
    .await?;
    row.map(Webhook::try_from).transpose()
}

/// Gives a webhook another secret; the one before signs, too, until `former_until`. `None` when there is no such webhook.
pub async fn rotate_secret(
    work: &mut Work,
    id: Uuid,
    secret: String,
    former_until: Timestamp,
) -> Result<Option<Webhook>> {
    let (tenant, now) = (work.tenant.0, work.now.to_utc());
    let row = sqlx::query_as!(
        Row,
        "UPDATE webhooks SET former_secret = secret, former_secret_until = $4, secret = $3, updated_at = $5
         WHERE tenant_id = $1 AND id = $2
         RETURNING id, url, events, active, description, failing_since, disabled_at, former_secret_until, inserted_at,
             updated_at",
        tenant,
        id,
        secret,
        former_until.to_utc(),
        now
    )
    .fetch_optional(work.tx())
    .await?;
    row.map(Webhook::try_from).transpose()
}

/// Deletes a webhook: nothing more is sent to it, and what was is no longer shown; it goes with its retention. False when
/// there is none.
pub async fn remove(work: &mut Work, id: Uuid) -> Result<bool> {
    let tenant = work.tenant.0;
    let done =
        sqlx::query!("DELETE FROM webhooks WHERE tenant_id = $1 AND id = $2", tenant, id).execute(work.tx()).await?;
    Ok(done.rows_affected() > 0)
}

/// Switches a webhook off that has failed without a success since `failing_before` or longer; what to tell, and whom.
/// `None` when it recovered meanwhile, or was off.
pub async fn disable_failing(
    work: &mut Work,
    webhook: Endpoint,
    failing_before: Timestamp,
) -> Result<Option<Disabled>> {
    let (tenant, now) = (work.tenant.0, work.now.to_utc());
    let disabled = sqlx::query!(
        "UPDATE webhooks SET active = false, disabled_at = $4, updated_at = $4
         WHERE tenant_id = $1 AND id = $2 AND active AND failing_since <= $3
         RETURNING url, failing_since AS \"failing_since!\",
             (SELECT name FROM tenants WHERE tenants.id = $1) AS \"company!\"",
        tenant,
        webhook.webhook,
        failing_before.to_utc(),
        now
    )
    .fetch_optional(work.tx())
    .await?;
    let Some(disabled) = disabled else { return Ok(None) };
    let rows = sqlx::query!(
        "SELECT id, name, email, locale FROM users
         WHERE tenant_id = $1 AND active AND role IN ('manager', 'owner') ORDER BY number",
        tenant
    )
    .fetch_all(work.tx())
    .await?;
    let managers = rows
        .into_iter()
        .map(|row| ManagerContact {
            user: UserId(row.id),
            name: row.name,
            email: row.email,
            locale: Locale::closest(&row.locale),
        })
        .collect();
    let failing_since = disabled.failing_since.into();
    Ok(Some(Disabled { url: disabled.url, company: disabled.company, failing_since, managers }))
}
