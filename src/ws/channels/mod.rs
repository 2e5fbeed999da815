//! Owns who may join which topic, what the join says, and what each topic takes: one file per kind of topic. It decides
//! nothing about calls: commands go through `actors/handle`. It holds no socket; the session does.

mod call;
mod membership;
mod notification;
mod presence;
mod queue;
mod signalling;
mod tenant;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use membership::Membership;

use super::WsState;
use super::problem::Problem;
use crate::auth::Principal;
use crate::domain::ids::{CallId, DepartmentId, DeviceId, TenantId, UserId};
use crate::domain::role::Role;
use crate::live::hub::{Sink, SubscriberKind};
use crate::live::push::{Push, Sequence};
use crate::live::topic::Topic;
use crate::store;

/// One socket's place on one topic: who, where, by which device.
#[derive(Clone)]
pub struct Place {
    pub state: WsState,
    pub principal: Principal,
    pub topic: Topic,
    pub device: DeviceId,
}

/// What a join may ask for; unknown members are ignored.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Wish {
    #[serde(default)]
    last_epoch: Option<u64>,
    #[serde(default)]
    last_seq: Option<u64>,
    /// Take many events of a busy `queue:` in one frame.
    #[serde(default)]
    pub batch: bool,
}

/// A join that was granted.
pub struct Joined {
    pub membership: Membership,
    /// The JSON of the reply.
    pub response: String,
    /// Up to where the reply speaks.
    pub sequence: Option<Sequence>,
    /// What the client missed since it was last here.
    pub replayed: Vec<Arc<Push>>,
    /// What this socket alone is told right after the reply: an event and its JSON.
    pub first: Vec<(&'static str, String)>,
}

/// A topic's full state, for a `resync`.
pub struct Snapshot {
    /// `resync`, or `presence_state`.
    pub event: &'static str,
    pub json: String,
    pub sequence: Option<Sequence>,
}

/// Asks to join. The hub is subscribed before the snapshot is taken, so that nothing falls between them.
pub async fn join(place: Place, wish: Wish, sink: Sink) -> Result<Joined, Problem> {
    let joined = match place.topic {
        Topic::Queue(department) => queue::join(&place, department, wish, sink).await,
        Topic::Presence(department) => presence::join(&place, department, sink).await,
        Topic::Notification(user) => notification::join(&place, user, wish, sink).await,
        Topic::Call(call) => call::join(&place, call, sink).await,
        Topic::Tenant(tenant) => tenant::join(&place, tenant, wish, sink).await,
    };
    // Whether a topic exists is nobody's business who may not join it.
    joined.map_err(|problem| if problem.reason == "not_found" { Problem::unauthorized() } else { problem })
}

/// Does what a client pushed on a topic it has joined; the JSON of the reply.
pub async fn command(place: Place, event: Box<str>, payload: Box<RawValue>) -> Result<String, Problem> {
    match place.topic {
        Topic::Queue(department) => queue::command(&place, department, &event, &payload).await,
        Topic::Presence(_) => presence::command(&place, &event, &payload).await,
        Topic::Notification(user) => notification::command(&place, user, &event, &payload).await,
        Topic::Call(call) => call::command(&place, call, &event, &payload).await,
        Topic::Tenant(_) => Err(Problem::unknown_event()),
    }
}

/// Takes the topic's present state.
pub async fn snapshot(place: Place) -> Result<Snapshot, Problem> {
    match place.topic {
        Topic::Queue(department) => queue::snapshot(&place, department).await,
        Topic::Presence(department) => presence::snapshot(&place, department).await,
        Topic::Notification(user) => notification::snapshot(&place, user).await,
        Topic::Call(call) => call::snapshot(&place, call).await,
        Topic::Tenant(_) => tenant::snapshot(&place).await,
    }
}

impl Place {
    fn tenant(&self) -> TenantId {
        self.principal.tenant()
    }

    /// The member of staff; a customer may not join what asks this.
    fn staff(&self) -> Result<(UserId, Role), Problem> {
        match self.principal {
            Principal::User { user, role, .. } => Ok((user, role)),
            Principal::Customer { .. } => Err(Problem::unauthorized()),
        }
    }

    /// Staff who serve the department, and supervisors up.
    async fn may_see(&self, department: DepartmentId) -> Result<(), Problem> {
        let (user, role) = self.staff()?;
        if role >= Role::Supervisor {
            return Ok(());
        }
        let serves = store::users::departments_of(self.state.store(), self.tenant(), user).await?;
        if serves.iter().any(|(id, _)| *id == department) { Ok(()) } else { Err(Problem::unauthorized()) }
    }

    fn subscribe(&self, sink: Sink) -> Membership {
        let kind = match self.principal {
            Principal::User { user, .. } => SubscriberKind::Staff { user },
            Principal::Customer { .. } => SubscriberKind::Customer,
        };
        let hub = self.state.hub();
        Membership::new(self.clone(), hub.subscribe(self.tenant(), self.topic, sink, kind, self.device))
    }

    /// The reply of a sequenced topic's join: what was missed when it is still held, else the snapshot, flagged when the
    /// client had asked for the former.
    fn resume(&self, membership: Membership, wish: Wish, snapshot: Snapshot) -> Joined {
        let mut joined = Joined {
            membership,
            response: snapshot.json,
            sequence: snapshot.sequence,
            replayed: Vec::new(),
            first: Vec::new(),
        };
        let (Some(epoch), Some(seq)) = (wish.last_epoch, wish.last_seq) else { return joined };
        match self.state.hub().replay(self.tenant(), self.topic, epoch, seq) {
            Some(replayed) => {
                let count = replayed.len();
                joined.response = format!(r#"{{"epoch":{epoch},"seq":{seq},"resynced":false,"replayed":{count}}}"#);
                joined.sequence = Some(Sequence { epoch, seq });
                joined.replayed = replayed;
            }
            None => joined.response = with_member(&joined.response, r#""resynced":true"#),
        }
        joined
    }
}

/// The JSON object with one more member.
fn with_member(object: &str, member: &str) -> String {
    match object.strip_prefix('{') {
        Some("}") => format!("{{{member}}}"),
        Some(rest) => format!("{{{member},{rest}"),
        None => object.to_owned(),
    }
}

/// Reads a payload; an absent one counts as empty.
pub fn read<T: DeserializeOwned>(payload: &RawValue) -> Result<T, Problem> {
    let json = if payload.get() == "null" { "{}" } else { payload.get() };
    serde_json::from_str(json).map_err(|error| Problem::invalid(error.to_string()))
}

/// Refuses text that is too long or that Postgres cannot hold.
fn check_text(text: &str, chars_max: usize) -> Result<(), Problem> {
    if text.contains('\0') {
        return Err(Problem::invalid("Text must not contain NUL characters."));
    }
    if text.chars().nth(chars_max).is_some() {
        return Err(Problem::invalid(format!("Text may be at most {chars_max} characters long.")));
    }
    Ok(())
}

/// The reply to whatever gives an agent a call.
fn call_taken(call: &crate::domain::call::CallView) -> Result<String, Problem> {
    #[derive(Serialize)]
    struct Taken<'a> {
        call: &'a crate::domain::call::CallView,
        topic: String,
    }
    Ok(serde_json::to_string(&Taken { call, topic: Topic::Call(call.id).to_string() })?)
}

/// A command that names a call.
#[derive(Deserialize)]
struct NamesCall {
    call_id: CallId,
}

/// The empty reply.
fn done() -> String {
    String::from("{}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    #[test]
    fn members_are_added_to_objects() {
        assert_eq!(with_member("{}", r#""a":1"#), r#"{"a":1}"#);
        assert_eq!(with_member(r#"{"b":2}"#, r#""a":1"#), r#"{"a":1,"b":2}"#);
    }

    #[test]
    fn an_absent_payload_is_an_empty_one() {
        let wish: Wish = read(RawValue::NULL).unwrap();
        assert!(!wish.batch && wish.last_seq.is_none());
        let wrong = RawValue::from_string(r#"{"batch":3}"#.to_owned()).unwrap();
        assert_eq!(read::<Wish>(&wrong).unwrap_err().reason, "invalid_payload");
    }

    #[test]
    fn long_text_and_nul_are_refused() {
        assert!(check_text("ééé", 3).is_ok());
        assert!(check_text("éééé", 3).is_err());
        assert!(check_text("a\0", 3).is_err());
    }
}
