//! Owns the reading of one page of calls that are over, with everything that is told of them in Evolux's history. Its words
//! and shape are the route's.
//!
//! Calls are found in two steps: the page by `calls` alone, then the names of its few rows. They are counted only when the
//! page itself does not say how many there are.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use super::Reports;
use crate::domain::call::EndReason;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, TenantId};
use crate::domain::words::words;
use crate::store::{Result, StoreError};

/// The country whose numbers clients leave the code out of.
const BRAZIL: &str = "55";

words! {
    /// Which calls: those that were answered, the others that are over, or both.
    Contact {
        Success = "success",
        Both = "both",
        Error = "error",
    }
}

/// Which calls a page is of.
#[derive(Clone, Debug)]
pub struct HistoryFilter {
    /// Joined at or after.
    pub from: Timestamp,
    /// Joined before.
    pub to: Timestamp,
    pub contact: Contact,
    /// By the numbers of agents; empty: of any.
    pub agents: Vec<i64>,
    /// By the numbers of departments; empty: of any. Custom fields are read only where one is named.
    pub departments: Vec<i64>,
    /// The digits of the customer's telephone, with Brazil's code or without.
    pub phone: Option<String>,
    /// The digits and letters, in upper case, of the customer's document.
    pub document: Option<String>,
}

/// One page and how many there are on all pages.
#[derive(Clone, Debug)]
pub struct HistoryPage {
    pub calls: Vec<PastCall>,
    pub total: u64,
}

/// Somebody or something with a number and a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    pub number: i64,
    pub name: String,
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ender {
    Customer,
    Staff,
    /// A deadline, or a fault.
    System,
    /// It was ended by hand, and the fact that tells by whose is kept no longer.
    Unknown,
}

/// A call that is over.
#[derive(Clone, Debug)]
pub struct PastCall {
    pub id: CallId,
    pub number: i64,
    pub joined_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Timestamp,
    /// Whole seconds from the start to the end; 0 of a call that was not answered.
    pub talk_seconds: i64,
    /// Whole seconds of its agent after it.
    pub wrap_up_seconds: i64,
    pub end_reason: EndReason,
    pub ended_by: Ender,
    pub department: Option<Numbered>,
    pub agent: Option<Numbered>,
    pub customer_name: String,
    pub customer_phone: Option<String>,
    pub customer_document: Option<String>,
    pub rating: Option<i16>,
    /// What staff call the link it came through.
    pub link_name: Option<String>,
    /// The names of its tags, in order.
    pub tags: Option<String>,
    /// The names of the tags above them, in order.
    pub parent_tags: Option<String>,
    pub custom_fields: BTreeMap<String, String>,
    pub recorded: bool,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    number: i64,
    inserted_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    completed_at: DateTime<Utc>,
    wrap_up_ends_at: Option<DateTime<Utc>>,
    end_reason: Option<String>,
    /// Of an end by hand: whether the fact is there, and the member of staff it names.
    end_known: bool,
    ended_by: Option<Uuid>,
    department_number: Option<i64>,
    department_name: Option<String>,
    agent_number: Option<i64>,
    agent_name: Option<String>,
    customer_name: String,
    customer_phone: Option<String>,
    document: Option<String>,
    rating: Option<i16>,
    link_name: Option<String>,
    tags: Option<String>,
    parent_tags: Option<String>,
    fields: Option<Json<BTreeMap<String, String>>>,
    recorded: bool,
}

impl TryFrom<Row> for PastCall {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let corrupt = || StoreError::Corrupt { table: "calls", column: "end_reason", row: row.id.to_string() };
        let end_reason = match row.end_reason.as_deref() {
            Some(word) => EndReason::parse(word).ok_or_else(corrupt)?,
            None => EndReason::Completed,
        };
        let numbered = |number: Option<i64>, name| number.zip(name).map(|(number, name)| Numbered { number, name });
        let started_at = row.started_at.map(Timestamp::from);
        let ended_at = Timestamp::from(row.completed_at);
        Ok(Self {
            id: CallId(row.id),
            number: row.number,
            joined_at: row.inserted_at.into(),
            started_at,
            ended_at,
            talk_seconds: started_at.map_or(0, |start| ended_at.seconds_since(start)),
            wrap_up_seconds: row.wrap_up_ends_at.map_or(0, |end| Timestamp::from(end).seconds_since(ended_at)),
            end_reason,
            ended_by: ender(end_reason, row.end_known, row.ended_by.is_some()),
            department: numbered(row.department_number, row.department_name),
            agent: numbered(row.agent_number, row.agent_name),
            customer_name: row.customer_name,
            customer_phone: row.customer_phone,
            customer_document: row.document,
            rating: row.rating,
            link_name: row.link_name,
            tags: row.tags,
            parent_tags: row.parent_tags,
            custom_fields: row.fields.map(|Json(fields)| fields).unwrap_or_default(),
            recorded: row.recorded,
        })
    }
}

/// Who ended a call for this reason; a completed one names the member of staff, or nobody when the customer hung up.
fn ender(reason: EndReason, known: bool, by_staff: bool) -> Ender {
    match reason {
        EndReason::Completed if by_staff => Ender::Staff,
        EndReason::Completed if known => Ender::Customer,
        EndReason::Completed => Ender::Unknown,
        EndReason::Left | EndReason::Abandoned | EndReason::NeverConnected | EndReason::CustomerLost => Ender::Customer,
        EndReason::AgentLost | EndReason::Withdrawn | EndReason::LinkCancelled => Ender::Staff,
        EndReason::TimedOut | EndReason::SystemError => Ender::System,
    }
}

/// Page `page` (from 1) of `limit` calls, newest first.
pub async fn page(
    reports: &Reports,
    tenant: TenantId,
    filter: &HistoryFilter,
    page: u32,
    limit: u32,
) -> Result<HistoryPage> {
    let mut tx = reports.read(tenant).await?;
    let offset = i64::from(page.max(1) - 1) * i64::from(limit);
    let rows = rows(&mut tx, tenant, filter, i64::from(limit), offset).await?;
    let here = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let total = if here < i64::from(limit) && (here > 0 || offset == 0) {
        offset + here
    } else {
        let mut count = QueryBuilder::new("SELECT count(*) FROM calls c");
        narrow(&mut count, tenant, filter);
        count.build_query_scalar().fetch_one(&mut *tx).await?
    };
    let calls = rows.into_iter().map(PastCall::try_from).collect::<Result<_>>()?;
    Ok(HistoryPage { calls, total: total.unsigned_abs() })
}

async fn rows(
    connection: &mut PgConnection,
    tenant: TenantId,
    filter: &HistoryFilter,
    limit: i64,
    offset: i64,
) -> Result<Vec<Row>> {
    let mut query = QueryBuilder::new(
        "WITH page AS MATERIALIZED (
             SELECT c.tenant_id, c.id, c.number, c.department_id, c.user_id, c.link_id, c.customer_id, c.customer_name,
                    c.customer_phone, c.inserted_at, c.started_at, c.completed_at, c.wrap_up_ends_at, c.end_reason, c.rating
             FROM calls c",
    );
    narrow(&mut query, tenant, filter);
    query.push(" ORDER BY c.inserted_at DESC, c.number DESC LIMIT ").push_bind(limit);
    query.push(" OFFSET ").push_bind(offset);
    query.push(
        ") SELECT p.id, p.number, p.inserted_at, p.started_at, p.completed_at, p.wrap_up_ends_at, p.end_reason, p.customer_name,
                  p.customer_phone, p.rating, d.number AS department_number, d.name AS department_name,
                  u.number AS agent_number, u.name AS agent_name, k.document, l.name AS link_name,
                  e.call_id IS NOT NULL AS end_known, e.user_id AS ended_by, r.id IS NOT NULL AS recorded, f.fields,
                  g.tags, g.parent_tags
           FROM page p
           LEFT JOIN departments d ON d.tenant_id = p.tenant_id AND d.id = p.department_id
           LEFT JOIN users u ON u.tenant_id = p.tenant_id AND u.id = p.user_id
           LEFT JOIN customers k ON k.tenant_id = p.tenant_id AND k.id = p.customer_id
           LEFT JOIN access_links l ON l.tenant_id = p.tenant_id AND l.id = p.link_id
           LEFT JOIN recordings r ON r.tenant_id = p.tenant_id AND r.call_id = p.id
           LEFT JOIN call_fields f ON f.tenant_id = p.tenant_id AND f.call_id = p.id AND ",
    );
    query.push_bind(!filter.departments.is_empty());
    query.push(
        " LEFT JOIN LATERAL (
              SELECT e.call_id, e.user_id FROM events e
              WHERE e.tenant_id = p.tenant_id AND e.call_id = p.id AND e.kind = 'call_ended' AND p.end_reason = 'completed'
              LIMIT 1
          ) e ON true
          LEFT JOIN LATERAL (
              SELECT string_agg(t.name, ', ' ORDER BY t.name) AS tags,
                     string_agg(DISTINCT o.name, ', ' ORDER BY o.name) AS parent_tags
              FROM call_tags ct
              JOIN tags t ON t.tenant_id = ct.tenant_id AND t.id = ct.tag_id
              LEFT JOIN tags o ON o.tenant_id = t.tenant_id AND o.id = t.parent_id
              WHERE ct.tenant_id = p.tenant_id AND ct.call_id = p.id
          ) g ON true
          ORDER BY p.inserted_at DESC, p.number DESC",
    );
    Ok(query.build_query_as().fetch_all(connection).await?)
}

/// The digits of one telephone with Brazil's code and without it: Evolux's clients ask by area code and number, and whoever
/// joins may type either.
fn spellings(phone: &str) -> Vec<String> {
    let other = match (phone.len(), phone.strip_prefix(BRAZIL)) {
        (10 | 11, _) => Some(format!("{BRAZIL}{phone}")),
        (12 | 13, Some(rest)) => Some(rest.to_owned()),
        _ => None,
    };
    std::iter::once(phone.to_owned()).chain(other).collect()
}

fn narrow(query: &mut QueryBuilder<Postgres>, tenant: TenantId, filter: &HistoryFilter) {
    query.push(" WHERE c.tenant_id = ").push_bind(tenant.0);
    query.push(" AND c.completed_at IS NOT NULL AND c.inserted_at >= ").push_bind(filter.from.to_utc());
    query.push(" AND c.inserted_at < ").push_bind(filter.to.to_utc());
    match filter.contact {
        Contact::Success => query.push(" AND c.started_at IS NOT NULL"),
        Contact::Error => query.push(" AND c.started_at IS NULL"),
        Contact::Both => query,
    };
    // Each list is found once, before the calls are looked at.
    if !filter.agents.is_empty() {
        query.push(" AND c.user_id = ANY (ARRAY(SELECT id FROM users WHERE tenant_id = ").push_bind(tenant.0);
        query.push(" AND number = ANY (").push_bind(filter.agents.clone()).push(")))");
    }
    if !filter.departments.is_empty() {
        query
            .push(" AND c.department_id = ANY (ARRAY(SELECT id FROM departments WHERE tenant_id = ")
            .push_bind(tenant.0);
        query.push(" AND number = ANY (").push_bind(filter.departments.clone()).push(")))");
    }
    if let Some(phone) = &filter.phone {
        query.push(" AND c.lookup_phone = ANY (").push_bind(spellings(phone)).push(")");
    }
    if let Some(document) = &filter.document {
        // Of somebody who was merged, the calls are his survivor's.
        query
            .push(" AND c.customer_id = ANY (ARRAY(SELECT COALESCE(merged_into, id) FROM customers WHERE tenant_id = ");
        query.push_bind(tenant.0).push(" AND lookup_document = ").push_bind(document.clone()).push("))");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brazilian_telephone_is_found_with_its_countrys_code_and_without() {
        assert_eq!(spellings("84999999999"), ["84999999999", "5584999999999"]);
        assert_eq!(spellings("8432221111"), ["8432221111", "558432221111"]);
        assert_eq!(spellings("5584999999999"), ["5584999999999", "84999999999"]);
        assert_eq!(spellings("4915112345678"), ["4915112345678"]);
        assert_eq!(spellings("190"), ["190"]);
    }
}
