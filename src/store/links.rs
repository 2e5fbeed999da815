//! Owns the rows of access links. Taking one of a link's uses is part of the record (`record`), never done here; giving
//! its calls what it has for them is the database's own doing (migration 0008).

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::types::Json;
use sqlx::{PgConnection, QueryBuilder};
use uuid::Uuid;

use super::connect::tenant_by;
pub use super::link_filter::LinkFilter;
use super::link_filter::narrow;
use super::page::{SortKey, push_order, push_page};
use super::{Page, Paged, Result, Sort, Store, Work, lists};
use crate::domain::call::PRIORITY_MAX;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, CustomerId, DepartmentId, LinkId, TagId, TenantId};
use crate::domain::words::words;

words! {
    /// Voki's link statuses, derived from the row and the time.
    LinkStatus {
        Active = "active",
        Used = "used",
        Expired = "expired",
        Cancelled = "cancelled",
    }
}

/// What a company wants to keep of a visit: names and short texts of its own choosing.
pub type CustomFields = BTreeMap<String, String>;

/// An access link: serialises as Voki's object (less `url`, which only the route knows) and ours after it.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Link {
    pub id: LinkId,
    pub token: String,
    pub status: LinkStatus,
    pub department_id: DepartmentId,
    pub department_name: String,
    /// The link's own, else that of its customer; so are address and telephone.
    pub customer_name: Option<String>,
    pub customer_email: Option<String>,
    pub customer_phone: Option<String>,
    /// Without one the link never expires.
    pub expires_at: Option<Timestamp>,
    /// When the last use was taken that the link allows.
    pub used_at: Option<Timestamp>,
    pub inserted_at: Timestamp,
    /// What staff call it: the page or the partner it stands for.
    pub name: Option<String>,
    /// Whether it may be used once: then whoever comes again comes back to his call.
    pub single_use: bool,
    /// How many calls may be joined through it in all; null: any number.
    pub max_uses: Option<u32>,
    /// How many calls were joined through it. Counted only where `max_uses` bounds it.
    pub use_count: u32,
    /// 0 to 10; calls through this link get it.
    pub priority: u8,
    pub required_skills: Vec<String>,
    /// Who joins through it, whatever contacts he types.
    pub customer_id: Option<CustomerId>,
    /// Calls through this link get these tags.
    pub tag_ids: Vec<TagId>,
    /// Calls through this link keep these.
    pub custom_fields: CustomFields,
    /// The call that used a single-use link up.
    pub call_id: Option<CallId>,
    /// When the appointment is due that is joined by it; read by its token alone.
    #[serde(skip)]
    pub due: Option<Due>,
}

/// The time of an appointment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub at: Timestamp,
    /// Whoever comes later than this has missed it.
    pub until: Timestamp,
}

impl Link {
    /// Since when who joins at `now` counts as waiting, if by an appointment; nobody who missed his.
    pub fn due_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.due.filter(|due| now < due.until).map(|due| due.at)
    }
}

/// What a new link is made of.
#[derive(Clone, Debug)]
pub struct NewLink {
    pub id: LinkId,
    pub name: Option<String>,
    pub token: String,
    pub department_id: DepartmentId,
    pub customer_id: Option<CustomerId>,
    pub customer_name: Option<String>,
    pub customer_email: Option<String>,
    pub customer_phone: Option<String>,
    pub expires_at: Option<Timestamp>,
    /// At least 1; one use makes it a single-use link.
    pub max_uses: Option<u32>,
    pub priority: u8,
    pub required_skills: Vec<String>,
    pub tag_ids: Vec<TagId>,
    pub custom_fields: CustomFields,
}

impl NewLink {
    /// A link for everybody and for ever.
    pub fn new(id: LinkId, token: String, department_id: DepartmentId) -> Self {
        Self {
            id,
            name: None,
            token,
            department_id,
            customer_id: None,
            customer_name: None,
            customer_email: None,
            customer_phone: None,
            expires_at: None,
            max_uses: None,
            priority: 0,
            required_skills: Vec::new(),
            tag_ids: Vec::new(),
            custom_fields: CustomFields::new(),
        }
    }
}

words! {
    /// What links may be sorted by.
    #[derive(Default)]
    LinkSort {
        #[default]
        InsertedAt = "inserted_at",
        ExpiresAt = "expires_at",
        CustomerName = "customer_name",
        UsedAt = "used_at",
    }
}

/// A row of `access_links` as it is read; [`Link`] is what it says at a given time.
#[derive(sqlx::FromRow)]
struct LinkRow {
    id: Uuid,
    name: Option<String>,
    token: String,
    department_id: Uuid,
    department_name: String,
    customer_id: Option<Uuid>,
    customer_name: Option<String>,
    customer_email: Option<String>,
    customer_phone: Option<String>,
    expires_at: Option<DateTime<Utc>>,
    used_at: Option<DateTime<Utc>>,
    cancelled_at: Option<DateTime<Utc>>,
    max_uses: Option<i32>,
    use_count: i32,
    priority: i16,
    required_skills: Vec<String>,
    tag_ids: Vec<Uuid>,
    custom_fields: Option<Json<CustomFields>>,
    call_id: Option<Uuid>,
    inserted_at: DateTime<Utc>,
}

impl LinkRow {
    fn at(self, now: Timestamp) -> Link {
        let expires_at = self.expires_at.map(Timestamp::from);
        let status = if self.cancelled_at.is_some() {
            LinkStatus::Cancelled
        } else if self.used_at.is_some() {
            LinkStatus::Used
        } else if expires_at.is_some_and(|at| at <= now) {
            LinkStatus::Expired
        } else {
            LinkStatus::Active
        };
        Link {
            id: LinkId(self.id),
            name: self.name,
            token: self.token,
            status,
            department_id: DepartmentId(self.department_id),
            department_name: self.department_name,
            customer_id: self.customer_id.map(CustomerId),
            customer_name: self.customer_name,
            customer_email: self.customer_email,
            customer_phone: self.customer_phone,
            expires_at,
            used_at: self.used_at.map(Timestamp::from),
            inserted_at: self.inserted_at.into(),
            single_use: self.max_uses == Some(1),
            // The table holds neither below zero.
            max_uses: self.max_uses.map(i32::unsigned_abs),
            use_count: self.use_count.unsigned_abs(),
            // The table holds 0 to 10 only.
            priority: self.priority.unsigned_abs().min(u16::from(PRIORITY_MAX)) as u8,
            required_skills: self.required_skills,
            tag_ids: self.tag_ids.into_iter().map(TagId).collect(),
            custom_fields: self.custom_fields.map(|Json(fields)| fields).unwrap_or_default(),
            call_id: self.call_id.map(CallId),
            due: None,
        }
    }
}

/// One page of links, with their status at `now`.
pub async fn list(
    store: &Store,
    tenant: TenantId,
    filter: &LinkFilter,
    sort: Sort<LinkSort>,
    page: Page,
    now: Timestamp,
) -> Result<Paged<Link>> {
    let order = match sort.field {
        LinkSort::InsertedAt => SortKey::Filled("l.inserted_at"),
        LinkSort::ExpiresAt => SortKey::Nullable("l.expires_at"),
        LinkSort::CustomerName => SortKey::Nullable("lower(COALESCE(l.customer_name, k.name)) COLLATE vez_names"),
        LinkSort::UsedAt => SortKey::Nullable("l.used_at"),
    };
    let by_customer = sort.field == LinkSort::CustomerName;
    let mut count = QueryBuilder::new("SELECT count(*)");
    narrow(&mut count, tenant, filter, false, now);
    let mut query = QueryBuilder::new(
        "SELECT l.id, l.name, l.token, l.department_id, d.name AS department_name, k.id AS customer_id, \
         COALESCE(l.customer_name, k.name) AS customer_name, COALESCE(l.customer_email, k.email) AS customer_email, \
         COALESCE(l.customer_phone, k.phone) AS customer_phone, l.expires_at, l.used_at, \
         COALESCE(l.cancelled_at, d.deleted_at) AS cancelled_at, l.max_uses, \
         l.use_count, l.priority, l.required_skills, ARRAY(SELECT given.id FROM unnest(l.tag_ids) WITH ORDINALITY \
         AS given (id, place) JOIN tags t ON t.tenant_id = l.tenant_id AND t.id = given.id ORDER BY given.place) AS tag_ids, \
         l.custom_fields, l.call_id, l.inserted_at FROM (SELECT l.*",
    );
    // The page first, the names of its rows after.
    narrow(&mut query, tenant, filter, by_customer, now);
    push_page(&mut query, order, sort.order, "l.id", page);
    query.push(
        ") AS l JOIN departments d ON d.tenant_id = l.tenant_id AND d.id = l.department_id \
         LEFT JOIN customers k ON k.tenant_id = l.tenant_id AND k.id = l.customer_id",
    );
    push_order(&mut query, order, sort.order, "l.id");
    Ok(lists::read::<LinkRow>(store, tenant, page, count, query).await?.map(|row| row.at(now)))
}

/// The link with this id.
pub async fn find(store: &Store, tenant: TenantId, link: LinkId, now: Timestamp) -> Result<Option<Link>> {
    let mut tx = store.tenant_tx(tenant).await?;
    Ok(read(&mut tx, tenant, Wanted::Ids(&[link.0]), now).await?.pop())
}

/// Which links to read.
enum Wanted<'a> {
    Ids(&'a [Uuid]),
    Token(&'a str),
}

async fn read(
    connection: &mut PgConnection,
    tenant: TenantId,
    wanted: Wanted<'_>,
    now: Timestamp,
) -> Result<Vec<Link>> {
    let (ids, token) = match wanted {
        Wanted::Ids(ids) => (Some(ids), None),
        Wanted::Token(token) => (None, Some(token)),
    };
    let rows = sqlx::query_as!(
        LinkRow,
        r#"SELECT l.id, l.name, l.token, l.department_id, d.name AS department_name, k.id AS "customer_id?",
                  COALESCE(l.customer_name, k.name) AS customer_name, COALESCE(l.customer_email, k.email) AS customer_email,
                  COALESCE(l.customer_phone, k.phone) AS customer_phone, l.expires_at, l.used_at,
                  COALESCE(l.cancelled_at, d.deleted_at) AS cancelled_at, l.max_uses,
                  l.use_count, l.priority, l.required_skills,
                  -- A department and tags that are gone are still named by links for a while.
                  ARRAY(SELECT given.id FROM unnest(l.tag_ids) WITH ORDINALITY AS given (id, place)
                        JOIN tags t ON t.tenant_id = l.tenant_id AND t.id = given.id ORDER BY given.place) AS "tag_ids!",
                  l.custom_fields AS "custom_fields: Json<CustomFields>", l.call_id, l.inserted_at
           FROM access_links l JOIN departments d ON d.tenant_id = l.tenant_id AND d.id = l.department_id
           LEFT JOIN customers k ON k.tenant_id = l.tenant_id AND k.id = l.customer_id
           -- A choice between two arrays would go through all links of the company.
           WHERE l.tenant_id = $1 AND l.id IN (SELECT wanted FROM unnest($2::uuid[]) AS wanted UNION ALL
                                               SELECT id FROM access_links WHERE tenant_id = $1 AND token = $3)"#,
        tenant.0,
        ids as _,
        token
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| row.at(now)).collect())
}

/// Which of the things that new links name are not there: the place of the link among `new`, and the field. What is there
/// stays until the work is over.
pub async fn missing(work: &mut Work, new: &[NewLink]) -> Result<Vec<(usize, &'static str)>> {
    let tenant = work.tenant;
    let wanted = |of: fn(&NewLink) -> Vec<Uuid>| -> Vec<Uuid> {
        let mut ids: Vec<Uuid> = new.iter().flat_map(of).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    // Each in the order of its ids, so that nobody waits in a circle.
    let departments = sqlx::query_scalar!(
        "SELECT id FROM departments WHERE tenant_id = $1 AND id = ANY ($2) AND deleted_at IS NULL ORDER BY id FOR KEY SHARE",
        tenant.0,
        &wanted(|link| vec![link.department_id.0])
    )
    .fetch_all(work.tx())
    .await?;
    // Nobody merges them meanwhile: a merge moves the links it finds.
    let customers = sqlx::query_scalar!(
        "SELECT id FROM customers WHERE tenant_id = $1 AND id = ANY ($2) ORDER BY id FOR SHARE",
        tenant.0,
        &wanted(|link| link.customer_id.iter().map(|id| id.0).collect())
    )
    .fetch_all(work.tx())
    .await?;
    let tags = sqlx::query_scalar!(
        "SELECT id FROM tags WHERE tenant_id = $1 AND id = ANY ($2) ORDER BY id FOR KEY SHARE",
        tenant.0,
        &wanted(|link| link.tag_ids.iter().map(|id| id.0).collect())
    )
    .fetch_all(work.tx())
    .await?;
    let mut missing = Vec::new();
    for (place, link) in new.iter().enumerate() {
        if departments.binary_search(&link.department_id.0).is_err() {
            missing.push((place, "department_id"));
        }
        if link.customer_id.is_some_and(|id| customers.binary_search(&id.0).is_err()) {
            missing.push((place, "customer_id"));
        }
        if link.tag_ids.iter().any(|id| tags.binary_search(&id.0).is_err()) {
            missing.push((place, "tag_ids"));
        }
    }
    Ok(missing)
}

/// Makes links, in the order given; what they name must be there ([`missing`]). A customer who was merged is replaced by
/// his survivor. A token that is taken is a `Conflict` of `access_links_token_key`.
pub async fn create(work: &mut Work, new: &[NewLink]) -> Result<Vec<Link>> {
    let (tenant, now) = (work.tenant, work.now);
    let ids: Vec<Uuid> = new.iter().map(|link| link.id.0).collect();
    let column = |of: fn(&NewLink) -> Option<&str>| -> Vec<Option<&str>> { new.iter().map(of).collect() };
    let tag_ids = |link: &NewLink| Json(link.tag_ids.iter().map(|id| id.0).collect::<Vec<_>>());
    sqlx::query!(
        "INSERT INTO access_links (tenant_id, id, token, department_id, customer_id, customer_name, customer_email,
                                   customer_phone, expires_at, max_uses, priority, required_skills, tag_ids, custom_fields,
                                   name, inserted_at)
         SELECT $1, n.id, n.token, n.department_id, COALESCE(k.merged_into, k.id), n.customer_name, n.customer_email,
                n.customer_phone, n.expires_at, n.max_uses, n.priority,
                ARRAY(SELECT jsonb_array_elements_text(n.required_skills)),
                ARRAY(SELECT jsonb_array_elements_text(n.tag_ids)::uuid), n.custom_fields, n.name, $2
         FROM unnest($3::uuid[], $4::text[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[], $10::timestamptz[],
                     $11::integer[], $12::smallint[], $13::jsonb[], $14::jsonb[], $15::jsonb[], $16::text[])
             AS n (id, token, department_id, customer_id, customer_name, customer_email, customer_phone, expires_at,
                   max_uses, priority, required_skills, tag_ids, custom_fields, name)
         LEFT JOIN customers k ON k.tenant_id = $1 AND k.id = n.customer_id",
        tenant.0,
        now.to_utc(),
        &ids,
        &new.iter().map(|link| link.token.clone()).collect::<Vec<_>>(),
        &new.iter().map(|link| link.department_id.0).collect::<Vec<_>>(),
        &new.iter().map(|link| link.customer_id.map(|id| id.0)).collect::<Vec<_>>() as _,
        &column(|link| link.customer_name.as_deref()) as _,
        &column(|link| link.customer_email.as_deref()) as _,
        &column(|link| link.customer_phone.as_deref()) as _,
        &new.iter().map(|link| link.expires_at.map(Timestamp::to_utc)).collect::<Vec<_>>() as _,
        &new.iter().map(|link| link.max_uses.and_then(|uses| i32::try_from(uses).ok())).collect::<Vec<_>>() as _,
        &new.iter().map(|link| i16::from(link.priority)).collect::<Vec<_>>(),
        &new.iter().map(|link| Json(&link.required_skills)).collect::<Vec<_>>() as _,
        &new.iter().map(tag_ids).collect::<Vec<_>>() as _,
        &new.iter().map(|link| (!link.custom_fields.is_empty()).then_some(Json(&link.custom_fields))).collect::<Vec<_>>()
            as _,
        &column(|link| link.name.as_deref()) as _,
    )
    .execute(work.tx())
    .await?;
    let read = read(work.tx(), tenant, Wanted::Ids(&ids), now).await?;
    let mut by_id: HashMap<LinkId, Link> = read.into_iter().map(|link| (link.id, link)).collect();
    Ok(new.iter().filter_map(|link| by_id.remove(&link.id)).collect())
}

/// Cancels a link unless it was used up; the link as it is then, `None` when there is none.
pub async fn cancel(work: &mut Work, link: LinkId) -> Result<Option<Link>> {
    let (tenant, now) = (work.tenant, work.now);
    sqlx::query!(
        "UPDATE access_links SET cancelled_at = $3
         WHERE tenant_id = $1 AND id = $2 AND used_at IS NULL AND cancelled_at IS NULL",
        tenant.0,
        link.0,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    Ok(read(work.tx(), tenant, Wanted::Ids(&[link.0]), now).await?.pop())
}

/// The link with this token, whoever's it is: the one way from a token to its tenant.
pub async fn by_token(store: &Store, token: &str, now: Timestamp) -> Result<Option<(TenantId, Link)>> {
    let tenant = tenant_by(sqlx::query_scalar!("SELECT vez_tenant_of_link($1)", token).fetch_one(store.app())).await?;
    let Some(tenant) = tenant else { return Ok(None) };
    let mut tx = store.tenant_tx(tenant).await?;
    let Some(mut link) = read(&mut tx, tenant, Wanted::Token(token), now).await?.pop() else { return Ok(None) };
    let due = sqlx::query!(
        "SELECT scheduled_at, ends_at FROM appointments
         WHERE tenant_id = $1 AND link_id = $2 AND status IN ('scheduled', 'confirmed')",
        tenant.0,
        link.id.0
    )
    .fetch_optional(&mut *tx)
    .await?;
    link.due = due.map(|row| Due { at: row.scheduled_at.into(), until: row.ends_at.into() });
    Ok(Some((tenant, link)))
}
