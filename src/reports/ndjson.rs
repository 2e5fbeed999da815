//! Owns rows as newline-delimited JSON: the table's names, numbers as numbers, null as null, every text as it is stored.

use std::io::Write as _;

use super::columns::{Cell, Column};
use super::csv::time_text;
use super::row::Row;
use super::{Encoder, ReportError};

/// Bytes a batch of rows usually needs.
const BATCH_BYTES: usize = 384 * 1024;

/// Writes a table as one JSON object for each row.
#[derive(Debug)]
pub struct Ndjson {
    columns: &'static [Column],
    written: Vec<u8>,
}

impl Ndjson {
    /// With these columns.
    pub fn new(columns: &'static [Column]) -> Self {
        Self { columns, written: Vec::new() }
    }

    fn cell(&mut self, row: &Row<'_>, cell: Cell) -> Result<(), ReportError> {
        match cell {
            Cell::Id(at) => {
                if let Some(id) = row.uuid(at)? {
                    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
                    self.quoted(id.hyphenated().encode_lower(&mut text).as_bytes());
                    return Ok(());
                }
            }
            Cell::Word(at) | Cell::Typed(at) | Cell::Digits(at) => {
                if let Some(text) = row.text(at)? {
                    // Texts serialise, and memory takes everything.
                    let _ = serde_json::to_writer(&mut self.written, text);
                    return Ok(());
                }
            }
            Cell::Number(at) => {
                if let Some(number) = row.integer(at)? {
                    let _ = write!(self.written, "{number}");
                    return Ok(());
                }
            }
            Cell::Time(at) => {
                if let Some(time) = row.time(at)? {
                    self.quoted(&time_text(time));
                    return Ok(());
                }
            }
            Cell::Seconds { from, to } => {
                if let Some(seconds) = row.seconds(from, to)? {
                    let _ = write!(self.written, "{seconds}");
                    return Ok(());
                }
            }
        }
        self.written.extend_from_slice(b"null");
        Ok(())
    }

    /// Of what holds nothing that JSON escapes.
    fn quoted(&mut self, text: &[u8]) {
        self.written.push(b'"');
        self.written.extend_from_slice(text);
        self.written.push(b'"');
    }
}

impl Encoder for Ndjson {
    fn open(&mut self) {}

    fn row(&mut self, row: &Row<'_>) -> Result<(), ReportError> {
        for (index, column) in self.columns.iter().enumerate() {
            self.written.push(if index == 0 { b'{' } else { b',' });
            self.quoted(column.name.as_bytes());
            self.written.push(b':');
            self.cell(row, column.cell)?;
        }
        self.written.extend_from_slice(b"}\n");
        Ok(())
    }

    fn close(&mut self) {}

    fn take(&mut self) -> Vec<u8> {
        std::mem::replace(&mut self.written, Vec::with_capacity(BATCH_BYTES))
    }
}
