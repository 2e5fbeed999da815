//! Owns small makers of tenants, staff, calls and batches for the store's tests.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;
use vez::domain::agent::{AgentSnapshot, AgentStatus, Held, HeldCause, IdleClock, Intent, WrapUp};
use vez::domain::call::{CallSnapshot, Caller, EndReason, Exclusion, LastOffer, OfferOutcome, Phase};
use vez::domain::clock::{Clock, Timestamp};
use vez::domain::ids::{DepartmentId, IdSource, TenantId, UserId};
use vez::domain::record::RecordEvent;
use vez::domain::role::Role;
use vez::domain::transfer::Transfer;
use vez::store::departments::{self, DepartmentChange};
use vez::store::ownership::Ownership;
use vez::store::record::{Batch, RecordWriter, TenantBatch};
use vez::store::tenants::{self, NewTenant, Plan};
use vez::store::users::{self, NewUser, User};
use vez::store::{Result, Store, Work};

/// A company with one department and one attendant who serves it.
pub struct World {
    pub store: Store,
    pub ids: IdSource,
    pub now: Timestamp,
    pub tenant: TenantId,
    pub department: DepartmentId,
    pub user: UserId,
}

impl World {
    pub async fn new(store: &Store, slug: &str) -> Self {
        let ids = IdSource::random();
        let now = Clock::system().now();
        let tenant = ids.next(now);
        let new = NewTenant {
            id: tenant,
            slug: slug.to_owned(),
            name: format!("Company {slug}"),
            plan: Plan::Professional,
            time_zone: chrono_tz::America::Sao_Paulo,
        };
        tenants::create(store, new, now).await.unwrap();
        let department = ids.next(now);
        let change = DepartmentChange { name: Some("Suporte Técnico".to_owned()), ..Default::default() };
        let mut work = store.work(tenant, now, None).await.unwrap();
        departments::create(&mut work, department, change).await.unwrap();
        work.commit().await.unwrap();
        let mut world = Self { store: store.clone(), ids, now, tenant, department, user: UserId(Uuid::nil()) };
        world.user = world.add_user("Ana", "ana@example.com").await.unwrap().id;
        let mut work = world.work().await;
        departments::add_user(&mut work, department, world.user).await.unwrap();
        work.commit().await.unwrap();
        world
    }

    pub async fn work(&self) -> Work {
        self.store.work(self.tenant, self.now, None).await.unwrap()
    }

    pub async fn add_user(&self, name: &str, email: &str) -> Result<User> {
        let new = NewUser {
            id: self.ids.next(self.now),
            name: name.to_owned(),
            email: email.to_owned(),
            password_hash: "hash".to_owned(),
            role: Role::Attendant,
            locale: None,
            capacity: 2,
            skills: vec!["pt".to_owned(), "vip".to_owned()],
            active: true,
            avatar_url: None,
        };
        let mut work = self.work().await;
        let user = users::create(&mut work, new).await?;
        work.commit().await?;
        Ok(user)
    }

    /// A call that has just joined, with every column set that may be.
    pub fn call(&self, number: i64) -> CallSnapshot {
        CallSnapshot {
            id: self.ids.next(self.now),
            number,
            department_id: self.department,
            link_id: None,
            caller: Arc::new(Caller {
                customer_id: self.ids.next(self.now),
                name: "Carlos 100%".into(),
                email: Some(format!("carlos{number}@example.com").into()),
                phone: Some(format!("+55119{number:08}").into()),
                reason: Some("Não liga".into()),
            }),
            priority: 3,
            requirements: ["pt".into(), "vip".into()].into(),
            join_key: None,
            joined_at: self.now,
            ranked_at: self.now,
            service_level_seconds: 20,
            estimate: Default::default(),
            phase: Phase::Waiting,
            end_reason: None,
            user_id: None,
            user_name: None,
            grant_id: None,
            assigned_at: None,
            accepted_at: None,
            started_at: None,
            ended_at: None,
            wrap_up_ends_at: None,
            exclusions: vec![Exclusion { user_id: self.user, until_micros: self.now.micros() + 30_000_001 }],
            last_offer: Some(LastOffer {
                offer_id: self.ids.next(self.now),
                user_id: self.user,
                outcome: OfferOutcome::TimedOut,
            }),
            transfer: Some(Box::new(Transfer {
                count: 2,
                at_micros: self.now.micros() + 1,
                by: self.user,
                from_department_id: self.department,
                from_user_id: Some(self.user),
                to_user_id: Some(self.user),
                kept_until_micros: Some(self.now.micros() + 20_000_001),
                reason: Some("Fatura".into()),
            })),
            connected: true,
            version: 1,
            changed_at: self.now,
        }
    }

    /// The next version of a call.
    pub fn next(&self, call: &CallSnapshot, change: impl FnOnce(&mut CallSnapshot)) -> CallSnapshot {
        let mut call = call.clone();
        call.version += 1;
        change(&mut call);
        call
    }

    /// The call after a talk that ended at `at`.
    pub fn completed(&self, call: &CallSnapshot, at: Timestamp) -> CallSnapshot {
        self.next(call, |call| {
            call.phase = Phase::Ended;
            call.end_reason = Some(EndReason::Completed);
            call.user_id = Some(self.user);
            call.accepted_at = Some(call.joined_at.plus_seconds(5));
            call.started_at = Some(call.joined_at.plus_seconds(10));
            call.ended_at = Some(at);
            call.wrap_up_ends_at = Some(at.plus_seconds(15));
        })
    }

    pub fn agent(&self, version: i64) -> AgentSnapshot {
        AgentSnapshot {
            user_id: self.user,
            intent: Intent { status: AgentStatus::Paused, reason: Some("lunch".into()) },
            intent_since: self.now,
            after_call: Some(Intent::plain(AgentStatus::Offline)),
            held: Some(Held { cause: HeldCause::MissedOffers, since: Timestamp::from_micros(self.now.micros() + 7) }),
            misses: 2,
            leased: true,
            wrap_ups: vec![WrapUp {
                department_id: None,
                call_id: self.ids.next(self.now),
                ends_at_micros: self.now.micros() + 60_000_001,
                kept_until_micros: self.now.micros() + 61_000_000,
            }],
            idle: IdleClock::Stopped { elapsed_micros: 123_456_789 },
            rotation: 42,
            calls_today: 7,
            version,
            changed_at: self.now,
        }
    }

    pub fn event(&self, kind: &'static str, call: Option<&CallSnapshot>) -> RecordEvent {
        RecordEvent {
            kind,
            at: self.now,
            call_id: call.map(|call| call.id),
            department_id: Some(self.department),
            user_id: None,
            data: if call.is_some() { json!({ "why": kind }) } else { Value::Null },
        }
    }

    /// A batch of this tenant only.
    pub fn batch(&self, part: TenantBatch) -> Batch {
        Batch { tenants: [(self.tenant, part)].into() }
    }

    /// A batch of the newest form of one call and a fact about it.
    pub fn batch_of(&self, call: &CallSnapshot) -> Batch {
        self.batch(TenantBatch {
            events: vec![self.event("call_changed", Some(call))],
            calls: vec![Arc::new(call.clone())],
            ..TenantBatch::default()
        })
    }
}

/// Takes the database over and gives a writer in the new owner's name. Dropping the ownership lets go of the lock only.
pub async fn writer(store: &Store, options: &sqlx::postgres::PgConnectOptions) -> RecordWriter {
    let clock = Clock::system();
    let owner =
        Ownership::acquire(options, Uuid::from_u128(1), std::time::Duration::from_secs(5), &clock).await.unwrap();
    let epoch = owner.epoch;
    owner.release(clock.now()).await.unwrap();
    RecordWriter::new(store.system().clone(), 0, epoch)
}

/// A batch id.
pub fn batch_id() -> Uuid {
    let ids = IdSource::random();
    ids.uuid(Clock::system().now())
}
