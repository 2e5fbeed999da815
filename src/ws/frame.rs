//! Owns what a frame says, whatever the version that carries it; `frame_v1` and `frame_v2` own the two wire formats. It
//! knows no topic and no event but Phoenix's own.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{frame_v1, frame_v2};
use crate::live::push::{Push, Version};

/// Phoenix's own events.
pub const JOIN: &str = "phx_join";
pub const LEAVE: &str = "phx_leave";
pub const REPLY: &str = "phx_reply";
pub const CLOSE: &str = "phx_close";
/// The topic of the connection itself, and its one event.
pub const PHOENIX: &str = "phoenix";
pub const HEARTBEAT: &str = "heartbeat";

/// Longest ref we echo; the official client counts from 1.
const REF_BYTES_MAX: usize = 64;
/// Longest topic or event name worth answering.
const NAME_BYTES_MAX: usize = 256;

/// A ref as the client wrote it: the JSON of a string or a number, echoed byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ref(Box<str>);

impl Ref {
    /// Takes the JSON of a string or a number of reasonable length; `null` and everything else is `None`.
    fn from_json(json: &str) -> Option<Self> {
        let first = *json.as_bytes().first()?;
        let is_ref = first == b'"' || first == b'-' || first.is_ascii_digit();
        (is_ref && json.len() <= REF_BYTES_MAX).then(|| Self(Box::from(json)))
    }

    /// The ref whose text a binary frame carries; empty is none.
    pub(super) fn of_text(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        Self::from_json(&serde_json::Value::from(text).to_string())
    }

    /// The JSON.
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

/// The JSON of a ref or of its absence.
pub(super) fn ref_json(reference: Option<&Ref>) -> &str {
    reference.map_or("null", Ref::as_json)
}

/// A message from a client.
#[derive(Debug)]
pub struct Frame<'a> {
    pub join_ref: Option<Ref>,
    pub reference: Option<Ref>,
    pub topic: Cow<'a, str>,
    pub event: Cow<'a, str>,
    /// Any JSON; `null` when the client sent none.
    pub payload: Cow<'a, RawValue>,
}

/// A message that is no frame, with as much of it as an answer needs.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed {
    pub join_ref: Option<Ref>,
    /// Without one there is nothing to answer to, and the socket is closed.
    pub reference: Option<Ref>,
    pub topic: Option<String>,
    pub detail: &'static str,
}

/// The fields of a frame before they are checked.
#[derive(Debug, Default)]
pub(super) struct Parts<'a> {
    pub join_ref: Option<&'a RawValue>,
    pub reference: Option<&'a RawValue>,
    pub topic: Option<&'a RawValue>,
    pub event: Option<&'a RawValue>,
    pub payload: Option<&'a RawValue>,
}

impl<'a> Parts<'a> {
    /// Checks the fields. The refs are read first, so that whatever else is wrong can be answered.
    pub(super) fn into_frame(self) -> Result<Frame<'a>, Malformed> {
        let read_ref = |raw: Option<&RawValue>| match raw {
            None => Ok(None),
            Some(raw) if raw.get() == "null" => Ok(None),
            Some(raw) => Ref::from_json(raw.get()).map(Some).ok_or("a ref must be a string or a number"),
        };
        let (join_ref, reference) = (read_ref(self.join_ref), read_ref(self.reference));
        let topic = read_name(self.topic);
        let event = read_name(self.event);
        let malformed = |detail| Malformed {
            join_ref: join_ref.clone().ok().flatten(),
            reference: reference.clone().ok().flatten(),
            topic: topic.as_deref().map(str::to_owned),
            detail,
        };
        for read in [&join_ref, &reference] {
            if let Err(detail) = read {
                return Err(malformed(detail));
            }
        }
        if topic.is_none() {
            return Err(malformed("the topic must be a string of reasonable length"));
        }
        let Some(event) = event else {
            return Err(malformed("the event must be a string of reasonable length"));
        };
        let payload = Cow::Borrowed(self.payload.unwrap_or(RawValue::NULL));
        Ok(Frame {
            join_ref: join_ref.ok().flatten(),
            reference: reference.ok().flatten(),
            topic: topic.unwrap_or_default(),
            event,
            payload,
        })
    }
}

fn read_name(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    // Names without escapes, which is all of ours, are borrowed.
    #[derive(Deserialize)]
    struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
    let Name(name) = serde_json::from_str(raw?.get()).ok()?;
    (name.len() <= NAME_BYTES_MAX).then_some(name)
}

/// Reads a client's text frame.
pub fn decode(version: Version, text: &str) -> Result<Frame<'_>, Malformed> {
    match version {
        Version::V1 => frame_v1::decode(text),
        Version::V2 => frame_v2::decode(text),
    }
}

/// Reads just enough of a client's binary frame to decline it.
pub fn decode_binary(version: Version, bytes: &[u8]) -> Malformed {
    match version {
        Version::V1 => Malformed { join_ref: None, reference: None, topic: None, detail: "send text frames" },
        Version::V2 => frame_v2::decode_binary(bytes),
    }
}

/// The frame of a broadcast; it carries no refs, so that every socket can share it.
pub fn encode_push(version: Version, push: &Push) -> String {
    match version {
        Version::V1 => frame_v1::encode(push.topic, None, push.event, &push.payload),
        Version::V2 => frame_v2::encode(None, None, push.topic, push.event, &push.payload),
    }
}

/// The frame of a message to one channel, `payload` being JSON. Phoenix gives `phx_close` the join's ref as its own.
pub fn encode_to_channel(
    version: Version,
    join_ref: Option<&Ref>,
    topic: impl std::fmt::Display,
    event: &str,
    payload: &str,
) -> String {
    let reference = if event == CLOSE { join_ref } else { None };
    match version {
        Version::V1 => frame_v1::encode(topic, reference, event, payload),
        Version::V2 => frame_v2::encode(join_ref, reference, topic, event, payload),
    }
}

/// The frame of a reply, `response` being JSON. `topic` is what the client wrote, so it is escaped.
pub fn encode_reply(
    version: Version,
    join_ref: Option<&Ref>,
    reference: Option<&Ref>,
    topic: &str,
    ok: bool,
    response: &str,
) -> String {
    let status = if ok { "ok" } else { "error" };
    let payload = format!(r#"{{"status":"{status}","response":{response}}}"#);
    let topic = escaped(topic);
    match version {
        Version::V1 => frame_v1::encode(topic, reference, REPLY, &payload),
        Version::V2 => frame_v2::encode(join_ref, reference, topic, REPLY, &payload),
    }
}

/// `text` as the inside of a JSON string.
fn escaped(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        return Cow::Borrowed(text);
    }
    let json = serde_json::Value::from(text).to_string();
    Cow::Owned(json.get(1..json.len().saturating_sub(1)).unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_a_client_made_up_are_escaped_in_replies() {
        let topic = "a\"b\\c\u{1}";
        let frame = encode_reply(Version::V2, None, None, topic, false, "{}");
        let read: serde_json::Value = serde_json::from_str(&frame).unwrap_or_default();
        assert_eq!(read[2], topic);
    }

    #[test]
    fn refs_are_strings_or_numbers() {
        for json in ["\"1\"", "7", "-1"] {
            assert_eq!(Ref::from_json(json).as_ref().map(Ref::as_json), Some(json));
        }
        for json in ["", "null", "true", "{}", "[1]"] {
            assert_eq!(Ref::from_json(json), None, "{json}");
        }
    }
}
