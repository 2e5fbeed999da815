//! Owns the export of access links: which, and their columns (Voki's). What a link does not say of its customer, its customer
//! says himself, as in `GET /api/v1/access-links`.

use sqlx::{Postgres, QueryBuilder};

use super::Selection;
use super::calls_csv::STREAMED;
use super::columns::{Cell, Column};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{DepartmentId, TenantId};
use crate::store::links::LinkStatus;

/// The header, as Voki shows it. Numbers are the places of `SELECT`'s columns below.
pub const COLUMNS: &[Column] = &[
    Column::new("id", Cell::Id(0)),
    Column::new("token", Cell::Word(1)),
    Column::new("status", Cell::Word(2)),
    Column::new("department", Cell::Typed(3)),
    Column::new("customer_name", Cell::Typed(4)),
    Column::new("customer_email", Cell::Typed(5)),
    Column::new("expires_at", Cell::Time(6)),
    Column::new("used_at", Cell::Time(7)),
    Column::new("created_at", Cell::Time(8)),
];

/// Which links.
#[derive(Clone, Debug)]
pub struct Links {
    pub tenant: TenantId,
    pub status: Option<LinkStatus>,
    pub department: Option<DepartmentId>,
    /// What is not expired before this is not expired.
    pub now: Timestamp,
}

impl Selection for Links {
    fn select(&self, query: &mut QueryBuilder<Postgres>) {
        // The order of precedence is that of `store::links`.
        query.push(
            "SELECT l.id, l.token, CASE WHEN l.cancelled_at IS NOT NULL THEN 'cancelled' WHEN l.used_at IS NOT NULL THEN 'used' \
             WHEN l.expires_at <= ",
        );
        query.push_bind(self.now.to_utc());
        query.push(
            " THEN 'expired' ELSE 'active' END, d.name, COALESCE(l.customer_name, k.name), \
             COALESCE(l.customer_email, k.email), l.expires_at, l.used_at, l.inserted_at FROM access_links l \
             LEFT JOIN LATERAL (SELECT name FROM departments d \
                 WHERE d.tenant_id = l.tenant_id AND d.id = l.department_id LIMIT 1) d ON true \
             LEFT JOIN LATERAL (SELECT name, email FROM customers k \
                 WHERE k.tenant_id = l.tenant_id AND k.id = l.customer_id LIMIT 1) k ON true WHERE l.tenant_id = ",
        );
        query.push_bind(self.tenant.0);
        if let Some(department) = self.department {
            query.push(" AND l.department_id = ").push_bind(department.0);
        }
        match self.status {
            None => {}
            Some(LinkStatus::Cancelled) => {
                query.push(" AND l.cancelled_at IS NOT NULL");
            }
            Some(LinkStatus::Used) => {
                query.push(" AND l.cancelled_at IS NULL AND l.used_at IS NOT NULL");
            }
            Some(LinkStatus::Expired) => {
                query.push(" AND l.cancelled_at IS NULL AND l.used_at IS NULL AND l.expires_at <= ");
                query.push_bind(self.now.to_utc());
            }
            Some(LinkStatus::Active) => {
                query.push(
                    " AND l.cancelled_at IS NULL AND l.used_at IS NULL AND (l.expires_at IS NULL OR l.expires_at > ",
                );
                query.push_bind(self.now.to_utc()).push(")");
            }
        }
        query.push(" ORDER BY l.id");
    }

    /// Along the key, which is the order of making.
    fn settings(&self) -> &'static str {
        STREAMED
    }
}
