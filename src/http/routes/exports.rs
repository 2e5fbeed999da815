//! Owns Voki's exports on the wire: calls, customers and access links as CSV, and the same rows as newline-delimited JSON.

use axum::extract::State;
use axum::response::Response;
use chrono::NaiveDate;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::calls::zone_of;
use crate::domain::call::Status;
use crate::domain::ids::{DepartmentId, TenantId};
use crate::http::caller::Supervisor;
use crate::http::error::ApiError;
use crate::http::exporting::{content_type, download};
use crate::http::input::{DateRange, Params, Query, QueryInput, day_of};
use crate::http::state::AppState;
use crate::reports::calls_csv::{self, Calls};
use crate::reports::customers_csv::{self, Customers};
use crate::reports::links_csv::{self, Links};
use crate::reports::{Format, Selection, Table};
use crate::store::links::LinkStatus;

/// Days before its end at which a range begins when nobody says otherwise (Voki: 30 days ago).
pub const DAYS: u64 = 30;

/// `/api/v1/export/*`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(export_calls)).routes(routes!(export_customers)).routes(routes!(export_links))
}

/// Query of the calls.
#[derive(Debug)]
pub struct CallsExport {
    range: DateRange,
    status: Option<Status>,
    department_id: Option<DepartmentId>,
    format: Format,
}

impl QueryInput for CallsExport {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        let range = params.date_range();
        let (status, department_id) = (params.word("status"), params.id("department_id"));
        let format = params.word("format");
        Ok(Self { range: range?, status: status?, department_id: department_id?, format: format?.unwrap_or_default() })
    }
}

/// Query of the customers.
#[derive(Debug)]
pub struct CustomersExport {
    format: Format,
}

impl QueryInput for CustomersExport {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self { format: params.word("format")?.unwrap_or_default() })
    }
}

/// Query of the links.
#[derive(Debug)]
pub struct LinksExport {
    status: Option<LinkStatus>,
    department_id: Option<DepartmentId>,
    format: Format,
}

impl QueryInput for LinksExport {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        let (status, department_id) = (params.word("status"), params.id("department_id"));
        let format = params.word("format");
        Ok(Self { status: status?, department_id: department_id?, format: format?.unwrap_or_default() })
    }
}

/// Export calls
///
/// All calls that joined in the range, the oldest first, with the figures and names of `GET /api/v1/calls`: `duration` and
/// `wait_time` in seconds, empty while there is none. A bare date is the company's whole day; the range ends today and begins
/// 30 days before its end unless said otherwise. A range that ends before it begins is 400 with the fault at `date_from`; one
/// without calls is the header alone.
///
/// The file is streamed as it is read, in one consistent snapshot, at any size. CSV as in RFC 4180 (UTF-8, lines end with CR LF,
/// nothing for null); with `format=ndjson` one JSON object for each row, numbers as numbers. If anything fails on the way the
/// body breaks off without its end, so a file that came to its end is complete. Ten exports of a company run at once (429 beyond).
///
/// Texts typed by people (`department`, `attendant`, `customer_name`, `customer_email`) that begin with `=`, `+`, `-`, `@`, a tab
/// or a CR have an apostrophe before them in CSV, lest a spreadsheet runs them; no other cells are changed, and none in NDJSON.
#[utoipa::path(get, path = "/api/v1/export/calls.csv", tag = "Exports", security(("staff" = ["supervisor"])),
    params(Query<CallsExport>),
    responses((status = 200, description = "The file.", content(
        (String = "text/csv", example = "id,status,department,attendant,customer_name,customer_email,duration,wait_time,rating,\
started_at,completed_at\r\n1a2b3c4d-5e6f-7890-abcd-ef1234567890,completed,Suporte Técnico,João Silva,Carlos Ferreira,\
carlos@email.com,345,12,5,2026-02-15T14:30:00Z,2026-02-15T14:35:45Z\r\n"),
        (String = "application/x-ndjson")))))]
async fn export_calls(
    State(state): State<AppState>,
    staff: Supervisor,
    Query(query): Query<CallsExport>,
) -> Result<Response, ApiError> {
    let zone = zone_of(&state.store, staff.tenant).await?;
    let span = query.range.required_span(zone, state.clock.now(), DAYS)?;
    let calls = Calls {
        tenant: staff.tenant,
        from: span.from,
        to: span.to,
        status: query.status,
        department: query.department_id,
    };
    let name = dated("calls", Some(span.first_day), span.last_day, query.format);
    export(&state, staff.tenant, &calls, calls_csv::COLUMNS, query.format, &name).await
}

/// Export customers
///
/// All customers in the order in which they became known; whoever was merged into another is that other. `call_count` and
/// `last_call_at` are those of `GET /api/v1/customers`. Formats, streaming and limits are those of the export of calls.
///
/// `name` and `email` are texts typed by people, with an apostrophe before what a spreadsheet would run. So are `phone` and
/// `document`, unless they are nothing but digits and the punctuation between them: `+5511999998888` stays as it is.
#[utoipa::path(get, path = "/api/v1/export/customers.csv", tag = "Exports", security(("staff" = ["supervisor"])),
    params(Query<CustomersExport>),
    responses((status = 200, description = "The file.", content(
        (String = "text/csv", example = "id,name,email,phone,document,call_count,last_call_at,created_at\r\n\
2a3b4c5d-6e7f-8901-bcde-f23456789012,Carlos Ferreira,carlos@email.com,+5511999998888,123.456.789-00,5,2026-02-15T14:30:00Z,\
2026-01-10T09:00:00Z\r\n"),
        (String = "application/x-ndjson")))))]
async fn export_customers(
    State(state): State<AppState>,
    staff: Supervisor,
    Query(query): Query<CustomersExport>,
) -> Result<Response, ApiError> {
    let zone = zone_of(&state.store, staff.tenant).await?;
    let name = dated("customers", None, day_of(state.clock.now(), zone), query.format);
    let customers = Customers { tenant: staff.tenant };
    export(&state, staff.tenant, &customers, customers_csv::COLUMNS, query.format, &name).await
}

/// Export access links
///
/// All links in the order in which they were made. What a link does not say of its customer is what its customer's own row says.
/// Formats, streaming and limits are those of the export of calls; texts typed by people are `department`, `customer_name` and
/// `customer_email`.
#[utoipa::path(get, path = "/api/v1/export/links.csv", tag = "Exports", security(("staff" = ["supervisor"])),
    params(Query<LinksExport>),
    responses((status = 200, description = "The file.", content(
        (String = "text/csv", example = "id,token,status,department,customer_name,customer_email,expires_at,used_at,created_at\r\n\
6e7f8a9b-0c1d-2345-6789-678901234567,abc123def456,used,Suporte Técnico,Carlos Ferreira,carlos@email.com,2026-02-25T23:59:59Z,\
2026-02-20T10:15:00Z,2026-02-18T10:00:00Z\r\n"),
        (String = "application/x-ndjson")))))]
async fn export_links(
    State(state): State<AppState>,
    staff: Supervisor,
    Query(query): Query<LinksExport>,
) -> Result<Response, ApiError> {
    let zone = zone_of(&state.store, staff.tenant).await?;
    let now = state.clock.now();
    let name = dated("links", None, day_of(now, zone), query.format);
    let links = Links { tenant: staff.tenant, status: query.status, department: query.department_id, now };
    export(&state, staff.tenant, &links, links_csv::COLUMNS, query.format, &name).await
}

async fn export(
    state: &AppState,
    tenant: TenantId,
    selection: &dyn Selection,
    table: Table,
    format: Format,
    name: &str,
) -> Result<Response, ApiError> {
    let report = state.reports.stream(tenant, selection, format.encoder(table)).await?;
    download(report, content_type(format), name)
}

/// `calls_2026-02-01_2026-02-18.csv`; with one day, only that.
fn dated(what: &str, first: Option<NaiveDate>, last: NaiveDate, format: Format) -> String {
    let suffix = format.as_str();
    match first {
        Some(first) => format!("{what}_{first}_{last}.{suffix}"),
        None => format!("{what}_{last}.{suffix}"),
    }
}
