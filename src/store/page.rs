//! Owns pages and sorting of lists. Which fields may be sorted by is each list's own whitelist.

use sqlx::{Postgres, QueryBuilder};

use super::Result;
use crate::domain::words::words;

/// Most rows of one page (Voki's stated limit for users, used for every list).
pub const PAGE_SIZE_MAX: u32 = 100;

/// Voki's default page size.
pub const PAGE_SIZE_DEFAULT: u32 = 20;

/// Which page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    number: u32,
    size: u32,
}

impl Page {
    /// Page `number` (from 1) of `size` rows, both brought into bounds.
    pub fn new(number: u32, size: u32) -> Self {
        Self { number: number.max(1), size: size.clamp(1, PAGE_SIZE_MAX) }
    }

    /// The page's number, from 1.
    pub fn number(self) -> u32 {
        self.number
    }

    /// Rows per page.
    pub fn size(self) -> u32 {
        self.size
    }

    pub(super) fn limit(self) -> i64 {
        i64::from(self.size)
    }

    pub(super) fn offset(self) -> i64 {
        i64::from(self.number - 1) * i64::from(self.size)
    }
}

impl Default for Page {
    fn default() -> Self {
        Self::new(1, PAGE_SIZE_DEFAULT)
    }
}

/// One page of a list and how many rows there are in all.
#[derive(Clone, Debug, PartialEq)]
pub struct Paged<T> {
    pub items: Vec<T>,
    pub page: Page,
    pub total_count: i64,
}

impl<T> Paged<T> {
    /// How many pages there are; an empty list has none.
    pub fn total_pages(&self) -> i64 {
        let size = i64::from(self.page.size);
        (self.total_count + size - 1) / size
    }

    /// The same page of something made of each row.
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> Paged<U> {
        Paged { items: self.items.into_iter().map(each).collect(), page: self.page, total_count: self.total_count }
    }

    /// The same page of something that each row may hold.
    pub(super) fn try_map<U>(self, each: impl FnMut(T) -> Result<U>) -> Result<Paged<U>> {
        let items = self.items.into_iter().map(each).collect::<Result<_>>()?;
        Ok(Paged { items, page: self.page, total_count: self.total_count })
    }
}

words! {
    /// Which way a list is sorted.
    #[derive(Default)]
    SortOrder {
        #[default]
        Asc = "asc",
        Desc = "desc",
    }
}

/// A field of a list's whitelist and a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort<F> {
    pub field: F,
    pub order: SortOrder,
}

impl<F: Default> Default for Sort<F> {
    fn default() -> Self {
        Self { field: F::default(), order: SortOrder::Asc }
    }
}

impl<F> Sort<F> {
    /// Sorts by `field` in `order`.
    pub fn by(field: F, order: SortOrder) -> Self {
        Self { field, order }
    }
}

/// What a list is sorted by, of its own whitelist. Rows without a value come last whichever way it is sorted; but an index
/// that is read backwards begins with them, so only what may be null says where nulls stand. Otherwise no index would serve
/// the newest page, and each would sort all rows of the company.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SortKey {
    /// Every row has one.
    Filled(&'static str),
    /// May be null.
    Nullable(&'static str),
}

/// Sorts a statement by `field`, then by `key`, which every row has, so that pages never overlap.
pub(super) fn push_order(query: &mut QueryBuilder<Postgres>, field: SortKey, order: SortOrder, key: &'static str) {
    let direction = match order {
        SortOrder::Asc => " ASC",
        SortOrder::Desc => " DESC",
    };
    let (field, nulls) = match field {
        SortKey::Filled(field) => (field, ""),
        SortKey::Nullable(field) => (field, " NULLS LAST"),
    };
    query.push(" ORDER BY ").push(field).push(direction).push(nulls).push(", ").push(key).push(direction);
}

/// Ends a list's statement: sorted as by [`push_order`], and cut to `page`.
pub(super) fn push_page(
    query: &mut QueryBuilder<Postgres>,
    field: SortKey,
    order: SortOrder,
    key: &'static str,
    page: Page,
) {
    push_order(query, field, order, key);
    query.push(" LIMIT ").push_bind(page.limit());
    query.push(" OFFSET ").push_bind(page.offset());
}

/// A `LIKE` pattern for "contains `text`", with the wildcards of `text` itself taken literally.
pub(super) fn contains_pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
