//! Owns the bytes that Postgres' binary COPY takes: rows are appended to one growing buffer, no allocation per cell, and
//! nothing has to be escaped or parsed on either side.

use uuid::Uuid;

use crate::domain::clock::Timestamp;

/// What every stream begins with: the signature, no flags, no further header.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// In place of a number of fields: the stream is over.
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
/// In place of a field's length.
const NULL: [u8; 4] = (-1_i32).to_be_bytes();
/// Postgres counts microseconds from 2000, we from 1970.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// The one version of binary `jsonb` there is: its text follows.
const JSONB_VERSION: u8 = 1;

/// Rows of one table, ready to be sent.
#[derive(Debug)]
pub(super) struct Tuples {
    bytes: Vec<u8>,
    rows: u64,
}

impl Default for Tuples {
    fn default() -> Self {
        Self { bytes: HEADER.to_vec(), rows: 0 }
    }
}

impl Tuples {
    /// Begins a row of `fields` fields, each of which must be put after it.
    pub fn row(&mut self, fields: i16) {
        self.bytes.extend_from_slice(&fields.to_be_bytes());
        self.rows += 1;
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The whole stream.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&TRAILER);
        self.bytes
    }

    fn field(&mut self, bytes: &[u8]) {
        // A field of more than 2 GiB cannot be: every value here is made by us and short.
        self.bytes.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
        self.bytes.extend_from_slice(bytes);
    }

    pub fn null(&mut self) {
        self.bytes.extend_from_slice(&NULL);
    }

    /// A value or null.
    pub fn maybe<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => put(self, value),
            None => self.null(),
        }
    }

    pub fn uuid(&mut self, id: Uuid) {
        self.field(id.as_bytes());
    }

    pub fn text(&mut self, text: &str) {
        self.field(text.as_bytes());
    }

    pub fn jsonb(&mut self, text: &str) {
        self.bytes.extend_from_slice(&(text.len() as i32 + 1).to_be_bytes());
        self.bytes.push(JSONB_VERSION);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    pub fn time(&mut self, at: Timestamp) {
        self.field(&(at.micros() - EPOCH_MICROS).to_be_bytes());
    }

    pub fn int8(&mut self, number: i64) {
        self.field(&number.to_be_bytes());
    }

    pub fn int4(&mut self, number: i32) {
        self.field(&number.to_be_bytes());
    }

    pub fn int2(&mut self, number: i16) {
        self.field(&number.to_be_bytes());
    }

    pub fn bool(&mut self, is: bool) {
        self.field(&[u8::from(is)]);
    }
}
