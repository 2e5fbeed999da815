//! Owns the lists of calls: which calls one shows, how many there are in all, and a page of them.
//!
//! A company has millions of calls, so how many there are is read from the sums wherever these can say it, and a page is found
//! before the names of its rows are.

use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::calls::CallRow;
use super::name_search::push_name_like;
use super::page::{SortKey, contains_pattern, push_order, push_page};
use super::{Page, Paged, Result, Sort, Store, customers, lists};
use crate::domain::call::{CallView, Phase, Status};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CustomerId, DepartmentId, ProviderId, TagId, TenantId, UserId};
use crate::domain::words::words;

/// Which calls a list shows; what is `None` does not narrow it.
#[derive(Clone, Debug, Default)]
pub struct CallFilter {
    pub status: Option<Status>,
    pub phase: Option<Phase>,
    pub department_id: Option<DepartmentId>,
    /// Only what an attendant may see.
    pub visible_to: Option<Attendant>,
    pub user_id: Option<UserId>,
    pub customer_id: Option<CustomerId>,
    /// Of an agent of this service provider.
    pub provider_id: Option<ProviderId>,
    pub tag_id: Option<TagId>,
    /// Joined at or after.
    pub date_from: Option<Timestamp>,
    /// Joined before.
    pub date_to: Option<Timestamp>,
    /// Part of the customer's name or address.
    pub search: Option<String>,
}

/// Whose eyes a list is for: the calls of his departments and those he took himself.
#[derive(Clone, Debug)]
pub struct Attendant {
    pub user_id: UserId,
    pub department_ids: Vec<DepartmentId>,
}

words! {
    /// What calls may be sorted by.
    #[derive(Default)]
    CallSort {
        #[default]
        InsertedAt = "inserted_at",
        StartedAt = "started_at",
        CompletedAt = "completed_at",
        CustomerName = "customer_name",
        Status = "status",
    }
}

/// One page of calls.
pub async fn list(
    store: &Store,
    tenant: TenantId,
    filter: &CallFilter,
    sort: Sort<CallSort>,
    page: Page,
) -> Result<Paged<CallView>> {
    let order = match sort.field {
        CallSort::InsertedAt => SortKey::Filled("c.inserted_at"),
        CallSort::StartedAt => SortKey::Nullable("c.started_at"),
        CallSort::CompletedAt => SortKey::Nullable("c.completed_at"),
        CallSort::CustomerName => SortKey::Filled("lower(c.customer_name) COLLATE vez_names"),
        CallSort::Status => SortKey::Filled("c.status"),
    };
    let mut query = QueryBuilder::new(
        "SELECT c.id, c.status, c.department_id, d.name AS department_name, c.user_id, u.name AS user_name, c.customer_id, \
         c.customer_name, c.customer_email, c.customer_phone, c.rating, c.rating_comment, c.accepted_at, c.started_at, \
         c.completed_at, c.inserted_at, c.updated_at, c.number, c.phase, c.end_reason, c.reason, c.priority, \
         c.assigned_at, c.link_id, c.last_offer, c.transfer, c.cancel_reason FROM (SELECT c.number FROM calls c",
    );
    narrow(&mut query, tenant, filter);
    push_page(&mut query, order, sort.order, "c.number", page);
    // Only the numbers of a page are looked for, which its index holds, so that pages far back read no rows on the way.
    query.push(") AS page JOIN calls c ON c.number = page.number AND c.tenant_id = ").push_bind(tenant.0);
    query.push(
        " LEFT JOIN departments d ON d.tenant_id = c.tenant_id AND d.id = c.department_id \
         LEFT JOIN users u ON u.tenant_id = c.tenant_id AND u.id = c.user_id",
    );
    push_order(&mut query, order, sort.order, "c.number");
    lists::read::<CallRow>(store, tenant, page, count(tenant, filter), query).await?.try_map(CallView::try_from)
}

/// Asks how many calls a list has in all.
fn count(tenant: TenantId, filter: &CallFilter) -> QueryBuilder<Postgres> {
    if !is_summed(filter) {
        let mut query = QueryBuilder::new("SELECT count(*) FROM calls c");
        narrow(&mut query, tenant, filter);
        return query;
    }
    // The sums are those of another zone's days, or none yet, while a company is being counted.
    let mut query = QueryBuilder::new("SELECT CASE WHEN (SELECT measured_zone = time_zone FROM tenants WHERE id = ");
    query.push_bind(tenant.0).push(") THEN ");
    push_ended(&mut query, tenant, filter);
    if filter.status.is_none() && filter.phase.is_none() {
        query.push(" + (SELECT count(*) FROM calls c");
        narrow(&mut query, tenant, filter);
        query.push(" AND c.open)");
    }
    query.push(" ELSE (SELECT count(*) FROM calls c");
    narrow(&mut query, tenant, filter);
    query.push(") END");
    query
}

/// Whether ended calls are asked for, and nothing that the sums do not tell apart.
fn is_summed(filter: &CallFilter) -> bool {
    let CallFilter {
        status,
        phase,
        department_id: _,
        visible_to: _,
        user_id: _,
        customer_id: None,
        provider_id: None,
        tag_id: None,
        date_from: None,
        date_to: None,
        search: None,
    } = filter
    else {
        return false;
    };
    phase.is_none_or(|phase| phase == Phase::Ended) && status.is_none_or(|status| !is_open(status))
}

/// Whether only open calls have this status.
fn is_open(status: Status) -> bool {
    match status {
        Status::Queued | Status::Active => true,
        Status::Completed | Status::Missed | Status::Cancelled => false,
    }
}

/// How many calls ended, by the sums: those of whole departments, and those of one agent.
fn push_ended(query: &mut QueryBuilder<Postgres>, tenant: TenantId, filter: &CallFilter) {
    let ended = match filter.status {
        Some(status) => status.as_str(),
        None => "completed + missed + cancelled",
    };
    let sum = |query: &mut QueryBuilder<Postgres>, table: &str| {
        query.push("(SELECT COALESCE(sum(").push(ended).push("), 0)::bigint FROM ").push(table);
        query.push(" WHERE tenant_id = ").push_bind(tenant.0);
        if let Some(department) = filter.department_id {
            query.push(" AND department_id = ").push_bind(department.0);
        }
    };
    let departments = |attendant: &Attendant| attendant.department_ids.iter().map(|id| id.0).collect::<Vec<_>>();
    match (&filter.visible_to, filter.user_id) {
        (None, None) => {
            sum(query, "call_hours");
            query.push(")");
        }
        // What he sees of himself is everything.
        (attendant, Some(user)) => {
            sum(query, "agent_months");
            query.push(" AND user_id = ").push_bind(user.0);
            if let Some(attendant) = attendant.as_ref().filter(|attendant| attendant.user_id != user) {
                query.push(" AND department_id = ANY (").push_bind(departments(attendant)).push(")");
            }
            query.push(")");
        }
        (Some(attendant), None) => {
            sum(query, "call_hours");
            query.push(" AND department_id = ANY (").push_bind(departments(attendant)).push(")) + ");
            sum(query, "agent_months");
            query.push(" AND user_id = ").push_bind(attendant.user_id.0);
            query.push(" AND department_id <> ALL (").push_bind(departments(attendant)).push("))");
        }
    }
}

fn narrow(query: &mut QueryBuilder<Postgres>, tenant: TenantId, filter: &CallFilter) {
    query.push(" WHERE c.tenant_id = ").push_bind(tenant.0);
    if let Some(status) = filter.status {
        query.push(" AND c.status = ").push_bind(status.as_str());
    }
    // What follows from the others, in the words of the index that holds the open calls alone.
    if filter.status.is_some_and(is_open) || filter.phase.is_some_and(|phase| phase != Phase::Ended) {
        query.push(" AND c.open");
    }
    if let Some(phase) = filter.phase {
        query.push(" AND c.phase = ").push_bind(phase.as_str());
    }
    if let Some(department) = filter.department_id {
        query.push(" AND c.department_id = ").push_bind(department.0);
    }
    if let Some(attendant) = &filter.visible_to {
        let ids: Vec<Uuid> = attendant.department_ids.iter().map(|id| id.0).collect();
        query.push(" AND (c.department_id = ANY(").push_bind(ids);
        query.push(") OR c.user_id = ").push_bind(attendant.user_id.0).push(")");
    }
    if let Some(user) = filter.user_id {
        query.push(" AND c.user_id = ").push_bind(user.0);
    }
    if let Some(customer) = filter.customer_id {
        query.push(" AND c.customer_id");
        customers::push_is(query, tenant, customer);
    }
    if let Some(provider) = filter.provider_id {
        query.push(" AND EXISTS (SELECT FROM service_provider_users p WHERE p.tenant_id = c.tenant_id");
        query.push(" AND p.user_id = c.user_id AND p.service_provider_id = ").push_bind(provider.0).push(")");
    }
    if let Some(tag) = filter.tag_id {
        query.push(" AND EXISTS (SELECT FROM call_tags t WHERE t.tenant_id = c.tenant_id AND t.call_id = c.id");
        // A tag that is gone is still named by rows for a while.
        query.push(" AND EXISTS (SELECT FROM tags WHERE tags.tenant_id = t.tenant_id AND tags.id = t.tag_id)");
        query.push(" AND t.tag_id = ").push_bind(tag.0).push(")");
    }
    if let Some(from) = filter.date_from {
        query.push(" AND c.inserted_at >= ").push_bind(from.to_utc());
    }
    if let Some(to) = filter.date_to {
        query.push(" AND c.inserted_at < ").push_bind(to.to_utc());
    }
    if let Some(search) = &filter.search {
        let pattern = contains_pattern(search);
        query.push(" AND (");
        push_name_like(query, "c.customer_name", search);
        query.push(" OR c.customer_email ILIKE ").push_bind(pattern).push(")");
    }
}
