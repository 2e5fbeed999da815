//! Owns the object frames of `vsn=1.0.0`: `{"topic", "event", "payload", "ref"}`, with `join_ref` read when a client sends it.

use std::fmt::Display;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::frame::{Frame, Malformed, Parts, Ref, ref_json};

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    join_ref: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "ref")]
    reference: Option<&'a RawValue>,
    #[serde(borrow, default)]
    topic: Option<&'a RawValue>,
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
}

/// Reads a frame.
pub(super) fn decode(text: &str) -> Result<Frame<'_>, Malformed> {
    match serde_json::from_str::<Fields<'_>>(text) {
        Ok(fields) => Parts {
            join_ref: fields.join_ref,
            reference: fields.reference,
            topic: fields.topic,
            event: fields.event,
            payload: fields.payload,
        }
        .into_frame(),
        Err(_) => Err(Malformed {
            join_ref: None,
            reference: None,
            topic: None,
            detail: "a frame must be a JSON object with topic, event, payload and ref",
        }),
    }
}

/// Writes a frame; `topic` must not need escaping, `payload` is JSON.
pub(super) fn encode(topic: impl Display, reference: Option<&Ref>, event: &str, payload: &str) -> String {
    format!(r#"{{"topic":"{topic}","event":"{event}","payload":{payload},"ref":{}}}"#, ref_json(reference))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::super::frame::{self, decode as decode_any};
    use crate::domain::ids::CallId;
    use crate::live::push::{Push, Version};
    use crate::live::topic::Topic;

    const V1: Version = Version::V1;

    #[test]
    fn reads_what_the_documentation_shows() {
        let frame = decode_any(V1, r#"{"topic":"call:x","event":"phx_join","payload":{"a":1},"ref":"1"}"#).unwrap();
        assert_eq!((&*frame.topic, &*frame.event, frame.payload.get()), ("call:x", "phx_join", r#"{"a":1}"#));
        assert_eq!(frame.reference.unwrap().as_json(), "\"1\"");
        assert!(frame.join_ref.is_none());
        let numbered = decode_any(V1, r#"{"ref":7,"event":"e","topic":"t"}"#).unwrap();
        assert_eq!((numbered.reference.unwrap().as_json(), numbered.payload.get()), ("7", "null"));
    }

    #[test]
    fn answers_malformed_frames_where_a_ref_can_be_read() {
        let malformed = decode_any(V1, r#"{"topic":7,"event":"e","payload":{},"ref":"3"}"#).unwrap_err();
        assert_eq!(malformed.reference.unwrap().as_json(), "\"3\"");
        for text in ["", "7", "\"x\"", "{", r#"{"event":"e","ref":{}}"#] {
            assert!(decode_any(V1, text).unwrap_err().reference.is_none(), "{text}");
        }
    }

    #[test]
    fn golden_frames() {
        let join = decode_any(V1, r#"{"topic":"t","event":"phx_join","payload":{},"ref":"1"}"#).unwrap();
        let reference = join.reference.as_ref();
        insta::assert_snapshot!(
            frame::encode_reply(V1, None, reference, "t", true, r#"{"a":1}"#),
            @r#"{"topic":"t","event":"phx_reply","payload":{"status":"ok","response":{"a":1}},"ref":"1"}"#
        );
        insta::assert_snapshot!(
            frame::encode_to_channel(V1, reference, "t", "phx_close", "{}"),
            @r#"{"topic":"t","event":"phx_close","payload":{},"ref":"1"}"#
        );
        let push = Push::new(Topic::Call(CallId(uuid::Uuid::nil())), "call_started", "{}".into(), None);
        insta::assert_snapshot!(
            frame::encode_push(V1, &push),
            @r#"{"topic":"call:00000000-0000-0000-0000-000000000000","event":"call_started","payload":{},"ref":null}"#
        );
    }
}
