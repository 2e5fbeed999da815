//! Owns the rows of customers as staff see and edit them, and finding the customer who joins. Rows also come with the joins
//! that bring somebody new (`record`). Merging and erasing are `customer_merges` and `customer_erasure`.
//!
//! A customer who was merged keeps a row that names the survivor. Such rows are in no list; their ids answer with the
//! survivor.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use super::name_search::push_name_like;
use super::page::{SortKey, contains_pattern, push_page};
use super::{Page, Paged, Result, Sort, Store, Work, lists};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CustomerId, TenantId};
use crate::domain::words::words;

/// Fewest digits of a search that are looked for in telephones however those are written; fewer would find almost all.
const SEARCH_DIGITS_MIN: usize = 4;

/// What two customers who may be one person share: columns with an index each.
const DUPLICATE_KEYS: [&str; 3] = ["lookup_email", "lookup_phone", "lookup_document"];

/// A customer: serialises as Voki's object.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Customer {
    pub id: CustomerId,
    pub name: String,
    pub email: Option<String>,
    pub phone: Option<String>,
    /// CPF or CNPJ, as typed.
    pub document: Option<String>,
    pub notes: Option<String>,
    /// Calls of every kind, open ones included, and those of everybody who was merged into him.
    pub call_count: i64,
    /// When the latest of them was started; when it was joined, if it never was.
    pub last_call_at: Option<Timestamp>,
    pub inserted_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What a new customer is made of.
#[derive(Clone, Debug)]
pub struct NewCustomer {
    pub id: CustomerId,
    pub name: String,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub document: Option<String>,
    pub notes: Option<String>,
}

/// What changes; `None` stays as it is, `Some(None)` is emptied.
#[derive(Clone, Debug, Default)]
pub struct CustomerChange {
    pub name: Option<String>,
    pub email: Option<Option<String>>,
    pub phone: Option<Option<String>>,
    pub document: Option<Option<String>>,
    pub notes: Option<Option<String>>,
}

/// Which customers a list shows.
#[derive(Clone, Debug, Default)]
pub struct CustomerFilter {
    /// Part of a name, an address or a telephone.
    pub search: Option<String>,
    /// Others who share a document, an address or a telephone with this one.
    pub duplicates_of: Option<CustomerId>,
}

words! {
    /// What customers may be sorted by.
    CustomerSort {
        Name = "name",
        Email = "email",
        InsertedAt = "inserted_at",
    }
}

#[derive(sqlx::FromRow)]
struct CustomerRow {
    id: Uuid,
    name: String,
    email: Option<String>,
    phone: Option<String>,
    document: Option<String>,
    notes: Option<String>,
    inserted_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// How often somebody called, and when he did last.
#[derive(Clone, Copy, Default)]
struct Figures {
    calls: i64,
    last: Option<DateTime<Utc>>,
}

impl CustomerRow {
    fn with(self, figures: Figures) -> Customer {
        Customer {
            id: CustomerId(self.id),
            name: self.name,
            email: self.email,
            phone: self.phone,
            document: self.document,
            notes: self.notes,
            call_count: figures.calls,
            last_call_at: figures.last.map(Timestamp::from),
            inserted_at: self.inserted_at.into(),
            updated_at: self.updated_at.into(),
        }
    }
}

/// One page of customers.
pub async fn list(
    store: &Store,
    tenant: TenantId,
    filter: &CustomerFilter,
    sort: Sort<CustomerSort>,
    page: Page,
) -> Result<Paged<Customer>> {
    let order = match sort.field {
        CustomerSort::Name => SortKey::Filled("lower(k.name) COLLATE vez_names"),
        CustomerSort::Email => SortKey::Nullable("lower(k.email)"),
        CustomerSort::InsertedAt => SortKey::Filled("k.inserted_at"),
    };
    let mut count = QueryBuilder::new("SELECT count(*)");
    narrow(&mut count, tenant, filter);
    let mut query =
        QueryBuilder::new("SELECT k.id, k.name, k.email, k.phone, k.document, k.notes, k.inserted_at, k.updated_at");
    narrow(&mut query, tenant, filter);
    push_page(&mut query, order, sort.order, "k.id", page);
    let rows = lists::read::<CustomerRow>(store, tenant, page, count, query).await?;
    let ids: Vec<Uuid> = rows.items.iter().map(|row| row.id).collect();
    let mut tx = store.tenant_tx(tenant).await?;
    let figures = figures(&mut tx, tenant, &ids).await?;
    Ok(rows.map(|row| {
        let own = figures.get(&row.id).copied().unwrap_or_default();
        row.with(own)
    }))
}

fn narrow(query: &mut QueryBuilder<Postgres>, tenant: TenantId, filter: &CustomerFilter) {
    query.push(" FROM customers k WHERE k.merged_into IS NULL AND k.tenant_id = ").push_bind(tenant.0);
    if let Some(search) = &filter.search {
        let pattern = contains_pattern(search);
        query.push(" AND (");
        push_name_like(query, "k.name", search);
        query.push(" OR k.email ILIKE ").push_bind(pattern.clone());
        query.push(" OR k.phone ILIKE ").push_bind(pattern);
        if let Some(digits) = telephone_digits(search) {
            query.push(" OR k.lookup_phone LIKE ").push_bind(contains_pattern(&digits));
        }
        query.push(")");
    }
    if let Some(customer) = filter.duplicates_of {
        // His own keys first, then each on its own index.
        query.push(" AND k.id <> ").push_bind(customer.0);
        query.push(
            " AND k.id IN (WITH own AS MATERIALIZED (SELECT lookup_email, lookup_phone, lookup_document FROM customers \
             WHERE tenant_id = ",
        );
        query.push_bind(tenant.0).push(" AND (id = ").push_bind(customer.0);
        query.push(" OR merged_into = ").push_bind(customer.0).push("))");
        for (union, key) in ["", " UNION", " UNION"].into_iter().zip(DUPLICATE_KEYS) {
            query.push(union).push(" SELECT same.id FROM own JOIN customers same ON same.").push(key);
            query.push(" = own.").push(key).push(" AND same.tenant_id = ").push_bind(tenant.0);
        }
        query.push(")");
    }
}

/// The digits of a search that reads like a telephone.
fn telephone_digits(search: &str) -> Option<String> {
    let digits: String = search.chars().filter(char::is_ascii_digit).collect();
    let punctuated = search.chars().all(|c| c.is_ascii_digit() || " +-()./".contains(c));
    (punctuated && digits.len() >= SEARCH_DIGITS_MIN).then_some(digits)
}

/// Counted from the calls themselves, whose index holds what is asked. The rows of open calls may still name somebody who
/// was merged, so merged ids are counted for their survivor. Who has no calls yields nulls, which would be the latest of all.
async fn figures(connection: &mut PgConnection, tenant: TenantId, ids: &[Uuid]) -> Result<HashMap<Uuid, Figures>> {
    let rows = sqlx::query!(
        r#"WITH known AS (
               SELECT given.id AS survivor, given.id FROM unnest($2::uuid[]) AS given (id)
               UNION ALL
               SELECT k.merged_into, k.id FROM customers k WHERE k.tenant_id = $1 AND k.merged_into = ANY ($2)
           )
           SELECT known.survivor AS "id!", sum(counted.calls)::bigint AS "calls!",
                  (max(ARRAY[latest.joined, latest.at]) FILTER (WHERE latest.joined IS NOT NULL))[2] AS last
           FROM known
           CROSS JOIN LATERAL (
               SELECT count(*) AS calls FROM calls c WHERE c.tenant_id = $1 AND c.customer_id = known.id
           ) AS counted
           LEFT JOIN LATERAL (
               SELECT c.inserted_at AS joined, COALESCE(c.started_at, c.inserted_at) AS at FROM calls c
               WHERE c.tenant_id = $1 AND c.customer_id = known.id ORDER BY c.inserted_at DESC LIMIT 1
           ) AS latest ON true
           GROUP BY known.survivor"#,
        tenant.0,
        ids
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, Figures { calls: row.calls, last: row.last })).collect())
}

/// Narrows a query, after a column of customers' ids, to this one, whoever he was merged into, and everybody merged into that
/// one: the calls and appointments that are open may still name the former.
pub(super) fn push_is(query: &mut QueryBuilder<Postgres>, tenant: TenantId, customer: CustomerId) {
    query.push(
        " = ANY (ARRAY(WITH survivor AS (SELECT COALESCE(merged_into, id) AS id FROM customers WHERE tenant_id = ",
    );
    query.push_bind(tenant.0).push(" AND id = ").push_bind(customer.0);
    query.push(
        ") SELECT id FROM survivor UNION ALL SELECT k.id FROM survivor JOIN customers k ON k.merged_into = survivor.id",
    );
    query.push(" WHERE k.tenant_id = ").push_bind(tenant.0).push("))");
}

/// The customer with this id, or whoever he was merged into.
pub async fn find(store: &Store, tenant: TenantId, customer: CustomerId) -> Result<Option<Customer>> {
    let mut tx = store.tenant_tx(tenant).await?;
    read(&mut tx, tenant, customer).await
}

/// As `find`, within a change.
pub async fn find_in(work: &mut Work, customer: CustomerId) -> Result<Option<Customer>> {
    let tenant = work.tenant;
    read(work.tx(), tenant, customer).await
}

pub(super) async fn read(
    connection: &mut PgConnection,
    tenant: TenantId,
    customer: CustomerId,
) -> Result<Option<Customer>> {
    let row = sqlx::query_as!(
        CustomerRow,
        "SELECT k.id, k.name, k.email, k.phone, k.document, k.notes, k.inserted_at, k.updated_at
         FROM customers asked
         JOIN customers k ON k.tenant_id = asked.tenant_id AND k.id = COALESCE(asked.merged_into, asked.id)
         WHERE asked.tenant_id = $1 AND asked.id = $2",
        tenant.0,
        customer.0
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let figures = figures(connection, tenant, &[row.id]).await?;
    let own = figures.get(&row.id).copied().unwrap_or_default();
    Ok(Some(row.with(own)))
}

/// Makes a customer.
pub async fn create(work: &mut Work, new: NewCustomer) -> Result<Customer> {
    let now = work.now.to_utc();
    let row = sqlx::query_as!(
        CustomerRow,
        "INSERT INTO customers (tenant_id, id, name, email, phone, document, notes, inserted_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
         RETURNING id, name, email, phone, document, notes, inserted_at, updated_at",
        work.tenant.0,
        new.id.0,
        new.name,
        new.email,
        new.phone,
        new.document,
        new.notes,
        now
    )
    .fetch_one(work.tx())
    .await?;
    Ok(row.with(Figures::default()))
}

/// Changes a customer, or whoever he was merged into; as he is then, `None` when there is none.
pub async fn update(work: &mut Work, customer: CustomerId, change: CustomerChange) -> Result<Option<Customer>> {
    let (tenant, now) = (work.tenant, work.now);
    sqlx::query!(
        "UPDATE customers SET name = COALESCE($3, name),
             email = CASE WHEN $4 THEN $5 ELSE email END, phone = CASE WHEN $6 THEN $7 ELSE phone END,
             document = CASE WHEN $8 THEN $9 ELSE document END, notes = CASE WHEN $10 THEN $11 ELSE notes END,
             updated_at = $12
         WHERE tenant_id = $1
           AND id = (SELECT COALESCE(asked.merged_into, asked.id) FROM customers asked
                     WHERE asked.tenant_id = $1 AND asked.id = $2)",
        tenant.0,
        customer.0,
        change.name,
        change.email.is_some(),
        change.email.flatten(),
        change.phone.is_some(),
        change.phone.flatten(),
        change.document.is_some(),
        change.document.flatten(),
        change.notes.is_some(),
        change.notes.flatten(),
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    read(work.tx(), tenant, customer).await
}

/// The customer who called before with this address (whatever its case) or, failing that, this telephone (by its digits).
/// Of several, the one known longest; of somebody who was merged, the survivor.
pub async fn match_contact(
    store: &Store,
    tenant: TenantId,
    email: Option<&str>,
    phone: Option<&str>,
) -> Result<Option<CustomerId>> {
    if email.is_none() && phone.is_none() {
        return Ok(None);
    }
    let mut tx = store.tenant_tx(tenant).await?;
    // Two branches, each on its own index.
    let id = sqlx::query_scalar!(
        "SELECT id AS \"id!\" FROM (
             SELECT COALESCE(merged_into, id) AS id, inserted_at, 1 AS kind FROM customers
             WHERE tenant_id = $1 AND lookup_email = lower($2)
             UNION ALL
             SELECT COALESCE(merged_into, id), inserted_at, 2 FROM customers
             WHERE tenant_id = $1 AND lookup_phone = regexp_replace($3, '\\D', '', 'g')
         ) AS found ORDER BY kind, inserted_at, id LIMIT 1",
        tenant.0,
        email,
        phone
    )
    .fetch_optional(&mut *tx)
    .await?;
    Ok(id.map(CustomerId))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_that_reads_like_a_telephone_is_compared_by_its_digits() {
        assert_eq!(telephone_digits("+55 (11) 99999-8888").as_deref(), Some("5511999998888"));
        assert_eq!(telephone_digits("Maria 2020"), None);
        assert_eq!(telephone_digits("11-9"), None);
    }
}
