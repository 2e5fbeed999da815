//! Owns rows as CSV: RFC 4180, UTF-8 without a byte order mark, lines that end with CR LF, nothing for null.
//!
//! A spreadsheet runs a cell that begins with `=`, `+`, `-`, `@`, a tab or a CR as a formula. Such a text gets an apostrophe
//! before it where people typed it; what this server wrote itself is left alone. A telephone or document that consists of
//! nothing but digits and their punctuation is left alone, too: `+5511999998888` is what Voki's own sample shows, and no
//! formula can be made of that.

use std::io::Write as _;

use chrono::{Datelike as _, Timelike as _};

use super::columns::{Cell, Column};
use super::row::Row;
use super::{Encoder, ReportError};
use crate::domain::clock::Timestamp;

/// Bytes a batch of rows usually needs.
const BATCH_BYTES: usize = 192 * 1024;
/// Bytes of a time to the second.
pub const TIME_BYTES: usize = 20;

/// Writes a table as CSV.
#[derive(Debug)]
pub struct Csv {
    columns: &'static [Column],
    writer: csv::Writer<Vec<u8>>,
    /// What is written into a cell, made here before it is quoted.
    scratch: Vec<u8>,
}

impl Csv {
    /// With a header and these columns.
    pub fn new(columns: &'static [Column]) -> Self {
        Self { columns, writer: writer(), scratch: Vec::new() }
    }

    fn cell(&mut self, row: &Row<'_>, cell: Cell) -> Result<(), ReportError> {
        self.scratch.clear();
        match cell {
            Cell::Id(at) => {
                if let Some(id) = row.uuid(at)? {
                    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
                    return self.field(id.hyphenated().encode_lower(&mut text).as_bytes());
                }
            }
            Cell::Word(at) => return self.field(row.bytes(at)?.unwrap_or_default()),
            Cell::Typed(at) => {
                let text = row.bytes(at)?.unwrap_or_default();
                return if is_formula(text) { self.neutral(text) } else { self.field(text) };
            }
            Cell::Digits(at) => {
                let text = row.bytes(at)?.unwrap_or_default();
                return if is_formula(text) && !is_punctuated(text) { self.neutral(text) } else { self.field(text) };
            }
            Cell::Number(at) => {
                if let Some(number) = row.integer(at)? {
                    // Writing to memory does not fail.
                    let _ = write!(self.scratch, "{number}");
                }
            }
            Cell::Time(at) => {
                if let Some(time) = row.time(at)? {
                    return self.field(&time_text(time));
                }
            }
            Cell::Seconds { from, to } => {
                if let Some(seconds) = row.seconds(from, to)? {
                    let _ = write!(self.scratch, "{seconds}");
                }
            }
        }
        written(self.writer.write_field(&self.scratch))
    }

    fn field(&mut self, text: &[u8]) -> Result<(), ReportError> {
        written(self.writer.write_field(text))
    }

    fn neutral(&mut self, text: &[u8]) -> Result<(), ReportError> {
        self.scratch.push(b'\'');
        self.scratch.extend_from_slice(text);
        written(self.writer.write_field(&self.scratch))
    }
}

impl Encoder for Csv {
    fn open(&mut self) {
        // Memory takes everything.
        let _ = self.writer.write_record(self.columns.iter().map(|column| column.name));
    }

    fn row(&mut self, row: &Row<'_>) -> Result<(), ReportError> {
        for column in self.columns {
            self.cell(row, column.cell)?;
        }
        written(self.writer.write_record(None::<&[u8]>))
    }

    fn close(&mut self) {}

    fn take(&mut self) -> Vec<u8> {
        std::mem::replace(&mut self.writer, writer()).into_inner().unwrap_or_default()
    }
}

fn writer() -> csv::Writer<Vec<u8>> {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::with_capacity(BATCH_BYTES))
}

/// A record of another length than the header's would be a fault of this server; memory itself takes everything.
fn written(result: csv::Result<()>) -> Result<(), ReportError> {
    result.map_err(|error| {
        tracing::error!(%error, "a row could not be written");
        ReportError::Broken
    })
}

/// Whether a spreadsheet would run this text.
pub fn is_formula(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r'))
}

/// Whether a text is digits and what people write between them.
pub fn is_punctuated(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_digit() || b" +-()./".contains(byte))
}

/// `2026-02-15T14:30:00Z`, as everywhere else in the API.
pub fn time_text(time: Timestamp) -> [u8; TIME_BYTES] {
    let mut text = *b"0000-00-00T00:00:00Z";
    let utc = time.to_utc();
    // Years are of four digits (`is_storable` of the edge); a wilder one would only be cut.
    put(&mut text, 0, 4, u32::try_from(utc.year()).unwrap_or(0));
    for (at, number) in [(5, utc.month()), (8, utc.day()), (11, utc.hour()), (14, utc.minute()), (17, utc.second())] {
        put(&mut text, at, 2, number);
    }
    text
}

fn put(text: &mut [u8; TIME_BYTES], at: usize, digits: usize, number: u32) {
    let mut rest = number;
    for place in text[at..at + digits].iter_mut().rev() {
        *place = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_everywhere_else() {
        for micros in [0, 1, 999_999, -1, 1_771_165_800_000_000, 1_709_164_799_999_999, 253_402_300_799_000_000] {
            let time = Timestamp::from_micros(micros);
            assert_eq!(String::from_utf8_lossy(&time_text(time)), time.to_string());
        }
    }

    #[test]
    fn formulas_are_known_by_their_first_character() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"] {
            assert!(is_formula(text.as_bytes()), "{text:?}");
        }
        for text in ["", "a=1", " =1", "'=1", "\n=1", "é", "😀"] {
            assert!(!is_formula(text.as_bytes()), "{text:?}");
        }
        assert!(is_punctuated(b"+55 (11) 99999-8888"));
        assert!(!is_punctuated(b"+cmd|' /C calc'!A0"));
    }
}
