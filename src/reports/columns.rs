//! Owns the cells of a table: which value of the row is shown in which column, and what kind of value it is. How kinds are
//! written is each format's own.

/// The columns of a table, in order.
pub type Table = &'static [Column];

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// As the header says.
    pub name: &'static str,
    pub cell: Cell,
}

impl Column {
    /// A column of this name.
    pub const fn new(name: &'static str, cell: Cell) -> Self {
        Self { name, cell }
    }
}

/// Where a cell's value stands in the row, from 0, and what it is.
#[derive(Clone, Copy, Debug)]
pub enum Cell {
    /// A `uuid`.
    Id(usize),
    /// A `text` that this server wrote: a status, a token.
    Word(usize),
    /// A `text` typed by people: a name, an address. It may be anything, a formula too.
    Typed(usize),
    /// A `text` typed by people that usually is a telephone or the number of a document.
    Digits(usize),
    /// A whole number.
    Number(usize),
    /// A `timestamptz`, shown to the second.
    Time(usize),
    /// Whole seconds from one `timestamptz` to another.
    Seconds { from: usize, to: usize },
}
