//! Owns days of a company's own calendar: where they begin and end.

use super::{is_storable, time_of};
use crate::domain::clock::Timestamp;

/// One end of a range of dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayOrTime {
    Day(chrono::NaiveDate),
    Time(Timestamp),
    /// What the company's own clocks show, to the second.
    Local(chrono::NaiveDateTime),
}

impl DayOrTime {
    /// A day as `2026-02-01`, or a time in ISO 8601, with an offset or without. In a query the `+` of an offset arrives as a blank
    /// when the client did not escape it.
    pub fn read(text: &str) -> Option<Self> {
        let day = text.parse().ok().filter(|day: &chrono::NaiveDate| is_storable(*day));
        let time = || time_of(text).or_else(|| time_of(&text.replace(' ', "+")));
        day.map(DayOrTime::Day)
            .or_else(|| time().map(DayOrTime::Time))
            .or_else(|| time_without_offset(text).map(DayOrTime::Local))
    }

    /// Takes a time without an offset as UTC.
    pub fn in_utc(self) -> Self {
        match self {
            DayOrTime::Local(time) => DayOrTime::Time(time.and_utc().into()),
            told => told,
        }
    }

    /// The first moment that belongs to it, in `zone`.
    pub fn start(self, zone: chrono_tz::Tz) -> Timestamp {
        match self {
            DayOrTime::Time(time) => time,
            DayOrTime::Day(day) => midnight(day, zone),
            DayOrTime::Local(local) => first_showing(local, zone, false),
        }
    }

    /// The first moment after it, in `zone`; a moment includes its whole second, whatever fraction of it was given.
    pub fn end(self, zone: chrono_tz::Tz) -> Timestamp {
        match self {
            DayOrTime::Time(time) => next_second(time),
            DayOrTime::Local(local) => next_second(first_showing(local, zone, true)),
            DayOrTime::Day(day) => midnight(day.succ_opt().unwrap_or(day), zone),
        }
    }
}

fn time_without_offset(text: &str) -> Option<chrono::NaiveDateTime> {
    let text = text.replace(' ', "T");
    let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    let time = forms.iter().find_map(|form| chrono::NaiveDateTime::parse_from_str(&text, form).ok());
    time.filter(|time| is_storable(*time))
}

/// When the second after that of `time` begins.
fn next_second(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.micros().div_euclid(1_000_000) * 1_000_000).plus_seconds(1)
}

/// The first moment of `day` in `zone`. Where clocks skip midnight, the day begins at the first minute they show.
fn midnight(day: chrono::NaiveDate, zone: chrono_tz::Tz) -> Timestamp {
    first_showing(day.and_time(chrono::NaiveTime::MIN), zone, false)
}

/// When the clocks of `zone` show `local`: of two such moments, in autumn, the first or the `last`; where they skip it, in
/// spring, when they show the next quarter of an hour that exists.
fn first_showing(local: chrono::NaiveDateTime, zone: chrono_tz::Tz, last: bool) -> Timestamp {
    use chrono::TimeZone as _;
    // No zone skips more than three hours; quarters of an hour meet every known change.
    (0..=12)
        .filter_map(|quarters| local.checked_add_signed(chrono::TimeDelta::minutes(quarters * 15)))
        .find_map(|local| {
            let moments = zone.from_local_datetime(&local);
            if last { moments.latest() } else { moments.earliest() }
        })
        .map_or_else(|| Timestamp::from(local.and_utc()), |at| at.to_utc().into())
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

    #[test]
    fn a_time_without_an_offset_is_what_the_companys_clocks_show() {
        let zone = chrono_tz::America::New_York;
        let local = |text: &str| DayOrTime::read(text).unwrap();
        assert_eq!(local("2026-02-01 10:00"), local("2026-02-01T10:00:00"));
        assert_eq!(local("2026-02-01T10:00:00").in_utc().start(zone).to_string(), "2026-02-01T10:00:00Z");
        assert_eq!(local("2026-02-01T10:00:00").start(zone).to_string(), "2026-02-01T15:00:00Z");
        assert_eq!(local("2026-02-01T10:00:00").end(zone).to_string(), "2026-02-01T15:00:01Z");
        // 01:30 comes twice on 1 November; from it means from the first, until it until the second.
        assert_eq!(local("2026-11-01T01:30:00").start(zone).to_string(), "2026-11-01T05:30:00Z");
        assert_eq!(local("2026-11-01T01:30:00").end(zone).to_string(), "2026-11-01T06:30:01Z");
        // 02:30 does not come on 8 March: the next that is shown is 03:00.
        assert_eq!(local("2026-03-08T02:30:00").start(zone).to_string(), "2026-03-08T07:00:00Z");
    }

    #[test]
    fn the_last_second_of_a_day_does_not_reach_into_the_next() {
        let last = DayOrTime::Time(Timestamp::from_micros(1_748_822_399_999_999));
        assert_eq!(last.end(chrono_tz::UTC).to_string(), "2025-06-02T00:00:00Z");
    }
}
