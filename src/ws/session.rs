//! Owns what one socket has joined and what is on its way for it: frames in, commands under way, frames out. No I/O: the
//! socket's task feeds it and writes what it gathers in `out`.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use futures_util::stream::FuturesUnordered;
use metrics::counter;

use super::WsState;
use super::channels::{self, Joined, Place, Snapshot, Wish};
use super::frame::{self, Frame, Malformed, Ref};
use super::limits::{ClientLimit, Verdict as LimitVerdict};
use super::problem::Problem;
use super::resync::{Due, Flow, Verdict, batch_json};
use super::work::{Address, Channel, Command, Done, Work};
use crate::auth::Principal;
use crate::domain::clock::Timestamp;
use crate::live::hub::Sink;
use crate::live::outbox::{Close, Delivery, Outbox};
use crate::live::push::{Push, Version};
use crate::live::topic::Topic;

/// Joins and commands of one socket that are not answered yet. A person has one or two; more is a client gone wild.
const COMMANDS_MAX: usize = 32;

/// The client sent what is no frame at all, and nothing to answer to.
const UNREADABLE: Close = Close { code: 1003, reason: "unreadable_frame" };
/// The client went on sending too fast.
const RATE_LIMITED: Close = Close { code: 4008, reason: "rate_limited" };

/// One socket's state.
pub(super) struct Session {
    state: WsState,
    principal: Principal,
    version: Version,
    outbox: Arc<Outbox>,
    channels: Vec<Channel>,
    next_channel: u32,
    limit: ClientLimit,
    /// Commands that wait in channels.
    waiting: usize,
    /// Joins and commands in `work`; snapshots are ours and not counted.
    running: usize,
    pub(super) work: FuturesUnordered<Work>,
    /// Frames to be written, in order.
    pub(super) out: VecDeque<Utf8Bytes>,
    /// Set once the socket shall be closed; nothing is done after it.
    pub(super) closing: Option<Close>,
}

impl Session {
    pub(super) fn new(state: WsState, principal: Principal, version: Version, outbox: Arc<Outbox>) -> Self {
        let limit = ClientLimit::new(state.settings().messages_per_second, state.clock().now());
        Self {
            state,
            principal,
            version,
            outbox,
            channels: Vec::new(),
            next_channel: 0,
            limit,
            waiting: 0,
            running: 0,
            work: FuturesUnordered::new(),
            out: VecDeque::new(),
            closing: None,
        }
    }

    /// A text frame came in.
    pub(super) fn on_text(&mut self, now: Timestamp, text: &str) {
        let verdict = self.limit.admit(now);
        if verdict == LimitVerdict::Close {
            self.closing = Some(RATE_LIMITED);
            return;
        }
        match frame::decode(self.version, text) {
            Ok(frame) if verdict == LimitVerdict::Refuse => {
                self.reply_to(&frame, Err(Problem::rate_limited()));
            }
            Ok(frame) => self.on_frame(now, frame),
            Err(malformed) => self.on_malformed(malformed),
        }
    }

    /// A binary frame came in; none is taken.
    pub(super) fn on_binary(&mut self, now: Timestamp, bytes: &[u8]) {
        if self.limit.admit(now) == LimitVerdict::Close {
            self.closing = Some(RATE_LIMITED);
            return;
        }
        let mut malformed = frame::decode_binary(self.version, bytes);
        if malformed.reference.is_none() {
            malformed.join_ref = None;
        }
        self.on_malformed(malformed);
    }

    fn on_malformed(&mut self, malformed: Malformed) {
        if malformed.reference.is_none() {
            self.closing = Some(UNREADABLE);
            return;
        }
        let topic = malformed.topic.as_deref().unwrap_or(frame::PHOENIX);
        let problem = Problem::malformed(malformed.detail).to_json();
        let (join_ref, reference) = (malformed.join_ref.as_ref(), malformed.reference.as_ref());
        let frame = frame::encode_reply(self.version, join_ref, reference, topic, false, &problem);
        self.out.push_back(frame.into());
    }

    fn on_frame(&mut self, now: Timestamp, frame: Frame<'_>) {
        if frame.topic == frame::PHOENIX {
            let known = frame.event == frame::HEARTBEAT;
            let result = if known { Ok(String::from("{}")) } else { Err(Problem::unknown_event()) };
            return self.reply_to(&frame, result);
        }
        let topic = Topic::parse(&frame.topic);
        if frame.event == frame::JOIN {
            return match topic {
                Some(topic) => self.join(now, topic, frame),
                None => self.reply_to(&frame, Err(Problem::unmatched_topic())),
            };
        }
        let joined = topic.and_then(|topic| self.channels.iter().position(|one| one.topic == topic));
        // A message for an earlier join of the same topic is for a channel that is no more.
        let current = joined.filter(|&index| {
            let channel = self.channels.get(index);
            frame.join_ref.is_none() || channel.is_some_and(|channel| channel.join_ref == frame.join_ref)
        });
        let Some(index) = current else {
            // Leaving what one has not joined is no fault: Phoenix says so too.
            let leaving = frame.event == frame::LEAVE;
            let result = if leaving { Ok(String::from("{}")) } else { Err(Problem::unmatched_topic()) };
            return self.reply_to(&frame, result);
        };
        if frame.event == frame::LEAVE {
            self.reply_to(&frame, Ok(String::from("{}")));
            return self.close_channel(index, "{}");
        }
        if self.running + self.waiting >= COMMANDS_MAX {
            return self.reply_to(&frame, Err(Problem::rate_limited()));
        }
        let command =
            Command { address: Address::of(&frame), event: frame.event.into(), payload: frame.payload.into_owned() };
        if let Some(channel) = self.channels.get_mut(index) {
            channel.waiting.push_back(command);
            self.waiting += 1;
        }
        self.run_next(index);
    }

    fn join(&mut self, now: Timestamp, topic: Topic, frame: Frame<'_>) {
        // Joining again replaces the earlier join, as Phoenix does: the client's view of it was lost.
        if let Some(index) = self.channels.iter().position(|channel| channel.topic == topic) {
            self.close_channel(index, "{}");
        }
        if self.channels.len() >= self.state.settings().topics_max {
            let problem = Problem::new("too_many_topics", "This socket has joined as many topics as it may.");
            return self.reply_to(&frame, Err(problem));
        }
        if self.running + self.waiting >= COMMANDS_MAX {
            return self.reply_to(&frame, Err(Problem::rate_limited()));
        }
        let wish: Wish = match channels::read(&frame.payload) {
            Ok(wish) => wish,
            Err(problem) => return self.reply_to(&frame, Err(problem)),
        };
        self.next_channel = self.next_channel.wrapping_add(1);
        let id = self.next_channel;
        let place = Place {
            state: self.state.clone(),
            principal: self.principal.clone(),
            topic,
            device: self.state.ids().next(now),
        };
        // Exactly one more: nearly every socket has one topic, and a channel is half a kilobyte.
        self.channels.reserve_exact(1);
        self.channels.push(Channel {
            id,
            topic,
            device: place.device,
            // A version 1 client knows its join by the ref of the join's message.
            join_ref: frame.join_ref.or_else(|| frame.reference.clone()),
            membership: None,
            flow: Flow::joining(now, matches!(topic, Topic::Queue(_)), wish.batch),
            busy: true,
            waiting: VecDeque::new(),
        });
        self.running += 1;
        let sink = Sink { outbox: Arc::clone(&self.outbox), channel: id };
        let reference = frame.reference;
        self.work.push(Box::pin(async move {
            let result = channels::join(place, wish, sink).await.map(Box::new);
            Done::Joined { channel: id, reference, result }
        }));
    }

    /// Starts the channel's next command, if it has one and nothing under way.
    fn run_next(&mut self, index: usize) {
        let Some(channel) = self.channels.get_mut(index) else { return };
        if channel.busy || channel.membership.is_none() {
            return;
        }
        let Some(Command { address, event, payload }) = channel.waiting.pop_front() else {
            // A channel that is quiet holds no buffer for commands.
            channel.waiting = VecDeque::new();
            return;
        };
        channel.busy = true;
        self.waiting -= 1;
        self.running += 1;
        let (id, place) = (channel.id, channel.place(&self.state, &self.principal));
        self.work.push(Box::pin(async move {
            let result = channels::command(place, event, payload).await;
            Done::Answered { channel: id, address, result }
        }));
    }

    /// A piece of work is done.
    pub(super) fn on_done(&mut self, now: Timestamp, done: Done) {
        match done {
            Done::Joined { channel, reference, result } => {
                self.running -= 1;
                self.on_joined(now, channel, reference, result);
            }
            Done::Answered { channel, address, result } => {
                self.running -= 1;
                self.reply(&address, result);
                if let Some(index) = self.index(channel) {
                    if let Some(channel) = self.channels.get_mut(index) {
                        channel.busy = false;
                    }
                    self.run_next(index);
                }
            }
            Done::Resynced { channel, result } => self.on_resynced(now, channel, result),
        }
    }

    fn on_joined(&mut self, now: Timestamp, id: u32, reference: Option<Ref>, result: Result<Box<Joined>, Problem>) {
        // Left or joined again meanwhile: dropping the result ends the membership.
        let Some(index) = self.index(id) else { return };
        let Some(channel) = self.channels.get_mut(index) else { return };
        let topic = channel.topic.to_string();
        let join_ref = channel.join_ref.clone();
        let version = self.version;
        let reply = |ok, response: &str| {
            frame::encode_reply(version, join_ref.as_ref(), reference.as_ref(), &topic, ok, response)
        };
        let joined = match result {
            Ok(joined) => *joined,
            Err(problem) => {
                self.out.push_back(reply(false, &problem.to_json()).into());
                self.remove(index);
                return;
            }
        };
        self.out.push_back(reply(true, &joined.response).into());
        for (event, json) in &joined.first {
            let frame = frame::encode_to_channel(version, join_ref.as_ref(), &topic, event, json);
            self.out.push_back(frame.into());
        }
        channel.membership = Some(joined.membership);
        channel.busy = false;
        let next = channel.flow.settle(now, joined.sequence, joined.replayed);
        self.send_all(&next);
        self.run_next(index);
    }

    fn on_resynced(&mut self, now: Timestamp, id: u32, result: Result<Snapshot, Problem>) {
        let Some(index) = self.index(id) else { return };
        let Some(channel) = self.channels.get_mut(index) else { return };
        match result {
            Ok(snapshot) => {
                let Snapshot { event, json, sequence } = snapshot;
                let join_ref = channel.join_ref.as_ref();
                let frame = frame::encode_to_channel(self.version, join_ref, channel.topic, event, &json);
                self.out.push_back(frame.into());
                counter!("vez_resyncs_total", "topic" => channel.topic.kind()).increment(1);
                let next = channel.flow.settle(now, sequence, Vec::new());
                self.send_all(&next);
            }
            Err(problem) => {
                tracing::debug!(topic = %channel.topic, reason = problem.reason, "no snapshot for a resync");
                channel.flow.resync_failed(now);
            }
        }
    }

    /// The hub delivered something.
    pub(super) fn on_delivery(&mut self, now: Timestamp, delivery: Delivery) {
        match delivery {
            Delivery::Push { channel, push } => {
                let Some(index) = self.index(channel) else { return };
                let Some(channel) = self.channels.get_mut(index) else { return };
                match channel.flow.on_push(now, &push) {
                    Verdict::Send => self.out.push_back(push.frame(self.version, |p| encode(self.version, p))),
                    Verdict::Keep => {}
                    Verdict::Mute => {
                        if let Some(membership) = &channel.membership {
                            membership.mute();
                        }
                    }
                }
            }
            Delivery::Lagged { channel } => {
                if let Some(channel) = self.index(channel).and_then(|index| self.channels.get_mut(index)) {
                    channel.flow.on_lag(now);
                }
            }
            Delivery::TopicClosed { channel, reason } => {
                if let Some(index) = self.index(channel) {
                    self.close_channel(index, &format!(r#"{{"reason":"{reason}"}}"#));
                }
            }
            Delivery::SocketClosed(close) => self.closing = Some(close),
        }
    }

    /// Does what is due on the channels: batches and resyncs.
    pub(super) fn on_time(&mut self, now: Timestamp) {
        for channel in &mut self.channels {
            match channel.flow.due(now) {
                Due::Nothing => {}
                Due::Batch => {
                    let batch = channel.flow.take_batch();
                    if let Some(json) = batch_json(&batch) {
                        let join_ref = channel.join_ref.as_ref();
                        let frame = frame::encode_to_channel(self.version, join_ref, channel.topic, "events", &json);
                        self.out.push_back(frame.into());
                    }
                }
                Due::Resync => {
                    let Some(membership) = &channel.membership else { continue };
                    if channel.flow.begin_resync(now, membership.take_missed()) {
                        membership.unmute();
                    }
                    let (id, place) = (channel.id, channel.place(&self.state, &self.principal));
                    self.work.push(Box::pin(async move {
                        Done::Resynced { channel: id, result: channels::snapshot(place).await }
                    }));
                }
            }
        }
    }

    /// When something will be due on a channel.
    pub(super) fn due_at(&self) -> Option<Timestamp> {
        self.channels.iter().filter_map(|channel| channel.flow.due_at()).min()
    }

    /// Ends every membership and gives up what is under way; gives the frames that were still to be written.
    pub(super) fn end(&mut self) -> VecDeque<Utf8Bytes> {
        self.work = FuturesUnordered::new();
        self.channels = Vec::new();
        std::mem::take(&mut self.out)
    }

    fn send_all(&mut self, pushes: &[Arc<Push>]) {
        let version = self.version;
        self.out.extend(pushes.iter().map(|push| push.frame(version, |p| encode(version, p))));
    }

    fn index(&self, channel: u32) -> Option<usize> {
        self.channels.iter().position(|one| one.id == channel)
    }

    /// Ends a channel and says so.
    fn close_channel(&mut self, index: usize, payload: &str) {
        if let Some(channel) = self.channels.get(index) {
            let join_ref = channel.join_ref.as_ref();
            let frame = frame::encode_to_channel(self.version, join_ref, channel.topic, frame::CLOSE, payload);
            self.out.push_back(frame.into());
            self.remove(index);
        }
    }

    /// Forgets a channel; commands that still wait on it are answered.
    fn remove(&mut self, index: usize) {
        let channel = self.channels.swap_remove(index);
        self.waiting -= channel.waiting.len();
        for command in &channel.waiting {
            self.reply(&command.address, Err(Problem::unmatched_topic()));
        }
    }

    fn reply(&mut self, address: &Address, result: Result<String, Problem>) {
        let (ok, response) = match result {
            Ok(response) => (true, response),
            Err(problem) => (false, problem.to_json()),
        };
        let Address { join_ref, reference, topic } = address;
        let (join_ref, reference) = (join_ref.as_ref(), reference.as_ref());
        self.out.push_back(frame::encode_reply(self.version, join_ref, reference, topic, ok, &response).into());
    }

    fn reply_to(&mut self, frame: &Frame<'_>, result: Result<String, Problem>) {
        self.reply(&Address::of(frame), result);
    }
}

fn encode(version: Version, push: &Push) -> String {
    frame::encode_push(version, push)
}
