//! Owns ranges of days: `date_from` and `date_to`, their defaults, and which moments they mean in a company's zone.

use chrono::{Days, NaiveDate};
use chrono_tz::Tz;

use super::dates::DayOrTime;
use super::params::Params;
use crate::domain::clock::Timestamp;
use crate::http::error::{ApiError, FieldErrors};

/// A range as it was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DateRange {
    pub from: Option<DayOrTime>,
    pub to: Option<DayOrTime>,
}

/// The moments `[from, to)`, and the first and the last day that they touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: Timestamp,
    pub to: Timestamp,
    pub first_day: NaiveDate,
    pub last_day: NaiveDate,
}

impl DateRange {
    /// What it means in `zone`. Without an end it ends today, without a beginning it begins `days` before its end. `None` when
    /// it ends before it begins.
    pub fn span(self, zone: Tz, now: Timestamp, days: u64) -> Option<Span> {
        let to = self.to.unwrap_or(DayOrTime::Day(day_of(now, zone)));
        let last_day = match to {
            DayOrTime::Day(day) => day,
            DayOrTime::Time(time) => day_of(time, zone),
            DayOrTime::Local(time) => time.date(),
        };
        let from = self.from.unwrap_or(DayOrTime::Day(last_day.checked_sub_days(Days::new(days)).unwrap_or(last_day)));
        let first_day = match from {
            DayOrTime::Day(day) => day,
            DayOrTime::Time(time) => day_of(time, zone),
            DayOrTime::Local(time) => time.date(),
        };
        let (from, to) = (from.start(zone), to.end(zone));
        (from < to).then_some(Span { from, to, first_day, last_day })
    }

    /// As `span`, refusing with 400 a range that ends before it begins.
    pub fn required_span(self, zone: Tz, now: Timestamp, days: u64) -> Result<Span, ApiError> {
        let inverted = || ApiError::BadParameters(FieldErrors::of("date_from", "must not be after date_to"));
        self.span(zone, now, days).ok_or_else(inverted)
    }
}

/// The day of the calendar that people in `zone` have at this moment.
pub fn day_of(time: Timestamp, zone: Tz) -> NaiveDate {
    time.to_utc().with_timezone(&zone).date_naive()
}

impl Params {
    /// `date_from` and `date_to`.
    pub fn date_range(&mut self) -> Result<DateRange, ApiError> {
        let (from, to) = (self.day_or_time("date_from"), self.day_or_time("date_to"));
        Ok(DateRange { from: from?, to: to? })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn time(text: &str) -> Timestamp {
        Timestamp::from(chrono::DateTime::parse_from_rfc3339(text).unwrap().to_utc())
    }

    fn span(from: &str, to: &str) -> Option<(String, String, String, String)> {
        let zone = chrono_tz::America::Sao_Paulo;
        let read = |text: &str| (!text.is_empty()).then(|| DayOrTime::read(text).unwrap());
        let range = DateRange { from: read(from), to: read(to) };
        // Still 18 February there.
        let span = range.span(zone, time("2026-02-19T02:00:00Z"), 30)?;
        Some((span.from.to_string(), span.to.to_string(), span.first_day.to_string(), span.last_day.to_string()))
    }

    #[test]
    fn a_range_is_of_whole_days_of_the_companys_zone() {
        let of = |from: &str, to: &str, first: &str, last: &str| {
            Some((from.to_owned(), to.to_owned(), first.to_owned(), last.to_owned()))
        };
        let last_month = of("2026-01-19T03:00:00Z", "2026-02-19T03:00:00Z", "2026-01-19", "2026-02-18");
        assert_eq!(span("", ""), last_month);
        assert_eq!(
            span("", "2026-01-02"),
            of("2025-12-03T03:00:00Z", "2026-01-03T03:00:00Z", "2025-12-03", "2026-01-02")
        );
        assert_eq!(
            span("2026-02-01", "2026-02-01"),
            of("2026-02-01T03:00:00Z", "2026-02-02T03:00:00Z", "2026-02-01", "2026-02-01")
        );
        let from = "2026-02-01T00:30:00Z";
        assert_eq!(span(from, from), of(from, "2026-02-01T00:30:01Z", "2026-01-31", "2026-01-31"));
        assert_eq!(span("2026-02-02", "2026-02-01"), None);
        assert_eq!(span("2026-02-19", ""), None);
        assert_eq!(span("2026-02-01T00:30:01Z", from), None);
    }

    #[test]
    fn days_of_clocks_that_change_are_as_long_as_they_are() {
        let zone = chrono_tz::Europe::Lisbon;
        let hours = |day: &str| {
            let day = Some(DayOrTime::read(day).unwrap());
            let span = DateRange { from: day, to: day }.span(zone, Timestamp::default(), 30).unwrap();
            span.to.seconds_since(span.from) / 3_600
        };
        assert_eq!((hours("2026-03-29"), hours("2026-03-30"), hours("2026-10-25")), (23, 24, 25));
    }
}
