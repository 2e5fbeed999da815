//! Owns calls of other days, put into the record as it would have written them, for tests that read histories.

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;
use vez::domain::ids::{DepartmentId, LinkId, UserId};

use crate::harness::TestApp;
use crate::harness::builders::Company;

/// A call that is over, or was begun long ago. Times are ISO 8601.
#[derive(Clone, Debug)]
pub struct PastCall<'a> {
    pub number: i64,
    pub id: Uuid,
    pub department: DepartmentId,
    pub agent: Option<UserId>,
    /// Whether the agent ended it; else the customer did.
    pub ended_by_agent: bool,
    pub link: Option<LinkId>,
    pub name: &'a str,
    pub phone: Option<&'a str>,
    pub document: Option<&'a str>,
    pub rating: Option<i16>,
    pub status: &'a str,
    pub end_reason: Option<&'a str>,
    pub joined: &'a str,
    pub started: Option<&'a str>,
    pub ended: Option<&'a str>,
    pub wrap_up_seconds: i64,
    pub recorded: bool,
}

impl<'a> PastCall<'a> {
    /// One that nobody answered: its customer left after a minute or so.
    pub fn missed(number: i64, department: DepartmentId, joined: &'a str, ended: &'a str) -> Self {
        Self {
            number,
            id: Uuid::from_u128(0xCA11_0000 + number.unsigned_abs() as u128),
            department,
            agent: None,
            ended_by_agent: false,
            link: None,
            name: "Carlos",
            phone: None,
            document: None,
            rating: None,
            status: "missed",
            end_reason: Some("left"),
            joined,
            started: None,
            ended: Some(ended),
            wrap_up_seconds: 0,
            recorded: false,
        }
    }

    /// One that `agent` answered and ended.
    pub fn answered(
        number: i64,
        department: DepartmentId,
        agent: UserId,
        [joined, started, ended]: [&'a str; 3],
    ) -> Self {
        Self {
            agent: Some(agent),
            ended_by_agent: true,
            status: "completed",
            end_reason: Some("completed"),
            started: Some(started),
            ..Self::missed(number, department, joined, ended)
        }
    }

    /// Puts it into the record, with a customer of its own.
    pub async fn put(&self, app: &TestApp, company: &Company<'_>) -> Uuid {
        let pool = app.app.store().system();
        let tenant = company.tenant.0;
        let customer = Uuid::from_u128(self.id.as_u128() ^ (1 << 100));
        sqlx::query(
            "INSERT INTO customers (tenant_id, id, name, phone, document, inserted_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6::text::timestamptz, $6::text::timestamptz)",
        )
        .bind(tenant)
        .bind(customer)
        .bind(self.name)
        .bind(self.phone)
        .bind(self.document)
        .bind(self.joined)
        .execute(pool)
        .await
        .unwrap();
        let phase = match self.status {
            "queued" => "waiting",
            "active" => "active",
            _ => "ended",
        };
        sqlx::query(
            "INSERT INTO calls (tenant_id, id, number, department_id, link_id, customer_id, customer_name, customer_phone,
                                priority, inserted_at, phase, status, end_reason, user_id, assigned_at, accepted_at,
                                started_at, completed_at, wrap_up_ends_at, connected, updated_at, epoch, version, rating)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9::text::timestamptz, $10, $11, $12, $13, $14::text::timestamptz,
                     $14::text::timestamptz, $14::text::timestamptz, $15::text::timestamptz,
                     $15::text::timestamptz + NULLIF($16, 0) * interval '1 second', true, $9::text::timestamptz, 1, 1, $17)",
        )
        .bind(tenant)
        .bind(self.id)
        .bind(self.number)
        .bind(self.department.0)
        .bind(self.link.map(|link| link.0))
        .bind(customer)
        .bind(self.name)
        .bind(self.phone)
        .bind(self.joined)
        .bind(phase)
        .bind(self.status)
        .bind(self.end_reason)
        .bind(self.agent.map(|agent| agent.0))
        .bind(self.started)
        .bind(self.ended)
        .bind(self.wrap_up_seconds)
        .bind(self.rating)
        .execute(pool)
        .await
        .unwrap();
        if let Some(ended) = self.ended {
            let by = self.agent.filter(|_| self.ended_by_agent).map(|agent| agent.0);
            sqlx::query(
                "WITH next AS (
                     UPDATE tenant_counters SET event_seq = event_seq + 1 WHERE tenant_id = $1 RETURNING event_seq
                 )
                 INSERT INTO events (tenant_id, seq, kind, at, call_id, department_id, user_id, data)
                 SELECT $1, event_seq, 'call_ended', $2::text::timestamptz, $3, $4, $5, $6 FROM next",
            )
            .bind(tenant)
            .bind(ended)
            .bind(self.id)
            .bind(self.department.0)
            .bind(by)
            .bind(json!({ "end_reason": self.end_reason }))
            .execute(pool)
            .await
            .unwrap();
        }
        if self.recorded {
            sqlx::query(
                "INSERT INTO recordings (tenant_id, id, call_id, department_id, format, content_type, file_size, inserted_at)
                 VALUES ($1, $2, $2, $3, 'webm', 'video/webm', 1, $4::text::timestamptz)",
            )
            .bind(tenant)
            .bind(self.id)
            .bind(self.department.0)
            .bind(self.ended)
            .execute(pool)
            .await
            .unwrap();
        }
        self.id
    }
}

/// Gives a user or department another number.
pub async fn renumber(app: &TestApp, table: &str, id: Uuid, number: i64) {
    change(app, &format!("UPDATE {table} SET number = {number} WHERE id = '{id}'")).await;
}

/// Changes the record by hand.
pub async fn change(app: &TestApp, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(app.app.store().system()).await.unwrap();
}

/// A JSON text without what stands between its values.
pub fn compact(text: &str) -> String {
    let (mut compact, mut quoted, mut escaped) = (String::new(), false, false);
    for letter in text.chars() {
        if quoted || !letter.is_whitespace() {
            compact.push(letter);
        }
        (quoted, escaped) = match letter {
            '"' if !escaped => (!quoted, false),
            '\\' => (quoted, !escaped),
            _ => (quoted, false),
        };
    }
    compact
}

/// The `id`s of a list, as numbers.
pub fn numbers(list: &Value) -> Vec<i64> {
    list.as_array().unwrap().iter().map(|call| call["id"].as_i64().unwrap()).collect()
}
