//! Owns the array frames of `vsn=2.0.0`: `[join_ref, ref, topic, event, payload]`, and reads as much of Phoenix's binary
//! frames as it takes to decline them.

use std::fmt::Display;

use serde_json::value::RawValue;

use super::frame::{Frame, Malformed, Parts, Ref, ref_json};

/// The number of elements of a frame.
const ELEMENTS: usize = 5;

/// Reads a frame.
pub(super) fn decode(text: &str) -> Result<Frame<'_>, Malformed> {
    const DETAIL: &str = "a frame must be [join_ref, ref, topic, event, payload]";
    let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(text) else {
        return Err(Malformed { join_ref: None, reference: None, topic: None, detail: DETAIL });
    };
    let at = |index: usize| elements.get(index).copied();
    let frame = Parts { join_ref: at(0), reference: at(1), topic: at(2), event: at(3), payload: at(4) }.into_frame();
    match frame {
        Ok(frame) if elements.len() != ELEMENTS => Err(Malformed {
            join_ref: frame.join_ref,
            reference: frame.reference,
            topic: Some(frame.topic.into_owned()),
            detail: DETAIL,
        }),
        Err(malformed) if elements.len() != ELEMENTS => Err(Malformed { detail: DETAIL, ..malformed }),
        frame => frame,
    }
}

/// Reads the refs and the topic of a binary push: `0, sizes of join_ref, ref, topic and event, then those, then data`.
pub(super) fn decode_binary(bytes: &[u8]) -> Malformed {
    let nothing = Malformed {
        join_ref: None,
        reference: None,
        topic: None,
        detail: "binary payloads are not taken here: send the payload as JSON in a text frame",
    };
    let Some(([0, join_ref, reference, topic, _event], mut rest)) = bytes.split_first_chunk::<5>() else {
        return nothing;
    };
    let mut take = |size: u8| {
        let (text, after) = rest.split_at_checked(usize::from(size))?;
        rest = after;
        std::str::from_utf8(text).ok().map(str::to_owned)
    };
    let (Some(join_ref), Some(reference), Some(topic)) = (take(*join_ref), take(*reference), take(*topic)) else {
        return nothing;
    };
    let as_ref = |text: String| Ref::of_text(&text);
    Malformed { join_ref: as_ref(join_ref), reference: as_ref(reference), topic: Some(topic), ..nothing }
}

/// Writes a frame; `topic` must not need escaping, `payload` is JSON.
pub(super) fn encode(
    join_ref: Option<&Ref>,
    reference: Option<&Ref>,
    topic: impl Display,
    event: &str,
    payload: &str,
) -> String {
    format!(r#"[{},{},"{topic}","{event}",{payload}]"#, ref_json(join_ref), ref_json(reference))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::super::frame::{self, decode as decode_any};
    use crate::domain::ids::CallId;
    use crate::live::push::{Push, Version};
    use crate::live::topic::Topic;

    const V2: Version = Version::V2;

    #[test]
    fn reads_what_the_official_client_sends() {
        let frame = decode_any(V2, r#"["1","2","call:x","leave",{"a":[1]}]"#).unwrap();
        assert_eq!((&*frame.topic, &*frame.event, frame.payload.get()), ("call:x", "leave", r#"{"a":[1]}"#));
        assert_eq!(frame.join_ref.unwrap().as_json(), "\"1\"");
        assert_eq!(frame.reference.unwrap().as_json(), "\"2\"");
        let heartbeat = decode_any(V2, r#"[null,"7","phoenix","heartbeat",{}]"#).unwrap();
        assert!(heartbeat.join_ref.is_none());
        let escaped = decode_any(V2, r#"[null,null,"caf\u00e9","e",null]"#).unwrap();
        assert_eq!((&*escaped.topic, escaped.payload.get()), ("café", "null"));
    }

    #[test]
    fn answers_malformed_frames_where_a_ref_can_be_read() {
        for text in [r#"["1","3"]"#, r#"["1","3","t"]"#, r#"["1","3",7,"e",{}]"#, r#"["1","3","t","e",{},1]"#] {
            let malformed = decode_any(V2, text).unwrap_err();
            assert_eq!(malformed.reference.unwrap().as_json(), "\"3\"", "{text}");
            assert_eq!(malformed.join_ref.unwrap().as_json(), "\"1\"", "{text}");
        }
        for text in ["", "{}", "[", "[]", r#"[null,{},"t","e",{}]"#] {
            assert!(decode_any(V2, text).unwrap_err().reference.is_none(), "{text}");
        }
        let long = "x".repeat(300);
        assert!(decode_any(V2, &format!(r#"[null,"{long}","t","e",{{}}]"#)).unwrap_err().reference.is_none());
        assert!(decode_any(V2, &format!(r#"[null,"1","{long}","e",{{}}]"#)).unwrap_err().topic.is_none());
    }

    #[test]
    fn a_binary_push_is_declined_by_name() {
        let malformed = frame::decode_binary(V2, b"\x00\x01\x02\x06\x0123call:xeDATA");
        assert_eq!(malformed.join_ref.unwrap().as_json(), "\"2\"");
        assert_eq!(malformed.reference.unwrap().as_json(), "\"3c\"");
        for bytes in [&b""[..], b"\x00", b"\x01\x01\x01\x01\x01abcd", b"\x00\x09\x01\x01\x01ab"] {
            assert!(frame::decode_binary(V2, bytes).reference.is_none());
        }
    }

    #[test]
    fn golden_frames() {
        let join = decode_any(V2, r#"["1","2","t","phx_join",{}]"#).unwrap();
        let (join_ref, reference) = (join.join_ref.as_ref(), join.reference.as_ref());
        insta::assert_snapshot!(
            frame::encode_reply(V2, join_ref, reference, "t", true, r#"{"a":1}"#),
            @r#"["1","2","t","phx_reply",{"status":"ok","response":{"a":1}}]"#
        );
        insta::assert_snapshot!(
            frame::encode_reply(V2, None, None, "t", false, r#"{"reason":"x"}"#),
            @r#"[null,null,"t","phx_reply",{"status":"error","response":{"reason":"x"}}]"#
        );
        insta::assert_snapshot!(
            frame::encode_to_channel(V2, join_ref, "t", "phx_close", "{}"),
            @r#"["1","1","t","phx_close",{}]"#
        );
        insta::assert_snapshot!(
            frame::encode_to_channel(V2, join_ref, "t", "presence_state", "{}"),
            @r#"["1",null,"t","presence_state",{}]"#
        );
        let push = Push::new(Topic::Call(CallId(uuid::Uuid::nil())), "call_started", "{}".into(), None);
        insta::assert_snapshot!(
            frame::encode_push(V2, &push),
            @r#"[null,null,"call:00000000-0000-0000-0000-000000000000","call_started",{}]"#
        );
    }
}
