//! Owns the values of a row in the form Postgres sends them in: binary, in network order. Nothing is copied.

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::ReportError;
use crate::domain::clock::Timestamp;
use crate::store::StoreError;

/// Postgres counts microseconds from 2000; we from 1970.
const MICROS_TO_2000: i64 = 946_684_800_000_000;

/// A row of a cursor. Columns are counted from 0; null is `None`.
#[derive(Debug)]
pub struct Row<'a>(&'a PgRow);

impl<'a> Row<'a> {
    pub(super) fn new(row: &'a PgRow) -> Self {
        Self(row)
    }

    /// The value's bytes.
    pub fn bytes(&self, column: usize) -> Result<Option<&'a [u8]>, ReportError> {
        let value = self.0.try_get_raw(column)?;
        // The only fault of `as_bytes` is null.
        Ok(value.as_bytes().ok())
    }

    /// Of a `text` column.
    pub fn text(&self, column: usize) -> Result<Option<&'a str>, ReportError> {
        self.read(column, |bytes| std::str::from_utf8(bytes).ok())
    }

    /// Of a `uuid` column.
    pub fn uuid(&self, column: usize) -> Result<Option<Uuid>, ReportError> {
        self.read(column, |bytes| Uuid::from_slice(bytes).ok())
    }

    /// Of a `smallint`, `integer` or `bigint` column.
    pub fn integer(&self, column: usize) -> Result<Option<i64>, ReportError> {
        self.read(column, |bytes| match bytes.len() {
            2 => bytes.try_into().ok().map(|bytes| i64::from(i16::from_be_bytes(bytes))),
            4 => bytes.try_into().ok().map(|bytes| i64::from(i32::from_be_bytes(bytes))),
            _ => bytes.try_into().ok().map(i64::from_be_bytes),
        })
    }

    /// Of a `boolean` column.
    pub fn boolean(&self, column: usize) -> Result<Option<bool>, ReportError> {
        self.read(column, |bytes| bytes.first().map(|byte| *byte != 0))
    }

    /// Of a `timestamptz` column.
    pub fn time(&self, column: usize) -> Result<Option<Timestamp>, ReportError> {
        self.read(column, |bytes| {
            let micros = i64::from_be_bytes(bytes.try_into().ok()?);
            Some(Timestamp::from_micros(micros.saturating_add(MICROS_TO_2000)))
        })
    }

    /// Whole seconds from one time to a later one, never negative; `None` while one of them is null.
    pub fn seconds(&self, from: usize, to: usize) -> Result<Option<i64>, ReportError> {
        let (from, to) = (self.time(from)?, self.time(to)?);
        Ok(to.zip(from).map(|(to, from)| to.seconds_since(from)))
    }

    fn read<T>(&self, column: usize, read: impl FnOnce(&'a [u8]) -> Option<T>) -> Result<Option<T>, ReportError> {
        let Some(bytes) = self.bytes(column)? else { return Ok(None) };
        match read(bytes) {
            Some(value) => Ok(Some(value)),
            // The row's first column is its id wherever it has one; a report has no better name for it.
            None => Err(ReportError::Store(StoreError::Corrupt {
                table: "report",
                column: "of another type",
                row: column.to_string(),
            })),
        }
    }
}
