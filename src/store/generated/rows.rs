//! Owns what generated rows are made of, and how each becomes a row of COPY. The order of the fields is that of the lists of
//! columns in `mod.rs`, beside each other on purpose: whoever changes one changes both.

use std::fmt::Write as _;

use uuid::Uuid;

use super::tuples::Tuples;
use crate::domain::call::{EndReason, LastOffer, Phase, status};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, CustomerId, DepartmentId, GrantId, LinkId, TenantId, UserId};
use crate::domain::transfer::Transfer;

/// A call that has ended, as the record would have left it.
#[derive(Clone, Copy, Debug)]
pub struct CallRow<'a> {
    pub id: CallId,
    pub number: i64,
    pub department_id: DepartmentId,
    pub link_id: Option<LinkId>,
    pub customer_id: CustomerId,
    pub customer: &'a Contact,
    pub reason: Option<&'a str>,
    pub priority: u8,
    pub joined_at: Timestamp,
    pub ranked_at: Timestamp,
    pub end_reason: EndReason,
    pub user_id: Option<UserId>,
    pub grant_id: Option<GrantId>,
    pub assigned_at: Option<Timestamp>,
    pub accepted_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Timestamp,
    pub wrap_up_ends_at: Option<Timestamp>,
    pub last_offer: Option<LastOffer>,
    pub transfer: Option<&'a Transfer>,
    pub connected: bool,
    /// The department's at the join, in seconds.
    pub service_level_seconds: u32,
    /// What was told at the join: seconds that half, and nine of ten, wait at most.
    pub estimate: (Option<u64>, Option<u64>),
    pub version: i64,
    pub rating: Option<Rating<'a>>,
    pub notes: Option<&'a str>,
    pub cancel_reason: Option<&'a str>,
}

/// What a customer said of a call.
#[derive(Clone, Copy, Debug)]
pub struct Rating<'a> {
    /// From 1 to 5.
    pub stars: i16,
    pub comment: Option<&'a str>,
    pub verified: bool,
    pub at: Timestamp,
}

/// How somebody is called and reached. The texts are filled anew for each row, so that none is allocated for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    pub name: String,
    /// Empty: none, as are the others.
    pub email: String,
    pub phone: String,
    pub document: String,
}

/// A customer at the first call.
#[derive(Clone, Copy, Debug)]
pub struct CustomerRow<'a> {
    pub id: CustomerId,
    pub contact: &'a Contact,
    pub at: Timestamp,
}

/// A link for one use.
#[derive(Clone, Copy, Debug)]
pub struct LinkRow<'a> {
    pub id: LinkId,
    pub token: &'a str,
    pub department_id: DepartmentId,
    pub customer_id: Option<CustomerId>,
    pub contact: &'a Contact,
    pub inserted_at: Timestamp,
    pub expires_at: Timestamp,
    /// When it was used, and by which call.
    pub used: Option<(Timestamp, CallId)>,
    pub cancelled_at: Option<Timestamp>,
}

/// A fact of the feed; its number is taken when it is written.
#[derive(Clone, Copy, Debug)]
pub struct FactRow<'a> {
    pub kind: &'static str,
    pub at: Timestamp,
    pub call_id: Option<CallId>,
    pub department_id: Option<DepartmentId>,
    pub user_id: Option<UserId>,
    /// JSON.
    pub data: Option<&'a str>,
}

/// What an agent chose for a while, as the record measures it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntervalRow {
    pub user_id: UserId,
    /// `available`, `paused` or `disconnected`.
    pub status: &'static str,
    pub reason: Option<&'static str>,
    pub capacity: u8,
    pub from: Timestamp,
    pub until: Timestamp,
}

/// Rows that are written in one transaction.
#[derive(Debug, Default)]
pub struct Chunk {
    tenant: Uuid,
    pub(super) calls: Tuples,
    pub(super) customers: Tuples,
    pub(super) links: Tuples,
    pub(super) facts: Tuples,
    pub(super) intervals: Tuples,
    /// JSON on its way into a row.
    json: String,
}

impl Chunk {
    /// An empty chunk for this company.
    pub fn new(tenant: TenantId) -> Self {
        Self { tenant: tenant.0, ..Self::default() }
    }

    /// Calls in it.
    pub fn calls(&self) -> u64 {
        self.calls.rows()
    }

    /// Bytes it takes, about.
    pub fn bytes(&self) -> usize {
        [&self.calls, &self.customers, &self.links, &self.facts, &self.intervals]
            .iter()
            .map(|tuples| tuples.len())
            .sum()
    }

    /// Rows in it: calls, customers, links, facts.
    pub fn rows(&self) -> [u64; 4] {
        [self.calls.rows(), self.customers.rows(), self.links.rows(), self.facts.rows()]
    }

    /// Appends a call.
    pub fn call(&mut self, call: &CallRow<'_>) {
        let Self { tenant, calls: to, json, .. } = self;
        to.row(super::CALL_FIELDS);
        to.uuid(*tenant);
        to.uuid(call.id.0);
        to.int8(call.number);
        to.uuid(call.department_id.0);
        to.maybe(call.link_id, |to, id| to.uuid(id.0));
        to.uuid(call.customer_id.0);
        to.text(&call.customer.name);
        to.maybe(given(&call.customer.email), Tuples::text);
        to.maybe(given(&call.customer.phone), Tuples::text);
        to.maybe(call.reason, Tuples::text);
        to.int2(i16::from(call.priority));
        to.time(call.joined_at);
        to.time(call.ranked_at);
        to.text(Phase::Ended.as_str());
        to.text(status(Phase::Ended, Some(call.end_reason), call.started_at.is_some()).as_str());
        to.text(call.end_reason.as_str());
        to.maybe(call.user_id, |to, id| to.uuid(id.0));
        to.maybe(call.grant_id, |to, id| to.uuid(id.0));
        to.maybe(call.assigned_at, Tuples::time);
        to.maybe(call.accepted_at, Tuples::time);
        to.maybe(call.started_at, Tuples::time);
        to.time(call.ended_at);
        to.maybe(call.wrap_up_ends_at, Tuples::time);
        to.maybe(call.last_offer, |to, offer| {
            json.clear();
            let (offer_id, user_id, outcome) = (offer.offer_id, offer.user_id, offer.outcome.as_str());
            let _ = write!(json, r#"{{"offer_id":"{offer_id}","user_id":"{user_id}","outcome":"{outcome}"}}"#);
            to.jsonb(json);
        });
        // Few calls are transferred, so this one may cost an allocation.
        to.maybe(call.transfer.and_then(|transfer| serde_json::to_string(transfer).ok()), |to, text| to.jsonb(&text));
        to.bool(call.connected);
        // When this version was made; a rating makes none.
        to.time(call.ended_at);
        to.int8(call.version);
        to.maybe(call.rating, |to, rating| to.int2(rating.stars));
        to.maybe(call.rating.and_then(|rating| rating.comment), Tuples::text);
        to.maybe(call.rating, |to, rating| to.bool(rating.verified));
        to.maybe(call.rating, |to, rating| to.time(rating.at));
        to.maybe(call.notes, Tuples::text);
        to.maybe(call.cancel_reason, Tuples::text);
        to.int4(whole(u64::from(call.service_level_seconds)));
        to.maybe(call.estimate.0, |to, seconds| to.int4(whole(seconds)));
        to.maybe(call.estimate.1, |to, seconds| to.int4(whole(seconds)));
    }

    /// Appends a customer.
    pub fn customer(&mut self, customer: &CustomerRow<'_>) {
        let (tenant, to) = (self.tenant, &mut self.customers);
        to.row(super::CUSTOMER_FIELDS);
        to.uuid(tenant);
        to.uuid(customer.id.0);
        to.text(&customer.contact.name);
        to.maybe(given(&customer.contact.email), Tuples::text);
        to.maybe(given(&customer.contact.phone), Tuples::text);
        to.maybe(given(&customer.contact.document), Tuples::text);
        to.time(customer.at);
        to.time(customer.at);
    }

    /// Appends a link.
    pub fn link(&mut self, link: &LinkRow<'_>) {
        let (tenant, to) = (self.tenant, &mut self.links);
        to.row(super::LINK_FIELDS);
        to.uuid(tenant);
        to.uuid(link.id.0);
        to.text(link.token);
        to.uuid(link.department_id.0);
        to.maybe(link.customer_id, |to, id| to.uuid(id.0));
        to.text(&link.contact.name);
        to.maybe(given(&link.contact.email), Tuples::text);
        to.maybe(given(&link.contact.phone), Tuples::text);
        to.time(link.expires_at);
        to.int4(1);
        to.int4(i32::from(link.used.is_some()));
        to.maybe(link.used, |to, (at, _)| to.time(at));
        to.maybe(link.used, |to, (_, call)| to.uuid(call.0));
        to.maybe(link.cancelled_at, Tuples::time);
        to.time(link.inserted_at);
    }

    /// Appends an interval of an agent's time.
    pub fn interval(&mut self, interval: &IntervalRow) {
        let (tenant, to) = (self.tenant, &mut self.intervals);
        to.row(super::INTERVAL_FIELDS);
        to.uuid(tenant);
        to.uuid(interval.user_id.0);
        to.text(interval.status);
        to.maybe(interval.reason, Tuples::text);
        to.int2(i16::from(interval.capacity));
        to.time(interval.from);
        to.time(interval.until);
    }

    /// Appends a fact, after those before it.
    pub fn fact(&mut self, fact: &FactRow<'_>) {
        let to = &mut self.facts;
        to.row(super::FACT_FIELDS);
        to.int8(i64::try_from(to.rows()).unwrap_or(i64::MAX));
        to.text(fact.kind);
        to.time(fact.at);
        to.maybe(fact.call_id, |to, id| to.uuid(id.0));
        to.maybe(fact.department_id, |to, id| to.uuid(id.0));
        to.maybe(fact.user_id, |to, id| to.uuid(id.0));
        to.maybe(fact.data, Tuples::jsonb);
    }
}

fn whole(seconds: u64) -> i32 {
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

fn given(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
