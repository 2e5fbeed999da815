//! The agent bot: logs in, becomes available, takes every offer, talks, completes, ends his wrap-up.
//!
//! A lost socket is made again and the bot goes on where the server says he is, as a real client would. He decides
//! nothing about the queue; what he sees goes to the ledger.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::watch;

use crate::client::frames::Vsn;
use crate::client::http::RestError;
use crate::client::socket::{Channel, Pushes, Socket, SocketError};
use crate::clock;
use crate::latency::Step;
use crate::ledger::{AgentIndex, Seen};
use crate::target::User;
use crate::world::World;

/// First and longest pause before a lost connection is made again.
const RECONNECT_FIRST: Duration = Duration::from_millis(100);
const RECONNECT_LONGEST: Duration = Duration::from_secs(2);
/// Pause before a command is repeated that the server asked to repeat.
const REPEAT_AFTER: Duration = Duration::from_millis(200);
/// How often such a command is repeated: for the better part of a minute, longer than the outages that are tested.
const REPEATS: u32 = 240;
/// An access token lives 15 minutes; one older than this is not used for a new socket.
const TOKEN_AGE: Duration = Duration::from_secs(600);

/// How agents behave.
#[derive(Debug, Clone, Copy)]
pub struct Behaviour {
    pub talk: Duration,
    /// Whether to end the wrap-up by command; false when the departments' wrap-up is set to 0.
    pub ends_wrap_up: bool,
    /// Whether to stay on the presence topic, as an agent's screen that shows colleagues does.
    pub watches_presence: bool,
}

/// One agent.
#[derive(Debug)]
pub struct Agent {
    pub world: Arc<World>,
    pub index: AgentIndex,
    pub user: User,
    pub behaviour: Behaviour,
}

/// What the bot reads of an Offer. The id goes back as it came.
#[derive(Deserialize)]
struct Offer<'a> {
    #[serde(borrow)]
    offer_id: &'a RawValue,
    call_id: String,
    #[serde(default)]
    protocol: Option<u64>,
}

#[derive(Deserialize)]
struct OpenCall {
    call_id: String,
    #[serde(default)]
    phase: String,
}

#[derive(Deserialize)]
struct WrapUp {
    call_id: String,
}

/// The join reply of `notification:`, as far as the bot acts on it.
#[derive(Deserialize)]
struct Situation<'a> {
    #[serde(borrow, default)]
    offers: Vec<Offer<'a>>,
    #[serde(default)]
    calls: Vec<OpenCall>,
    #[serde(default)]
    wrap_ups: Vec<WrapUp>,
}

/// Why a session ended before it was told to.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("login: {0}")]
    Login(#[from] RestError),
    #[error("socket: {0}")]
    Socket(#[from] SocketError),
}

struct Token {
    user_id: String,
    access: String,
    issued_at: Instant,
}

impl Agent {
    /// Works until `stop` is true. `ready` gets one permit when the agent is first available.
    pub async fn run(self, mut stop: watch::Receiver<bool>, ready: Arc<tokio::sync::Semaphore>) {
        let mut token: Option<Token> = None;
        let mut pause = RECONNECT_FIRST;
        let mut announced = false;
        while !*stop.borrow() {
            let outcome = self.session(&mut token, &mut stop, || {
                if !std::mem::replace(&mut announced, true) {
                    ready.add_permits(1);
                }
            });
            let began_at = clock::now();
            let Err(lost) = outcome.await else { break };
            self.world.fleet.set_free(self.index, false);
            self.world.ledger.agent_lost(self.index);
            if *stop.borrow() {
                break;
            }
            match &lost {
                Lost::Socket(SocketError::Upgrade(_)) | Lost::Login(_) => token = None,
                Lost::Socket(_) => {}
            }
            self.world.error("agent disconnected", &lost);
            if clock::now().duration_since(began_at) > RECONNECT_LONGEST {
                pause = RECONNECT_FIRST;
            }
            let _ = tokio::time::timeout(pause, stop.wait_for(|stopped| *stopped)).await;
            pause = (pause * 2).min(RECONNECT_LONGEST);
        }
        self.world.fleet.set_free(self.index, false);
    }

    /// From connecting to the stop.
    async fn session(
        &self,
        token: &mut Option<Token>,
        stop: &mut watch::Receiver<bool>,
        mut on_available: impl FnMut(),
    ) -> Result<(), Lost> {
        if token.as_ref().is_none_or(|token| clock::now().duration_since(token.issued_at) > TOKEN_AGE) {
            // Never closed, so there is always a permit in the end.
            let _permit = self.world.logins.acquire().await;
            let login = self.world.rest.login(&self.world.tenant, &self.user.email, &self.user.password).await?;
            *token = Some(Token { user_id: login.user.id, access: login.access_token, issued_at: clock::now() });
        }
        let Some(Token { user_id, access, .. }) = token.as_ref() else { return Ok(()) };
        let socket = Socket::connect(self.world.rest.authority(), access, Vsn::V2).await?;
        let topic = format!("notification:{user_id}");
        let (mut channel, situation) = socket.join(&topic, "{}".to_owned(), Pushes::Keep).await?;
        let presence = self.set_status(&socket, "available").await?;
        self.resume(&channel, &situation, clock::now()).await?;
        self.world.fleet.set_free(self.index, true);
        on_available();
        loop {
            let push = tokio::select! {
                push = channel.next() => Some(push.ok_or_else(|| channel.closed())?),
                _ = stop.wait_for(|stopped| *stopped) => None,
            };
            let Some(push) = push else {
                // Whoever uses the demo afterwards finds nobody available who is not there.
                drop(presence);
                self.set_status(&socket, "offline").await?;
                return Ok(());
            };
            match push.event.as_str() {
                "call_offered" => {
                    let offer = read::<Offer<'_>>(&push.payload)?;
                    self.take(&channel, &offer, push.received_at).await?;
                }
                "wrap_up" if !self.behaviour.ends_wrap_up => {
                    let wrap_up = read::<WrapUp>(&push.payload)?;
                    self.end_wrap_up(&channel, &wrap_up.call_id).await?;
                }
                "resync" => self.resume(&channel, &push.payload, push.received_at).await?,
                "status_changed" if is_held(&push.payload) => {
                    self.world.error("agent held by the system", &push.payload.get());
                    drop(self.set_status(&socket, "available").await?);
                }
                _ => {}
            }
        }
    }

    /// Sets the status on the presence topic of his first department, and stays there when the screen would.
    async fn set_status(&self, socket: &Socket, status: &str) -> Result<Option<Channel>, SocketError> {
        let Some(department_id) = self.user.department_ids.first() else { return Ok(None) };
        let topic = format!("presence:{department_id}");
        let (presence, _state) = socket.join(&topic, "{}".to_owned(), Pushes::Ignore).await?;
        self.command(&presence, "set_status", &format!(r#"{{"status":"{status}"}}"#)).await?;
        if self.behaviour.watches_presence {
            return Ok(Some(presence));
        }
        presence.leave().await?;
        Ok(None)
    }

    /// Goes on with what the server says is his.
    async fn resume(&self, channel: &Channel, situation: &RawValue, at: Instant) -> Result<(), SocketError> {
        let situation = read::<Situation<'_>>(situation)?;
        for wrap_up in &situation.wrap_ups {
            self.end_wrap_up(channel, &wrap_up.call_id).await?;
        }
        for call in &situation.calls {
            if matches!(call.phase.as_str(), "assigned" | "active") {
                self.world.ledger.accept_acknowledged(&call.call_id, Seen { agent: self.index, at });
                self.talk(channel, &call.call_id, call.phase == "active").await?;
            }
        }
        for offer in &situation.offers {
            self.take(channel, offer, at).await?;
        }
        Ok(())
    }

    /// Accepts an offer and does the call.
    async fn take(&self, channel: &Channel, offer: &Offer<'_>, received_at: Instant) -> Result<(), SocketError> {
        let ledger = &self.world.ledger;
        let seen = Seen { agent: self.index, at: received_at };
        self.world.fleet.set_free(self.index, false);
        let (department_id, offered_after) = ledger.offered(&offer.call_id, offer.protocol, seen);
        self.world.record_offer(offered_after);
        if let Some(department_id) = department_id {
            self.world.fleet.settle(&department_id);
        }
        ledger.accept_attempted(&offer.call_id, self.index);
        let asked_at = clock::now();
        match self.command(channel, "accept", &format!(r#"{{"offer_id":{}}}"#, offer.offer_id)).await {
            Ok(_) => {
                let at = clock::now();
                self.world.record_command(Step::AcceptAcknowledged, at - asked_at);
                ledger.accept_acknowledged(&offer.call_id, Seen { agent: self.index, at });
                self.talk(channel, &offer.call_id, false).await?;
            }
            // Withdrawn, timed out or taken meanwhile: accepts race with that.
            Err(SocketError::Refused(_)) => self.world.accepted_late(),
            Err(error) => return Err(error),
        }
        self.world.fleet.set_free(self.index, true);
        Ok(())
    }

    /// Starts (unless it runs), talks, completes.
    async fn talk(&self, channel: &Channel, call_id: &str, started: bool) -> Result<(), SocketError> {
        let ledger = &self.world.ledger;
        let payload = format!(r#"{{"call_id":"{call_id}"}}"#);
        if !started {
            ledger.start_attempted(call_id);
            let asked_at = clock::now();
            if let Err(error) = self.command(channel, "start", &payload).await {
                return self.give_up("start", error);
            }
            self.world.record_command(Step::StartAcknowledged, clock::now() - asked_at);
            ledger.start_acknowledged(call_id, clock::now());
        }
        if !self.behaviour.talk.is_zero() {
            tokio::time::sleep(self.behaviour.talk).await;
        }
        let asked_at = clock::now();
        ledger.complete_attempted(call_id, self.index, asked_at);
        if let Err(error) = self.command(channel, "complete", &payload).await {
            return self.give_up("complete", error);
        }
        self.world.record_command(Step::CompleteAcknowledged, clock::now() - asked_at);
        ledger.complete_acknowledged(call_id, clock::now());
        if self.behaviour.ends_wrap_up {
            self.end_wrap_up(channel, call_id).await?;
        }
        Ok(())
    }

    async fn end_wrap_up(&self, channel: &Channel, call_id: &str) -> Result<(), SocketError> {
        match self.command(channel, "wrap_up_end", &format!(r#"{{"call_id":"{call_id}"}}"#)).await {
            // It may have ended by itself.
            Ok(_) | Err(SocketError::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A refused step ends the bot's work on this call, counted as an error; a lost socket ends the session.
    fn give_up(&self, step: &str, error: SocketError) -> Result<(), SocketError> {
        match error {
            SocketError::Refused(refusal) => {
                self.world.error(step, &format_args!("{}: {}", refusal.reason, refusal.detail));
                Ok(())
            }
            other => Err(other),
        }
    }

    /// Pushes a command; repeats it while the server asks for that. Every command of an agent is idempotent.
    async fn command(
        &self,
        channel: &Channel,
        event: &'static str,
        payload: &str,
    ) -> Result<Box<RawValue>, SocketError> {
        let mut repeats = 0;
        loop {
            match channel.push(event, payload.to_owned()).await {
                Err(SocketError::Refused(refusal))
                    if repeats < REPEATS
                        && matches!(refusal.reason.as_str(), "storage_unavailable" | "rate_limited") =>
                {
                    repeats += 1;
                    self.world.retried();
                    tokio::time::sleep(REPEAT_AFTER).await;
                }
                outcome => return outcome,
            }
        }
    }
}

fn read<'a, T: Deserialize<'a>>(payload: &'a RawValue) -> Result<T, SocketError> {
    serde_json::from_str(payload.get()).map_err(|error| SocketError::Malformed(error.to_string()))
}

/// Whether the system holds offers back from the agent after missed offers.
fn is_held(payload: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Changed {
        #[serde(default)]
        held: Option<serde::de::IgnoredAny>,
    }
    read::<Changed>(payload).is_ok_and(|changed| changed.held.is_some())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn an_offer_id_goes_back_as_it_came() {
        for id in [r#""01-a""#, "17"] {
            let text = format!(r#"{{"seq":3,"offer_id":{id},"call_id":"c","protocol":7,"customer":{{"name":"A"}}}}"#);
            let raw = RawValue::from_string(text).unwrap();
            let offer = read::<Offer<'_>>(&raw).unwrap();
            assert_eq!((offer.offer_id.get(), offer.protocol), (id, Some(7)));
        }
    }

    #[test]
    fn only_a_held_status_is_held() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        assert!(is_held(&raw(r#"{"status":"available","held":{"cause":"missed_offers"}}"#)));
        assert!(!is_held(&raw(r#"{"status":"available","held":null}"#)));
    }
}
