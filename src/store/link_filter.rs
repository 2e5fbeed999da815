//! Owns which links a list shows, as a part of `links`.

use sqlx::{Postgres, QueryBuilder};

use super::links::LinkStatus;
use super::name_search::push_name_like;
use super::page::contains_pattern;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{DepartmentId, TenantId};

/// Which links a list shows.
#[derive(Clone, Debug, Default)]
pub struct LinkFilter {
    pub status: Option<LinkStatus>,
    pub department_id: Option<DepartmentId>,
    /// Part of the customer's name or address.
    pub search: Option<String>,
}

/// The links of a list. Their customers are looked up only for who searches or sorts by them.
pub(super) fn narrow(
    query: &mut QueryBuilder<Postgres>,
    tenant: TenantId,
    filter: &LinkFilter,
    by_customer: bool,
    now: Timestamp,
) {
    query.push(" FROM access_links l");
    if by_customer || filter.search.is_some() {
        query.push(" LEFT JOIN customers k ON k.tenant_id = l.tenant_id AND k.id = l.customer_id");
    }
    query.push(" WHERE l.tenant_id = ").push_bind(tenant.0);
    if let Some(department) = filter.department_id {
        query.push(" AND l.department_id = ").push_bind(department.0);
    }
    if let Some(search) = &filter.search {
        let pattern = contains_pattern(search);
        query.push(" AND (");
        push_name_like(query, "COALESCE(l.customer_name, k.name)", search);
        query.push(" OR COALESCE(l.customer_email, k.email) ILIKE ").push_bind(pattern).push(")");
    }
    // Links of a department that is gone are cancelled, whether they are marked yet or not.
    const LED_NOWHERE: &str = "EXISTS (SELECT FROM departments gone WHERE gone.tenant_id = l.tenant_id \
        AND gone.id = l.department_id AND gone.deleted_at IS NOT NULL)";
    if filter.status.is_some_and(|status| status != LinkStatus::Cancelled) {
        query.push(" AND NOT ").push(LED_NOWHERE);
    }
    // The same order of precedence as `LinkRow::at`.
    match filter.status {
        None => {}
        Some(LinkStatus::Cancelled) => {
            query.push(" AND (l.cancelled_at IS NOT NULL OR ").push(LED_NOWHERE).push(")");
        }
        Some(LinkStatus::Used) => {
            query.push(" AND l.cancelled_at IS NULL AND l.used_at IS NOT NULL");
        }
        Some(LinkStatus::Expired) => {
            query.push(" AND l.cancelled_at IS NULL AND l.used_at IS NULL AND l.expires_at <= ");
            query.push_bind(now.to_utc());
        }
        Some(LinkStatus::Active) => {
            query
                .push(" AND l.cancelled_at IS NULL AND l.used_at IS NULL AND (l.expires_at IS NULL OR l.expires_at > ");
            query.push_bind(now.to_utc()).push(")");
        }
    }
}
