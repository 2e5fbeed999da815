//! Owns what tests of exports need: rows put straight into the record, with any text in them, and files fetched as text.

use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;
use vez::domain::clock::Timestamp;
use vez::domain::ids::{DepartmentId, TenantId, UserId};

use crate::harness::TestApp;
use crate::harness::client::Client;

/// The headers, as Voki shows them.
pub const CALLS_HEADER: &str = "id,status,department,attendant,customer_name,customer_email,duration,wait_time,rating,\
    started_at,completed_at\r\n";
pub const CUSTOMERS_HEADER: &str = "id,name,email,phone,document,call_count,last_call_at,created_at\r\n";
pub const LINKS_HEADER: &str =
    "id,token,status,department,customer_name,customer_email,expires_at,used_at,created_at\r\n";

/// An answer that is a file.
#[derive(Clone, Debug)]
pub struct File {
    pub content_type: String,
    pub disposition: String,
    pub text: String,
}

impl File {
    /// The lines after a header, without their ends. For files whose cells hold no line of their own.
    pub fn rows(&self, header: &str) -> Vec<&str> {
        let rest = self.text.strip_prefix(header).unwrap_or_else(|| panic!("another header: {}", self.text));
        rest.split_terminator("\r\n").collect()
    }

    /// The first cell of each line: ids.
    pub fn ids(&self, header: &str) -> Vec<String> {
        self.rows(header).iter().map(|row| row.split(',').next().unwrap().to_owned()).collect()
    }

    /// The objects of newline-delimited JSON.
    pub fn objects(&self) -> Vec<Value> {
        self.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Fetches `/api/v1/export/{path}`; panics unless it is 200.
pub async fn file(client: &Client, path: &str) -> File {
    let response = client.request(Method::GET, &format!("/api/v1/export/{path}")).send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("cache-control"), "no-store");
    let (content_type, disposition) = (header("content-type"), header("content-disposition"));
    File { content_type, disposition, text: response.text().await.unwrap() }
}

/// A call to be put into the record. Times are seconds after the join; what is absent did not happen.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    pub department: DepartmentId,
    pub joined: Timestamp,
    pub name: &'a str,
    pub email: Option<&'a str>,
    pub agent: Option<UserId>,
    pub accepted: Option<u64>,
    pub started: Option<u64>,
    pub completed: Option<u64>,
    pub rating: Option<i16>,
    pub status: &'a str,
}

impl Call<'_> {
    /// One that waits.
    pub fn waiting(department: DepartmentId, joined: Timestamp) -> Self {
        Self {
            department,
            joined,
            name: "Maria",
            email: None,
            agent: None,
            accepted: None,
            started: None,
            completed: None,
            rating: None,
            status: "queued",
        }
    }
}

/// Puts a call into the record with this number, which must be free; gives its id.
pub async fn put(app: &TestApp, tenant: TenantId, number: i64, call: &Call<'_>) -> Uuid {
    let id = app.ids().uuid(call.joined);
    let at = |seconds: Option<u64>| seconds.map(|seconds| call.joined.plus_seconds(seconds).to_utc());
    let phase = match call.status {
        "queued" => "waiting",
        "active" => "active",
        _ => "ended",
    };
    sqlx::query(
        "INSERT INTO calls (tenant_id, id, number, department_id, customer_id, customer_name, customer_email, priority,
             inserted_at, phase, status, user_id, accepted_at, started_at, completed_at, rating, connected, updated_at,
             epoch, version)
         VALUES ($1, $2, $3, $4, $2, $5, $6, 0, $7, $8, $9, $10, $11, $12, $13, $14, false, $7, 1, 1)",
    )
    .bind(tenant.0)
    .bind(id)
    .bind(number)
    .bind(call.department.0)
    .bind(call.name)
    .bind(call.email)
    .bind(call.joined.to_utc())
    .bind(phase)
    .bind(call.status)
    .bind(call.agent.map(|agent| agent.0))
    .bind(at(call.accepted))
    .bind(at(call.started))
    .bind(at(call.completed))
    .bind(call.rating)
    .execute(app.app.store().system())
    .await
    .unwrap();
    id
}

/// Puts `count` calls into the record, one a second from `first` on, with numbers from 1.
pub async fn put_many(app: &TestApp, tenant: TenantId, department: DepartmentId, count: i64, first: Timestamp) {
    sqlx::query(
        "INSERT INTO calls (tenant_id, id, number, department_id, customer_id, customer_name, priority, inserted_at, phase,
             status, connected, updated_at, epoch, version)
         SELECT $1, gen_random_uuid(), n, $2, gen_random_uuid(), 'Customer ' || n, 0, $3 + n * interval '1 second', 'ended',
             'missed', false, $3, 1, 1
         FROM generate_series(1, $4) AS n",
    )
    .bind(tenant.0)
    .bind(department.0)
    .bind(first.to_utc())
    .bind(count)
    .execute(app.app.store().system())
    .await
    .unwrap();
}

/// A time in ISO 8601.
pub fn time(text: &str) -> Timestamp {
    Timestamp::from(chrono::DateTime::parse_from_rfc3339(text).unwrap().to_utc())
}
