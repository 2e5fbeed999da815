//! Owns when people call: the hours of a day in the company's zone, and how much of the demand falls into each.

use chrono::{Datelike as _, Days, Duration, NaiveDate, TimeZone as _, Weekday};
use chrono_tz::Tz;

use super::chance::Chance;
use crate::domain::clock::Timestamp;

/// Hours of a local day, also of one that has 23 or 25 real ones: then one of them is empty or twice as long.
pub const HOURS: usize = 24;
/// Half hours looked ahead for the end of a gap in local time; no zone ever skipped more than a day.
const GAP_STEPS_MAX: i64 = 48;

/// When a department is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// From 8 to 20, Saturdays until 14; a few hours on Sundays.
    Business,
    /// Day and night.
    Always,
}

/// Calls of a weekday's hours, in parts of the busiest hour: two peaks, as in most centres.
const BUSINESS: [f64; HOURS] = [
    0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.45, 0.80, 1.00, 0.95, 0.70, 0.70, 0.90, 0.95, 0.85, 0.60, 0.40, 0.25,
    0.0, 0.0, 0.0, 0.0,
];
const SATURDAY: [f64; HOURS] = [
    0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.30, 0.40, 0.40, 0.30, 0.20, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    0.0, 0.0,
];
const SUNDAY: [f64; HOURS] = [
    0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.05, 0.08, 0.08, 0.05, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    0.0, 0.0,
];
const ALWAYS: [f64; HOURS] = [
    0.30, 0.20, 0.15, 0.10, 0.10, 0.15, 0.30, 0.50, 0.70, 0.85, 0.95, 0.95, 0.90, 0.85, 0.85, 0.90, 0.90, 0.95, 1.00,
    0.95, 0.85, 0.70, 0.55, 0.40,
];

/// How busy each hour of a weekday is, in parts of the busiest hour of the week's most ordinary day.
pub fn demand(opening: Opening, weekday: Weekday) -> [f64; HOURS] {
    let (hours, busyness) = match (opening, weekday) {
        (Opening::Business, Weekday::Mon) => (BUSINESS, 1.20),
        (Opening::Business, Weekday::Tue) => (BUSINESS, 1.08),
        (Opening::Business, Weekday::Wed | Weekday::Thu) => (BUSINESS, 1.0),
        (Opening::Business, Weekday::Fri) => (BUSINESS, 0.94),
        (Opening::Business, Weekday::Sat) => (SATURDAY, 1.0),
        (Opening::Business, Weekday::Sun) => (SUNDAY, 1.0),
        (Opening::Always, Weekday::Sat | Weekday::Sun) => (ALWAYS, 0.85),
        (Opening::Always, _) => (ALWAYS, 1.0),
    };
    hours.map(|part| part * busyness)
}

/// Whom this weekday needs is on the payroll; on busier ones people wait longer.
pub const ORDINARY: Weekday = Weekday::Tue;

/// One local day.
#[derive(Clone, Copy, Debug)]
pub struct Day {
    pub date: NaiveDate,
    /// When each hour begins, and when the next day does.
    pub hours: [Timestamp; HOURS + 1],
}

impl Day {
    /// That day in a zone.
    pub fn of(zone: Tz, date: NaiveDate) -> Self {
        let mut hours = [Timestamp::default(); HOURS + 1];
        for (hour, at) in (0_i64..).zip(&mut hours) {
            *at = instant(zone, date, hour);
        }
        Self { date, hours }
    }

    /// When the local day is over.
    pub fn end(&self) -> Timestamp {
        self.hours[HOURS]
    }

    pub fn weekday(&self) -> Weekday {
        self.date.weekday()
    }

    /// A moment of an hour; none in an hour that the clocks skipped.
    pub fn within(&self, hour: usize, part: f64) -> Timestamp {
        let (from, to) = (self.hours[hour].micros(), self.hours[hour + 1].micros());
        Timestamp::from_micros(from + ((to - from) as f64 * part) as i64)
    }

    /// Whether the clocks skipped this hour.
    pub fn skips(&self, hour: usize) -> bool {
        self.hours[hour] >= self.hours[hour + 1]
    }
}

/// When a local hour begins: the first of two where the clocks are put back, the end of the gap where they are put forward.
fn instant(zone: Tz, date: NaiveDate, hour: i64) -> Timestamp {
    let midnight = date.and_time(chrono::NaiveTime::MIN);
    for step in 0..=GAP_STEPS_MAX {
        let local = midnight + Duration::hours(hour) + Duration::minutes(30 * step);
        if let Some(at) = zone.from_local_datetime(&local).earliest() {
            return Timestamp::from_micros(at.timestamp_micros());
        }
    }
    Timestamp::from_micros(midnight.and_utc().timestamp_micros())
}

/// The day after.
pub fn next(date: NaiveDate) -> NaiveDate {
    date.checked_add_days(Days::new(1)).unwrap_or(date)
}

/// Divides `total` among `weights` so that nothing is lost to rounding: each part is at most one off its exact share.
pub fn divide(total: u64, weights: &[f64]) -> Vec<u64> {
    let sum: f64 = weights.iter().sum();
    let (mut so_far, mut given) = (0.0, 0);
    let last = weights.iter().rposition(|weight| *weight > 0.0);
    weights
        .iter()
        .enumerate()
        .map(|(index, weight)| {
            so_far += weight;
            let due =
                if Some(index) == last || sum <= 0.0 { total } else { (total as f64 * so_far / sum).round() as u64 };
            let part = due.min(total).saturating_sub(given);
            given += part;
            part
        })
        .collect()
}

/// Days differ by more than their weekday.
pub fn noise(chance: &mut Chance) -> f64 {
    chance.lognormal(1.0, 0.08)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours_of(day: &Day) -> Vec<i64> {
        day.hours.windows(2).map(|pair| pair[1].seconds_since(pair[0])).collect()
    }

    #[test]
    fn days_have_the_hours_their_zone_gives_them() {
        let date = |month, day| NaiveDate::from_ymd_opt(2026, month, day).unwrap();
        let berlin = chrono_tz::Europe::Berlin;
        let spring = Day::of(berlin, date(3, 29));
        assert_eq!(hours_of(&spring)[1..4], [3_600, 0, 3_600], "02:00 is skipped");
        assert!(spring.skips(2) && !spring.skips(3));
        let autumn = Day::of(berlin, date(10, 25));
        assert_eq!(hours_of(&autumn)[1..4], [3_600, 7_200, 3_600], "02:00 comes twice");
        assert_eq!(autumn.end(), Day::of(berlin, date(10, 26)).hours[0]);
        // Midnight itself was skipped.
        let brazil = Day::of(chrono_tz::America::Sao_Paulo, NaiveDate::from_ymd_opt(2018, 11, 4).unwrap());
        assert_eq!(hours_of(&brazil)[..2], [0, 3_600]);
    }

    #[test]
    fn a_total_is_divided_without_loss() {
        for total in [0, 1, 7, 1_000, 9_999_999] {
            let parts = divide(total, &[0.0, 3.0, 0.1, 0.0, 2.0, 0.0]);
            assert_eq!(parts.iter().sum::<u64>(), total);
            assert_eq!((parts[0], parts[3], parts[5]), (0, 0, 0));
        }
    }
}
