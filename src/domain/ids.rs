//! Owns every identifier and the one place that draws randomness. Nothing else may make a UUID or a secret.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use rand::{Rng, RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::clock::Timestamp;

macro_rules! id {
    ($(#[$doc:meta] $name:ident),+ $(,)?) => {$(
        #[$doc]
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                use utoipa::openapi::schema::{KnownFormat, SchemaFormat, Type};
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(Type::String)
                    .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
                    .into()
            }
        }
        // Inlined, since a name for each kind of id would tell an integrator nothing.
        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                std::borrow::Cow::Borrowed("Id")
            }
        }
        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    )+};
}

id! {
    /// A company.
    TenantId,
    /// One queue and the agents who serve it.
    DepartmentId,
    /// One customer's visit.
    CallId,
    /// A member of staff; an agent is a user who serves a department.
    UserId,
    /// A person who called, kept across calls.
    CustomerId,
    /// A company whose people take a company's calls.
    ProviderId,
    /// An access link.
    LinkId,
    /// A call agreed for a certain time.
    AppointmentId,
    /// A notice to a member of staff.
    NotificationId,
    /// A tag of calls.
    TagId,
    /// A group of departments.
    SectorId,
    /// A login's family of refresh tokens; its sockets close with it.
    SessionId,
    /// One connected device (a browser tab, a phone): a socket's membership of one topic.
    DeviceId,
    /// A slot lent by the roster to a queue. The offer made of it carries the same id.
    GrantId,
    /// A hand-pick under way.
    PickId,
}

/// The source of ids and secrets: random in production, seeded in tests so that a failure can be repeated.
#[derive(Clone, Debug)]
pub struct IdSource(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Seeded(Arc<Mutex<rand::rngs::StdRng>>),
}

impl IdSource {
    /// Ids from the operating system's randomness.
    pub fn random() -> Self {
        Self(Source::System)
    }

    /// The same ids in the same order for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new(rand::rngs::StdRng::seed_from_u64(seed)))))
    }

    /// Fills `bytes` with randomness.
    pub fn fill(&self, bytes: &mut [u8]) {
        match &self.0 {
            Source::System => rand::rng().fill_bytes(bytes),
            Source::Seeded(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes),
        }
    }

    /// A number below `bound` (`bound` > 0).
    pub fn below(&self, bound: u64) -> u64 {
        match &self.0 {
            Source::System => rand::rng().random_range(0..bound),
            Source::Seeded(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).random_range(0..bound),
        }
    }

    /// A version 7 UUID: its leading time keeps index pages of new rows together.
    pub fn uuid(&self, now: Timestamp) -> Uuid {
        let mut random = [0u8; 10];
        self.fill(&mut random);
        let millis = u64::try_from(now.micros() / 1_000).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    /// A new id of any kind.
    pub fn next<T: From<Uuid>>(&self, now: Timestamp) -> T {
        T::from(self.uuid(now))
    }

    /// An unguessable URL-safe token with `bytes` bytes of randomness.
    pub fn secret(&self, bytes: usize) -> String {
        use base64::Engine as _;
        let mut raw = vec![0u8; bytes];
        self.fill(&mut raw);
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(raw)
    }
}
