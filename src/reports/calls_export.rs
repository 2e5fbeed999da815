//! Owns the export of calls in Burki's two formats: which calls, in which order, and every byte of a row.
//!
//! The CSV looks as its documentation shows it: texts, times and the header in quotes, numbers bare (Python's
//! `QUOTE_NONNUMERIC`), so a telephone that is nothing but digits stays a text. The JSON is an array laid out as there. Times are
//! UTC, and do not say so.

use std::io::Write as _;

use chrono::TimeDelta;
use sqlx::{Postgres, QueryBuilder};

use super::csv::{TIME_BYTES, is_formula, is_punctuated, time_text};
use super::row::Row;
use super::{Encoder, ReportError, Selection};
use crate::domain::clock::Timestamp;
use crate::domain::ids::TenantId;

/// The header, as Burki's page shows it.
const HEADER: &[u8] =
    b"\"Call ID\",\"Call SID\",\"Assistant Name\",\"Customer Phone\",\"Status\",\"Duration (seconds)\",\
    \"Started At\",\"Ended At\"\r\n";
/// Bytes a batch of rows usually needs.
const BATCH_BYTES: usize = 256 * 1024;
/// A time without the letter that says UTC.
const NAIVE_TIME_BYTES: usize = TIME_BYTES - 1;
/// What a call's id becomes a telephone exchange's by.
const SID_PREFIX: &[u8] = b"CA";

/// Nobody waits longer to be answered; joins of so long before a range are looked at.
const STARTED_WITHIN: TimeDelta = TimeDelta::days(30);

/// Which calls; what is `None` does not narrow it.
#[derive(Clone, Debug)]
pub struct Calls {
    pub tenant: TenantId,
    /// Started, or joined without being started, at or after.
    pub from: Option<Timestamp>,
    /// The same before.
    pub to: Option<Timestamp>,
    /// Any word; one that is no status finds nothing.
    pub status: Option<String>,
    /// By its number.
    pub agent: Option<i64>,
}

impl Selection for Calls {
    fn select(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(
            "SELECT c.number, c.id, u.name, c.customer_phone, c.status, c.started_at, c.completed_at, c.inserted_at \
             FROM calls c LEFT JOIN users u ON u.tenant_id = c.tenant_id AND u.id = c.user_id WHERE c.tenant_id = ",
        );
        query.push_bind(self.tenant.0);
        // The index is of joins, and a call starts after its join.
        if let Some(from) = self.from {
            query.push(" AND c.inserted_at >= ").push_bind(from.to_utc() - STARTED_WITHIN);
            query.push(" AND COALESCE(c.started_at, c.inserted_at) >= ").push_bind(from.to_utc());
        }
        if let Some(to) = self.to {
            query.push(" AND c.inserted_at < ").push_bind(to.to_utc());
            query.push(" AND COALESCE(c.started_at, c.inserted_at) < ").push_bind(to.to_utc());
        }
        if let Some(status) = &self.status {
            query.push(" AND c.status = ").push_bind(status.clone());
        }
        if let Some(agent) = self.agent {
            query.push(" AND c.user_id = (SELECT id FROM users WHERE tenant_id = ").push_bind(self.tenant.0);
            query.push(" AND number = ").push_bind(agent).push(")");
        }
        query.push(" ORDER BY c.inserted_at, c.number");
    }

    /// Along the index of joins, as the other export of calls.
    fn settings(&self) -> &'static str {
        super::calls_csv::STREAMED
    }
}

/// One row, decoded.
struct Call<'a> {
    number: i64,
    sid: [u8; 32],
    agent: Option<&'a str>,
    phone: Option<&'a str>,
    status: &'a str,
    seconds: Option<i64>,
    /// The join of a call that was not started.
    started: [u8; NAIVE_TIME_BYTES],
    ended: Option<[u8; NAIVE_TIME_BYTES]>,
}

impl<'a> Call<'a> {
    /// Columns are in the order of `select`.
    fn read(row: &Row<'a>) -> Result<Self, ReportError> {
        let mut sid = [0; 32];
        row.uuid(1)?.unwrap_or_default().simple().encode_lower(&mut sid);
        let started = row.time(5)?.or(row.time(7)?).unwrap_or_default();
        Ok(Self {
            number: row.integer(0)?.unwrap_or_default(),
            sid,
            agent: row.text(2)?,
            phone: row.text(3)?,
            status: row.text(4)?.unwrap_or_default(),
            seconds: row.seconds(5, 6)?,
            started: naive(started),
            ended: row.time(6)?.map(naive),
        })
    }
}

fn naive(time: Timestamp) -> [u8; NAIVE_TIME_BYTES] {
    let [text @ .., _] = time_text(time);
    text
}

/// Writes calls as Burki's CSV.
#[derive(Debug, Default)]
pub struct QuotedCsv(Vec<u8>);

impl QuotedCsv {
    fn quoted(&mut self, text: &[u8]) {
        self.0.push(b'"');
        for byte in text {
            if *byte == b'"' {
                self.0.push(b'"');
            }
            self.0.push(*byte);
        }
        self.0.extend_from_slice(b"\",");
    }

    /// What people typed: kept from being run by a spreadsheet, which quotes do not do.
    fn typed(&mut self, text: &str, is_harmless: bool) {
        if is_formula(text.as_bytes()) && !is_harmless {
            self.quoted(format!("'{text}").as_bytes());
        } else {
            self.quoted(text.as_bytes());
        }
    }
}

impl Encoder for QuotedCsv {
    fn open(&mut self) {
        self.0.extend_from_slice(HEADER);
    }

    fn row(&mut self, row: &Row<'_>) -> Result<(), ReportError> {
        let call = Call::read(row)?;
        // Writing to memory does not fail.
        let _ = write!(self.0, "{},", call.number);
        self.0.push(b'"');
        self.0.extend_from_slice(SID_PREFIX);
        self.0.extend_from_slice(&call.sid);
        self.0.extend_from_slice(b"\",");
        self.typed(call.agent.unwrap_or_default(), false);
        let phone = call.phone.unwrap_or_default();
        self.typed(phone, is_punctuated(phone.as_bytes()));
        self.quoted(call.status.as_bytes());
        let _ = write!(self.0, "{},", call.seconds.unwrap_or(0));
        self.quoted(&call.started);
        self.quoted(call.ended.as_ref().map_or(&[], |ended| ended.as_slice()));
        self.0.pop();
        self.0.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn close(&mut self) {}

    fn take(&mut self) -> Vec<u8> {
        std::mem::replace(&mut self.0, Vec::with_capacity(BATCH_BYTES))
    }
}

/// Writes calls as Burki's array of JSON objects.
#[derive(Debug, Default)]
pub struct JsonArray {
    written: Vec<u8>,
    any: bool,
}

impl JsonArray {
    fn field(&mut self, name: &str, value: impl serde::Serialize) {
        // Texts and numbers serialise, and memory takes everything.
        let _ = write!(self.written, "    \"{name}\": ");
        let _ = serde_json::to_writer(&mut self.written, &value);
        self.written.extend_from_slice(b",\n");
    }
}

impl Encoder for JsonArray {
    fn open(&mut self) {
        self.written.push(b'[');
    }

    fn row(&mut self, row: &Row<'_>) -> Result<(), ReportError> {
        let call = Call::read(row)?;
        self.written.extend_from_slice(if self.any { b",\n  {\n" } else { b"\n  {\n" });
        self.any = true;
        self.field("id", call.number);
        self.written.extend_from_slice(b"    \"call_sid\": \"");
        self.written.extend_from_slice(SID_PREFIX);
        self.written.extend_from_slice(&call.sid);
        self.written.extend_from_slice(b"\",\n");
        self.field("assistant_name", call.agent);
        self.field("customer_phone_number", call.phone);
        self.field("status", call.status);
        self.field("duration", call.seconds);
        self.field("started_at", String::from_utf8_lossy(&call.started));
        self.field("ended_at", call.ended.as_ref().map(|ended| String::from_utf8_lossy(ended)));
        self.written.truncate(self.written.len() - 2);
        self.written.extend_from_slice(b"\n  }");
        Ok(())
    }

    fn close(&mut self) {
        self.written.extend_from_slice(if self.any { b"\n]" } else { b"]" });
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::replace(&mut self.written, Vec::with_capacity(BATCH_BYTES))
    }
}
