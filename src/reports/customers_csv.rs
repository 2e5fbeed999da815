//! Owns the export of customers: their columns (Voki's) and figures. Whoever was merged into another is that other.

use sqlx::{Postgres, QueryBuilder};

use super::Selection;
use super::columns::{Cell, Column};
use crate::domain::ids::TenantId;

/// The header, as Voki shows it. Numbers are the places of `SELECT`'s columns below.
pub const COLUMNS: &[Column] = &[
    Column::new("id", Cell::Id(0)),
    Column::new("name", Cell::Typed(1)),
    Column::new("email", Cell::Typed(2)),
    Column::new("phone", Cell::Digits(3)),
    Column::new("document", Cell::Digits(4)),
    Column::new("call_count", Cell::Number(5)),
    Column::new("last_call_at", Cell::Time(6)),
    Column::new("created_at", Cell::Time(7)),
];

/// All customers.
#[derive(Clone, Copy, Debug)]
pub struct Customers {
    pub tenant: TenantId,
}

impl Selection for Customers {
    /// Both figures in one pass over the calls, in the order of their customers, beside the customers in the same order. The
    /// last call is the one that joined last, so the greatest pair of its join and what is shown of it.
    ///
    /// The row of an open call may still name somebody who was merged meanwhile; those few are counted apart.
    fn select(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(
            "SELECT k.id, k.name, k.email, k.phone, k.document, COALESCE(own.calls, 0) + COALESCE(moved.calls, 0), \
             (GREATEST(own.last, moved.last))[2], k.inserted_at FROM customers k LEFT JOIN (\
             SELECT c.customer_id, count(*) AS calls, \
             max(ARRAY[c.inserted_at, COALESCE(c.started_at, c.inserted_at)]) AS last \
             FROM calls c WHERE c.tenant_id = ",
        );
        query.push_bind(self.tenant.0);
        query.push(
            " GROUP BY c.customer_id) AS own ON own.customer_id = k.id LEFT JOIN (\
             SELECT m.merged_into, count(*) AS calls, \
             max(ARRAY[c.inserted_at, COALESCE(c.started_at, c.inserted_at)]) AS last \
             FROM customers m JOIN calls c ON c.tenant_id = m.tenant_id AND c.customer_id = m.id \
             WHERE m.merged_into IS NOT NULL AND c.open AND m.tenant_id = ",
        );
        query.push_bind(self.tenant.0);
        query.push(" GROUP BY m.merged_into) AS moved ON moved.merged_into = k.id WHERE k.merged_into IS NULL AND k.tenant_id = ");
        query.push_bind(self.tenant.0);
        query.push(" ORDER BY k.id");
    }

    /// Two walks side by side along the keys; nothing is kept, so the first row leaves at once.
    fn settings(&self) -> &'static str {
        "SET LOCAL enable_hashjoin = off; SET LOCAL enable_hashagg = off; SET LOCAL enable_nestloop = off; \
         SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off"
    }
}
