//! Phoenix frames of both protocol versions, as a client writes and reads them.
//!
//! Payloads stay raw JSON text: most of them are never looked into.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Which frames a socket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vsn {
    /// Objects: `{"topic", "event", "payload", "ref", "join_ref"}`.
    V1,
    /// Arrays: `[join_ref, ref, topic, event, payload]`.
    V2,
}

impl Vsn {
    /// The value of the `vsn` query parameter.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "1.0.0",
            Self::V2 => "2.0.0",
        }
    }
}

/// A frame on its way to the server. `payload` is JSON text.
#[derive(Debug)]
pub struct ClientFrame<'a> {
    pub join_ref: Option<u64>,
    pub reference: u64,
    pub topic: &'a str,
    pub event: &'a str,
    pub payload: &'a str,
}

impl ClientFrame<'_> {
    /// The frame as text. Topics and events of this contract need no JSON escaping.
    #[must_use]
    pub fn encode(&self, vsn: Vsn) -> String {
        let Self { join_ref, reference, topic, event, payload } = self;
        match (vsn, join_ref) {
            (Vsn::V2, Some(join_ref)) => format!(r#"["{join_ref}","{reference}","{topic}","{event}",{payload}]"#),
            (Vsn::V2, None) => format!(r#"[null,"{reference}","{topic}","{event}",{payload}]"#),
            (Vsn::V1, Some(join_ref)) => format!(
                r#"{{"topic":"{topic}","event":"{event}","payload":{payload},"ref":"{reference}","join_ref":"{join_ref}"}}"#
            ),
            (Vsn::V1, None) => {
                format!(r#"{{"topic":"{topic}","event":"{event}","payload":{payload},"ref":"{reference}"}}"#)
            }
        }
    }
}

/// A frame from the server.
#[derive(Debug)]
pub struct ServerFrame<'a> {
    pub reference: Option<u64>,
    pub join_ref: Option<u64>,
    pub topic: Cow<'a, str>,
    pub event: Cow<'a, str>,
    pub payload: &'a RawValue,
}

#[derive(Deserialize)]
struct Array<'a>(
    #[serde(borrow)] Option<Cow<'a, str>>,
    #[serde(borrow)] Option<Cow<'a, str>>,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] &'a RawValue,
);

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow, default)]
    join_ref: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "ref")]
    reference: Option<Cow<'a, str>>,
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    payload: &'a RawValue,
}

impl<'a> ServerFrame<'a> {
    /// Reads one text frame.
    ///
    /// # Errors
    /// When it is not a frame of that version.
    pub fn decode(vsn: Vsn, text: &'a str) -> Result<Self, serde_json::Error> {
        let number = |text: Option<Cow<'_, str>>| text.and_then(|text| text.parse().ok());
        Ok(match vsn {
            Vsn::V2 => {
                let Array(join_ref, reference, topic, event, payload) = serde_json::from_str(text)?;
                Self { reference: number(reference), join_ref: number(join_ref), topic, event, payload }
            }
            Vsn::V1 => {
                let Object { join_ref, reference, topic, event, payload } = serde_json::from_str(text)?;
                Self { reference: number(reference), join_ref: number(join_ref), topic, event, payload }
            }
        })
    }
}

/// The payload of `phx_reply`.
#[derive(Debug, Deserialize)]
pub struct ReplyPayload<'a> {
    #[serde(borrow)]
    pub status: Cow<'a, str>,
    #[serde(borrow)]
    pub response: &'a RawValue,
}

/// The response of a `phx_reply` whose status is `error`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Refusal {
    /// A code in snake case.
    pub reason: String,
    /// A sentence for people.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]
    use super::*;

    const FRAME: ClientFrame<'_> =
        ClientFrame { join_ref: Some(1), reference: 2, topic: "call:x", event: "leave", payload: "{}" };

    #[test]
    fn both_versions_are_written_as_phoenix_reads_them() {
        assert_eq!(FRAME.encode(Vsn::V2), r#"["1","2","call:x","leave",{}]"#);
        assert_eq!(
            FRAME.encode(Vsn::V1),
            r#"{"topic":"call:x","event":"leave","payload":{},"ref":"2","join_ref":"1"}"#
        );
    }

    #[test]
    fn pushes_without_refs_are_read() {
        let push = ServerFrame::decode(Vsn::V2, r#"[null,null,"call:x","call_ended",{"status":"completed"}]"#).unwrap();
        assert_eq!((push.reference, push.event.as_ref()), (None, "call_ended"));
        let push = ServerFrame::decode(Vsn::V1, r#"{"topic":"t","event":"e","payload":{"a":1},"ref":null}"#).unwrap();
        assert_eq!((push.join_ref, push.payload.get()), (None, r#"{"a":1}"#));
    }

    #[test]
    fn a_reply_keeps_its_ref() {
        let text = r#"["1","2","call:x","phx_reply",{"status":"error","response":{"reason":"gone"}}]"#;
        let frame = ServerFrame::decode(Vsn::V2, text).unwrap();
        assert_eq!(frame.reference, Some(2));
        let reply: ReplyPayload<'_> = serde_json::from_str(frame.payload.get()).unwrap();
        let refusal: Refusal = serde_json::from_str(reply.response.get()).unwrap();
        assert_eq!((reply.status.as_ref(), refusal.reason.as_str()), ("error", "gone"));
    }
}
