//! Owns turning a batch into the arrays that `record.sql` takes: one vector per column, rows in the order of the batch.
//! It borrows every text from the snapshots.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use super::record::{Batch, TenantBatch};
use crate::domain::agent::{AgentSnapshot, IdleClock, WrapUp};
use crate::domain::call::{CallSnapshot, Exclusion, LastOffer};
use crate::domain::clock::Timestamp;
use crate::domain::ids::TenantId;
use crate::domain::transfer::Transfer;

type Time = DateTime<Utc>;

/// Every array of one batch.
#[derive(Default)]
pub(super) struct Columns<'a> {
    pub counters: CounterColumns,
    pub calls: CallColumns<'a>,
    pub agents: AgentColumns<'a>,
    pub events: EventColumns<'a>,
    pub customers: CustomerColumns<'a>,
    pub links: LinkColumns,
    pub told: ToldColumns<'a>,
}

#[derive(Default)]
pub(super) struct CounterColumns {
    pub tenant_id: Vec<Uuid>,
    pub events: Vec<i64>,
}

#[derive(Default)]
pub(super) struct CallColumns<'a> {
    pub tenant_id: Vec<Uuid>,
    pub id: Vec<Uuid>,
    pub number: Vec<i64>,
    pub department_id: Vec<Uuid>,
    pub link_id: Vec<Option<Uuid>>,
    pub customer_id: Vec<Uuid>,
    pub customer_name: Vec<&'a str>,
    pub customer_email: Vec<Option<&'a str>>,
    pub customer_phone: Vec<Option<&'a str>>,
    pub reason: Vec<Option<&'a str>>,
    pub priority: Vec<i16>,
    pub requirements: Vec<Option<Json<Vec<&'a str>>>>,
    pub join_key: Vec<Option<&'a str>>,
    pub inserted_at: Vec<Time>,
    pub ranked_at: Vec<Time>,
    pub phase: Vec<&'static str>,
    pub status: Vec<&'static str>,
    pub end_reason: Vec<Option<&'static str>>,
    pub user_id: Vec<Option<Uuid>>,
    pub grant_id: Vec<Option<Uuid>>,
    pub assigned_at: Vec<Option<Time>>,
    pub accepted_at: Vec<Option<Time>>,
    pub started_at: Vec<Option<Time>>,
    pub completed_at: Vec<Option<Time>>,
    pub wrap_up_ends_at: Vec<Option<Time>>,
    pub exclusions: Vec<Option<Json<&'a [Exclusion]>>>,
    pub last_offer: Vec<Option<Json<LastOffer>>>,
    pub transfer: Vec<Option<Json<&'a Transfer>>>,
    pub service_level_seconds: Vec<i32>,
    pub estimated_wait_seconds: Vec<Option<i32>>,
    pub estimated_wait_p90_seconds: Vec<Option<i32>>,
    pub connected: Vec<bool>,
    pub updated_at: Vec<Time>,
    pub version: Vec<i64>,
}

#[derive(Default)]
pub(super) struct AgentColumns<'a> {
    pub tenant_id: Vec<Uuid>,
    pub user_id: Vec<Uuid>,
    pub status: Vec<&'static str>,
    pub pause_reason: Vec<Option<&'a str>>,
    pub status_since: Vec<Time>,
    pub after_call_status: Vec<Option<&'static str>>,
    pub after_call_reason: Vec<Option<&'a str>>,
    pub held_cause: Vec<Option<&'static str>>,
    pub held_since: Vec<Option<Time>>,
    pub misses: Vec<i16>,
    pub leased: Vec<bool>,
    pub wrap_ups: Vec<Option<Json<&'a [WrapUp]>>>,
    pub wrap_up_until: Vec<Option<Time>>,
    pub idle: Vec<Json<IdleClock>>,
    pub rotation: Vec<i64>,
    pub calls_today: Vec<i32>,
    pub updated_at: Vec<Time>,
    pub version: Vec<i64>,
}

#[derive(Default)]
pub(super) struct EventColumns<'a> {
    pub tenant_id: Vec<Uuid>,
    /// The place among the tenant's events of this batch, from 1.
    pub place: Vec<i64>,
    pub kind: Vec<&'static str>,
    pub at: Vec<Time>,
    pub call_id: Vec<Option<Uuid>>,
    pub department_id: Vec<Option<Uuid>>,
    pub user_id: Vec<Option<Uuid>>,
    pub data: Vec<Option<&'a Value>>,
}

#[derive(Default)]
pub(super) struct CustomerColumns<'a> {
    pub tenant_id: Vec<Uuid>,
    pub id: Vec<Uuid>,
    pub name: Vec<&'a str>,
    pub email: Vec<Option<&'a str>>,
    pub phone: Vec<Option<&'a str>>,
    pub at: Vec<Time>,
}

#[derive(Default)]
pub(super) struct LinkColumns {
    pub tenant_id: Vec<Uuid>,
    pub id: Vec<Uuid>,
    pub at: Vec<Time>,
    pub call_id: Vec<Option<Uuid>>,
}

#[derive(Default)]
pub(super) struct ToldColumns<'a> {
    pub tenant_id: Vec<Uuid>,
    pub event: Vec<&'static str>,
    pub subject_id: Vec<Uuid>,
    pub at: Vec<Time>,
    pub data: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    /// The arrays of `batch`.
    pub fn of(batch: &'a Batch) -> Self {
        let mut columns = Self::default();
        for (&tenant, part) in &batch.tenants {
            if !part.events.is_empty() {
                columns.counters.tenant_id.push(tenant.0);
                columns.counters.events.push(part.events.len() as i64);
            }
            for call in &part.calls {
                columns.calls.push(tenant, call);
            }
            for agent in &part.agents {
                columns.agents.push(tenant, agent);
            }
            columns.events.extend(tenant, part);
            columns.customers.extend(tenant, part);
            columns.links.extend(tenant, part);
            columns.told.extend(tenant, part);
        }
        columns
    }
}

fn time(at: Timestamp) -> Time {
    at.to_utc()
}

/// Estimates end at a day.
fn seconds(seconds: u64) -> i32 {
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

impl<'a> CallColumns<'a> {
    fn push(&mut self, tenant: TenantId, call: &'a CallSnapshot) {
        self.tenant_id.push(tenant.0);
        self.id.push(call.id.0);
        self.number.push(call.number);
        self.department_id.push(call.department_id.0);
        self.link_id.push(call.link_id.map(|id| id.0));
        self.customer_id.push(call.caller.customer_id.0);
        self.customer_name.push(&call.caller.name);
        self.customer_email.push(call.caller.email.as_deref());
        self.customer_phone.push(call.caller.phone.as_deref());
        self.reason.push(call.caller.reason.as_deref());
        self.priority.push(i16::from(call.priority));
        let skills = || Json(call.requirements.iter().map(|skill| &**skill).collect());
        self.requirements.push((!call.requirements.is_empty()).then(skills));
        self.join_key.push(call.join_key.as_deref());
        self.inserted_at.push(time(call.joined_at));
        self.ranked_at.push(time(call.ranked_at));
        self.phase.push(call.phase.as_str());
        self.status.push(call.status().as_str());
        self.end_reason.push(call.end_reason.map(|reason| reason.as_str()));
        self.user_id.push(call.user_id.map(|id| id.0));
        self.grant_id.push(call.grant_id.map(|id| id.0));
        self.assigned_at.push(call.assigned_at.map(time));
        self.accepted_at.push(call.accepted_at.map(time));
        self.started_at.push(call.started_at.map(time));
        self.completed_at.push(call.ended_at.map(time));
        self.wrap_up_ends_at.push(call.wrap_up_ends_at.map(time));
        self.exclusions.push((!call.exclusions.is_empty()).then_some(Json(&call.exclusions)));
        self.last_offer.push(call.last_offer.map(Json));
        self.transfer.push(call.transfer.as_deref().map(Json));
        self.service_level_seconds.push(call.service_level_seconds.cast_signed());
        self.estimated_wait_seconds.push(call.estimate.p50_seconds.map(seconds));
        self.estimated_wait_p90_seconds.push(call.estimate.p90_seconds.map(seconds));
        self.connected.push(call.connected);
        self.updated_at.push(time(call.changed_at));
        self.version.push(call.version);
    }
}

impl<'a> AgentColumns<'a> {
    fn push(&mut self, tenant: TenantId, agent: &'a AgentSnapshot) {
        self.tenant_id.push(tenant.0);
        self.user_id.push(agent.user_id.0);
        self.status.push(agent.intent.status.as_str());
        self.pause_reason.push(agent.intent.reason.as_deref());
        self.status_since.push(time(agent.intent_since));
        self.after_call_status.push(agent.after_call.as_ref().map(|intent| intent.status.as_str()));
        self.after_call_reason.push(agent.after_call.as_ref().and_then(|intent| intent.reason.as_deref()));
        self.held_cause.push(agent.held.map(|held| held.cause.as_str()));
        self.held_since.push(agent.held.map(|held| time(held.since)));
        self.misses.push(i16::from(agent.misses));
        self.leased.push(agent.leased);
        self.wrap_ups.push((!agent.wrap_ups.is_empty()).then_some(Json(&agent.wrap_ups)));
        let until = agent.wrap_ups.iter().map(|wrap_up| wrap_up.ends_at_micros).max();
        self.wrap_up_until.push(until.map(|micros| time(Timestamp::from_micros(micros))));
        self.idle.push(Json(agent.idle));
        self.rotation.push(agent.rotation);
        self.calls_today.push(agent.calls_today);
        self.updated_at.push(time(agent.changed_at));
        self.version.push(agent.version);
    }
}

impl<'a> EventColumns<'a> {
    fn extend(&mut self, tenant: TenantId, part: &'a TenantBatch) {
        for (event, place) in part.events.iter().zip(1..) {
            self.tenant_id.push(tenant.0);
            self.place.push(place);
            self.kind.push(event.kind);
            self.at.push(time(event.at));
            self.call_id.push(event.call_id.map(|id| id.0));
            self.department_id.push(event.department_id.map(|id| id.0));
            self.user_id.push(event.user_id.map(|id| id.0));
            self.data.push((!event.data.is_null()).then_some(&event.data));
        }
    }
}

impl<'a> CustomerColumns<'a> {
    fn extend(&mut self, tenant: TenantId, part: &'a TenantBatch) {
        for caller in &part.new_customers {
            // The join that brought the customer is in the same batch, unless a newer batch overtook it.
            let call = part.calls.iter().find(|call| call.caller.customer_id == caller.customer_id);
            let Some(at) = call.map(|call| call.joined_at).or_else(|| part.events.first().map(|event| event.at)) else {
                continue;
            };
            self.tenant_id.push(tenant.0);
            self.id.push(caller.customer_id.0);
            self.name.push(&caller.name);
            self.email.push(caller.email.as_deref());
            self.phone.push(caller.phone.as_deref());
            self.at.push(time(at));
        }
    }
}

impl LinkColumns {
    fn extend(&mut self, tenant: TenantId, part: &TenantBatch) {
        for &(link, at) in &part.used_links {
            self.tenant_id.push(tenant.0);
            self.id.push(link.0);
            self.at.push(time(at));
            self.call_id.push(part.calls.iter().find(|call| call.link_id == Some(link)).map(|call| call.id.0));
        }
    }
}

impl<'a> ToldColumns<'a> {
    fn extend(&mut self, tenant: TenantId, part: &'a TenantBatch) {
        for told in &part.told {
            self.tenant_id.push(tenant.0);
            self.event.push(told.event.as_str());
            self.subject_id.push(told.subject);
            self.at.push(time(told.at));
            self.data.push(&told.data);
        }
    }
}
