//! Owns days of a company's own calendar: where they begin and end.

use super::{is_storable, time_of};
use crate::domain::clock::Timestamp;

/// One end of a range of dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayOrTime {
    Day(chrono::NaiveDate),
    Time(Timestamp),
}

impl DayOrTime {
    /// A day as `2026-02-01`, or a time in ISO 8601. In a query the `+` of an offset arrives as a blank when the client did not
    /// escape it.
    pub fn read(text: &str) -> Option<Self> {
        let day = text.parse().ok().filter(|day: &chrono::NaiveDate| is_storable(*day));
        let time = || time_of(text).or_else(|| time_of(&text.replace(' ', "+")));
        day.map(DayOrTime::Day).or_else(|| time().map(DayOrTime::Time))
    }

    /// The first moment that belongs to it, in `zone`.
    pub fn start(self, zone: chrono_tz::Tz) -> Timestamp {
        match self {
            DayOrTime::Time(time) => time,
            DayOrTime::Day(day) => midnight(day, zone),
        }
    }

    /// The first moment after it, in `zone`; a moment given to the second includes that second.
    pub fn end(self, zone: chrono_tz::Tz) -> Timestamp {
        match self {
            DayOrTime::Time(time) => time.plus_seconds(1),
            DayOrTime::Day(day) => midnight(day.succ_opt().unwrap_or(day), zone),
        }
    }
}

/// The first moment of `day` in `zone`. Where clocks skip midnight, the day begins at the first minute they show.
fn midnight(day: chrono::NaiveDate, zone: chrono_tz::Tz) -> Timestamp {
    use chrono::TimeZone as _;
    // No zone skips more than three hours; quarters of an hour meet every known change.
    (0..=12)
        .filter_map(|quarter| day.and_hms_opt(quarter / 4, quarter % 4 * 15, 0))
        .find_map(|local| zone.from_local_datetime(&local).earliest())
        .map_or_else(|| Timestamp::from(day.and_time(chrono::NaiveTime::MIN).and_utc()), |at| at.to_utc().into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_bare_date_is_the_companys_whole_day() {
        let zone = chrono_tz::America::Sao_Paulo;
        let day = DayOrTime::Day("2026-02-01".parse().unwrap());
        assert_eq!(day.start(zone).to_string(), "2026-02-01T03:00:00Z");
        assert_eq!(day.end(zone).to_string(), "2026-02-02T03:00:00Z");
        // In 2017 São Paulo's clocks skipped from 23:59 on 14 October to 01:00.
        let skipped = DayOrTime::Day("2017-10-15".parse().unwrap());
        assert_eq!(skipped.start(zone).to_string(), "2017-10-15T03:00:00Z");
    }
}
