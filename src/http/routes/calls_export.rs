//! Owns Burki's export of calls on the wire: its parameters, its faults in FastAPI's shape, the file's headers. The bytes are
//! `reports::calls_export`'s.

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_DISPOSITION;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::calls::zone_of;
use crate::domain::ids::TenantId;
use crate::domain::words::words;
use crate::http::caller::Supervisor;
use crate::http::error::ApiError;
use crate::http::exporting::{content_type, download};
use crate::http::foreign_errors::{BurkiError, FastApiFault};
use crate::http::input::{DayOrTime, NAME_CHARS_MAX, Params, Query, QueryInput};
use crate::http::state::AppState;
use crate::reports::calls_export::{Calls, JsonArray, QuotedCsv};
use crate::reports::{self, Encoder};

/// `/api/v1/calls/export`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(export_calls))
}

words! {
    /// What the file is.
    Format {
        Csv = "csv",
        Json = "json",
    }
}

/// Query of the export, or all that is wrong with it.
#[derive(Debug)]
pub struct ExportQuery(Result<Export, Vec<FastApiFault>>);

#[derive(Debug)]
struct Export {
    format: Format,
    status: Option<String>,
    assistant: Option<i64>,
    from: Option<DayOrTime>,
    to: Option<DayOrTime>,
}

impl QueryInput for ExportQuery {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        let mut faults = Vec::new();
        let format = or_fault(params.word("format"), &mut faults, PATTERN);
        let status = or_fault(params.text("status", NAME_CHARS_MAX), &mut faults, TOO_LONG);
        let assistant = or_fault(params.integer("assistant_id", i64::MIN..=i64::MAX), &mut faults, INTEGER);
        let from = or_fault(params.day_or_utc_time("date_from"), &mut faults, DATE_FROM);
        let to = or_fault(params.day_or_utc_time("date_to"), &mut faults, DATE_TO);
        let assistant = assistant.filter(|number| *number != 0);
        let export = Export { format: format.unwrap_or(Format::Csv), status, assistant, from, to };
        Ok(Self(if faults.is_empty() { Ok(export) } else { Err(faults) }))
    }
}

/// In the words of the validator that Burki uses.
const PATTERN: FastApiFault = FastApiFault {
    loc: ["query", "format"],
    msg: "String should match pattern '^(csv|json)$'",
    kind: "string_pattern_mismatch",
};
const TOO_LONG: FastApiFault = FastApiFault {
    loc: ["query", "status"],
    msg: "String should have at most 200 characters",
    kind: "string_too_long",
};
const INTEGER: FastApiFault = FastApiFault {
    loc: ["query", "assistant_id"],
    msg: "Input should be a valid integer, unable to parse string as an integer",
    kind: "int_parsing",
};
const DATE_FROM: FastApiFault = FastApiFault {
    loc: ["query", "date_from"],
    msg: "Input should be a valid datetime or date",
    kind: "datetime_from_date_parsing",
};
const DATE_TO: FastApiFault = FastApiFault { loc: ["query", "date_to"], ..DATE_FROM };
const ORDER: FastApiFault =
    FastApiFault { loc: ["query", "date_from"], msg: "date_from should not be after date_to", kind: "value_error" };

fn or_fault<T>(read: Result<Option<T>, ApiError>, faults: &mut Vec<FastApiFault>, fault: FastApiFault) -> Option<T> {
    read.unwrap_or_else(|_| {
        faults.push(fault);
        None
    })
}

/// A call of the JSON file; for the description of the API.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedCall {
    /// The call's number.
    #[schema(example = 101)]
    id: i64,
    /// `CA` and the 32 hexadecimal digits of the call's id.
    #[schema(example = "CA0190a1b2c3d4750e8f60718293a4b5c6")]
    call_sid: String,
    /// The agent; null when nobody took it.
    assistant_name: Option<String>,
    /// As the customer typed it.
    #[schema(example = "+15559876543")]
    customer_phone_number: Option<String>,
    #[schema(example = "completed")]
    status: String,
    /// Whole seconds from the start to the end; null before both.
    #[schema(example = 300)]
    duration: Option<i64>,
    /// UTC, without saying so. Of a call that was not started, its join.
    #[schema(example = "2023-10-30T10:00:00")]
    started_at: String,
    /// UTC, without saying so; null before.
    #[schema(example = "2023-10-30T10:05:00")]
    ended_at: Option<String>,
}

/// Export calls (Burki)
///
/// A file with every call that fits, in the order of joining, in the formats of Burki's `calls/export`: `calls_export.csv` or
/// `calls_export.json`, an array. There is no limit: it is sent while it is read.
///
/// - `status` is one of ours (`queued`, `active`, `completed`, `missed`, `cancelled`); any other word finds nothing.
/// - `assistant_id` is an agent's number; that of nobody finds nothing, and 0 is as if it were not there.
/// - `date_from`, `date_to`: of `started_at`, both included. A bare date is the company's whole day.
///
/// The CSV has the header `"Call ID","Call SID","Assistant Name","Customer Phone","Status","Duration (seconds)","Started At",
/// "Ended At"`; texts and times stand in quotes, numbers do not, lines end with CR LF. What is null in the JSON is empty in the
/// CSV, the duration 0. A name or telephone that a spreadsheet would run as a formula has an apostrophe before it in the CSV;
/// `+` and digits are none.
///
/// A call that nobody started has its join as `started_at`. Errors of this operation are `{"detail": ...}`, as FastAPI's.
#[utoipa::path(get, path = "/api/v1/calls/export", tag = "Calls", security(("staff" = ["supervisor"])),
    params(Query<ExportQuery>),
    responses((status = 200, description = "The file.", content(
        (String = "text/csv", example = "\"Call ID\",\"Call SID\",\"Assistant Name\",\"Customer Phone\",\"Status\",\"Duration (seconds)\",\"Started At\",\"Ended At\"\r\n101,\"CA0190a1b2c3d4750e8f60718293a4b5c6\",\"Support Bot\",\"+15559876543\",\"completed\",300,\"2023-10-30T10:00:00\",\"2023-10-30T10:05:00\"\r\n"),
        (Vec<ExportedCall> = "application/json")))))]
async fn export_calls(
    State(state): State<AppState>,
    staff: Result<Supervisor, ApiError>,
    query: Result<Query<ExportQuery>, ApiError>,
) -> Result<Response, BurkiError> {
    let staff = staff?;
    let Query(ExportQuery(read)) = query?;
    let export = read.map_err(BurkiError::Parameters)?;
    let zone = zone_of(&state.store, staff.tenant).await?;
    let (from, to) = (export.from.map(|from| from.start(zone)), export.to.map(|to| to.end(zone)));
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        return Err(BurkiError::Parameters(vec![ORDER]));
    }
    let calls = Calls { tenant: staff.tenant, from, to, status: export.status, agent: export.assistant };
    Ok(file(&state, staff.tenant, &calls, export.format).await?)
}

async fn file(state: &AppState, tenant: TenantId, calls: &Calls, format: Format) -> Result<Response, ApiError> {
    let (kind, name, encoder): (_, _, Box<dyn Encoder>) = match format {
        Format::Csv => (content_type(reports::Format::Csv), "calls_export.csv", Box::new(QuotedCsv::default())),
        Format::Json => ("application/json", "calls_export.json", Box::new(JsonArray::default())),
    };
    let mut response = download(state.reports.stream(tenant, calls, encoder).await?, kind, name)?;
    // Burki's server sends the name without quotes.
    let disposition = HeaderValue::from_str(&format!("attachment; filename={name}")).map_err(ApiError::internal)?;
    response.headers_mut().insert(CONTENT_DISPOSITION, disposition);
    Ok(response)
}
