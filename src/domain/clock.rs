//! Owns time: the timestamp everybody uses and the only clock of the server. Nothing else may ask the operating system
//! what time it is; the pure core takes `now` as an argument.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds since 1970 UTC: Postgres' own resolution, so that a value read back equals the value written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since 1970 UTC.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970 UTC.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// `seconds` later.
    pub const fn plus_seconds(self, seconds: u64) -> Self {
        Self(self.0.saturating_add((seconds as i64).saturating_mul(1_000_000)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Seconds after `earlier` as a clock without fractions shows them, never negative: who sees both times to the second and
    /// subtracts finds this number, and the parts of a span add up to the whole. `vez_seconds` is the same in SQL.
    pub fn seconds_since(self, earlier: Timestamp) -> i64 {
        (self.0.div_euclid(1_000_000)).saturating_sub(earlier.0.div_euclid(1_000_000)).max(0)
    }

    /// As a calendar time.
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, by: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;
    fn sub(self, by: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at.timestamp_micros())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_utc().to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_utc().to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

/// On the wire: ISO 8601 UTC with second precision, as Voki's samples show.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::schema::{KnownFormat, SchemaFormat, Type};
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl utoipa::ToSchema for Timestamp {
    fn name() -> std::borrow::Cow<'static, str> {
        std::borrow::Cow::Borrowed("Time")
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DateTime::<Utc>::deserialize(deserializer).map(Self::from)
    }
}

/// The server's clock: the wall clock at start plus monotonic time, so that a stepped wall clock never runs deadlines
/// or the order of a line backwards. Tests move a manual one by hand.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System { started_at: Timestamp, started: std::time::Instant },
    Manual(Arc<tokio::sync::watch::Sender<Timestamp>>),
}

impl Clock {
    /// The real clock.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the operating system's clocks")]
    pub fn system() -> Self {
        Self(Kind::System { started_at: Timestamp::from(Utc::now()), started: std::time::Instant::now() })
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn manual(start: Timestamp) -> Self {
        Self(Kind::Manual(Arc::new(tokio::sync::watch::Sender::new(start))))
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::System { started_at, started } => *started_at + started.elapsed(),
            Kind::Manual(now) => *now.borrow(),
        }
    }

    /// Moves a manual clock forward and wakes whoever sleeps until then. A system clock ignores it.
    pub fn advance(&self, by: Duration) {
        if let Kind::Manual(now) = &self.0 {
            now.send_modify(|now| *now = *now + by);
        }
    }

    /// Returns once `now()` has reached `at`.
    pub async fn sleep_until(&self, at: Timestamp) {
        match &self.0 {
            Kind::System { .. } => {
                let wait = at.since(self.now());
                if !wait.is_zero() {
                    tokio::time::sleep(wait).await;
                }
            }
            Kind::Manual(now) => {
                // The sender lives in this clock, so the wait cannot fail before the time has come.
                let _ = now.subscribe().wait_for(|now| *now >= at).await;
            }
        }
    }

    /// The moment, of the runtime's own timer, by which an answer is due: patience with I/O is real time even in tests.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the operating system's clocks")]
    pub fn patience(period: Duration) -> tokio::time::Instant {
        tokio::time::Instant::now() + period
    }

    /// Whether the moment of a `patience` has come.
    pub fn is_out(patience: tokio::time::Instant) -> bool {
        Self::patience(Duration::ZERO) >= patience
    }

    /// Sleeps for `period` on this clock.
    pub async fn sleep(&self, period: Duration) {
        self.sleep_until(self.now() + period).await;
    }
}
