//! Owns the words of webhooks: which events there are, and what a fact of the record is to be told as. Who is told, and how,
//! is the business of `store::webhooks` and `actors::webhooks`.

use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::call::{CallSnapshot, CallView, Caller, Status};
use super::clock::Timestamp;
use super::ids::CustomerId;
use super::record::{Entry, RecordEvent};
use super::words::words;

words! {
    /// What a webhook may be told. The first six are Voki's.
    Event {
        /// A customer joined the queue.
        CallCreated = "call.created",
        /// An agent accepted the call; again when it went back to the line and was taken anew.
        CallAssigned = "call.assigned",
        /// The call was started, for the first time.
        CallStarted = "call.started",
        /// The call ended after it had been started.
        CallCompleted = "call.completed",
        /// The customer left or was lost unserved.
        CallMissed = "call.missed",
        /// Staff took the call out, its link was cancelled, or the server had to give it up.
        CallCancelled = "call.cancelled",
        CustomerCreated = "customer.created",
        AppointmentCreated = "appointment.created",
        AppointmentUpdated = "appointment.updated",
        AppointmentConfirmed = "appointment.confirmed",
        AppointmentCancelled = "appointment.cancelled",
        AppointmentCompleted = "appointment.completed",
        AppointmentNoShow = "appointment.no_show",
    }
}

/// The body of a delivery: the same text at every attempt.
pub fn body(event: &str, at: Timestamp, data: &str) -> String {
    format!(r#"{{"event": "{event}", "timestamp": "{at}", "data": {data}}}"#)
}

/// The event of `POST /webhooks/:id/test`; nobody subscribes to it.
pub const TEST_EVENT: &str = "webhook.test";

/// One thing to tell, its data frozen as it stood then.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub event: Event,
    /// The call, customer or appointment; facts of one subject are told in order.
    pub subject: Uuid,
    pub at: Timestamp,
    /// JSON text.
    pub data: String,
}

impl Entry {
    /// Adds what webhooks are to be told of this change: the call as it is right after it, whatever happens next. Nothing
    /// when nobody `listens`.
    pub fn tell(&mut self, listens: bool, department_name: &Arc<str>) {
        let Some(call) = self.call.as_ref().filter(|_| listens) else { return };
        if self.new_customer {
            self.told.extend(Told::of_customer(&call.caller, call.joined_at));
        }
        self.told.extend(self.events.iter().filter_map(|fact| Told::of_call(fact, call, department_name)));
    }
}

impl Told {
    fn of_call(fact: &RecordEvent, call: &CallSnapshot, department_name: &Arc<str>) -> Option<Self> {
        let event = Event::of_fact(fact.kind, call.status())?;
        let data = serde_json::to_string(&CallView::of(call, department_name)).ok()?;
        Some(Self { event, subject: call.id.0, at: fact.at, data })
    }

    fn of_customer(caller: &Caller, at: Timestamp) -> Option<Self> {
        let data = serde_json::to_string(&JoinedCustomer::of(caller, at)).ok()?;
        Some(Self { event: Event::CustomerCreated, subject: caller.customer_id.0, at, data })
    }
}

impl Event {
    /// The event of a fact of the record, by its kind and the status the call has by it.
    fn of_fact(kind: &str, status: Status) -> Option<Self> {
        match (kind, status) {
            ("call_joined", _) => Some(Event::CallCreated),
            ("call_assigned", _) => Some(Event::CallAssigned),
            ("call_started", _) => Some(Event::CallStarted),
            ("call_ended", Status::Completed) => Some(Event::CallCompleted),
            ("call_ended", Status::Missed) => Some(Event::CallMissed),
            ("call_ended", Status::Cancelled) => Some(Event::CallCancelled),
            _ => None,
        }
    }
}

/// A customer as `GET /customers/:id` shows one who has just joined for the first time.
#[derive(Serialize)]
struct JoinedCustomer<'a> {
    id: CustomerId,
    name: &'a str,
    email: Option<&'a str>,
    phone: Option<&'a str>,
    document: Option<&'a str>,
    notes: Option<&'a str>,
    call_count: u32,
    last_call_at: Timestamp,
    inserted_at: Timestamp,
    updated_at: Timestamp,
}

impl<'a> JoinedCustomer<'a> {
    fn of(caller: &'a Caller, at: Timestamp) -> Self {
        Self {
            id: caller.customer_id,
            name: &caller.name,
            email: caller.email.as_deref(),
            phone: caller.phone.as_deref(),
            document: None,
            notes: None,
            call_count: 1,
            last_call_at: at,
            inserted_at: at,
            updated_at: at,
        }
    }
}
