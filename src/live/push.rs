//! Owns one message to many sockets: its payload is serialised once, and its frame once per protocol version, whoever and
//! however many hear it. The frames' format is `ws/frame`'s.

use std::sync::OnceLock;

use axum::extract::ws::Utf8Bytes;
use serde::Serialize;

use super::topic::Topic;

/// The protocol a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// `vsn=1.0.0`, the default: frames are objects.
    V1,
    /// `vsn=2.0.0`: frames are arrays.
    V2,
}

/// The place of a push in its topic's sequence. A topic's owner raises `epoch` whenever it cannot continue `seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sequence {
    pub epoch: u64,
    pub seq: u64,
}

/// One message on a topic.
#[derive(Debug)]
pub struct Push {
    pub topic: Topic,
    pub event: &'static str,
    /// A JSON object; on sequenced topics `seq` is its first member.
    pub payload: Box<str>,
    pub sequence: Option<Sequence>,
    v1: OnceLock<Utf8Bytes>,
    v2: OnceLock<Utf8Bytes>,
}

impl Push {
    /// A message whose payload is JSON already.
    pub fn new(topic: Topic, event: &'static str, payload: Box<str>, sequence: Option<Sequence>) -> Self {
        Self { topic, event, payload, sequence, v1: OnceLock::new(), v2: OnceLock::new() }
    }

    /// The frame for `version`: made by `encode` the first time, the same shared bytes ever after.
    pub fn frame(&self, version: Version, encode: impl FnOnce(&Push) -> String) -> Utf8Bytes {
        let slot = match version {
            Version::V1 => &self.v1,
            Version::V2 => &self.v2,
        };
        slot.get_or_init(|| Utf8Bytes::from(encode(self))).clone()
    }
}

/// Why a payload cannot be pushed; a fault of the program, never of a client.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    #[error("a push's payload must be a JSON object")]
    NotAnObject,
    #[error("a push's payload cannot be serialised: {0}")]
    Json(#[from] serde_json::Error),
    #[error("a push's payload is not UTF-8")]
    Encoding(#[from] std::string::FromUtf8Error),
}

/// The payload's JSON, with `"seq":n` as the first member when there is a `seq`.
pub fn payload_json(payload: &impl Serialize, seq: Option<u64>) -> Result<Box<str>, PayloadError> {
    let mut bytes = Vec::with_capacity(256);
    if let Some(seq) = seq {
        bytes.extend_from_slice(b"{\"seq\":");
        bytes.extend_from_slice(seq.to_string().as_bytes());
    }
    let start = bytes.len();
    serde_json::to_writer(&mut bytes, payload)?;
    if bytes.get(start) != Some(&b'{') {
        return Err(PayloadError::NotAnObject);
    }
    if start > 0 {
        // The payload's own brace becomes the comma after `seq`, or goes when nothing follows it.
        if bytes.get(start + 1) == Some(&b'}') {
            bytes.remove(start);
        } else if let Some(brace) = bytes.get_mut(start) {
            *brace = b',';
        }
    }
    Ok(String::from_utf8(bytes)?.into_boxed_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use crate::domain::ids::CallId;
    use serde_json::json;

    #[test]
    fn seq_is_the_first_member() {
        assert_eq!(&*payload_json(&json!({"a": 1}), Some(7)).unwrap(), r#"{"seq":7,"a":1}"#);
        assert_eq!(&*payload_json(&json!({}), Some(7)).unwrap(), r#"{"seq":7}"#);
        assert_eq!(&*payload_json(&json!({"a": 1}), None).unwrap(), r#"{"a":1}"#);
        assert!(matches!(payload_json(&json!([1]), Some(7)), Err(PayloadError::NotAnObject)));
        assert!(matches!(payload_json(&json!("x"), None), Err(PayloadError::NotAnObject)));
    }

    #[test]
    fn a_frame_is_encoded_once_per_version_and_shared() {
        let push = Push::new(Topic::Call(CallId(uuid::Uuid::nil())), "x", "{}".into(), None);
        let mut encoded = 0;
        let mut frame = |version| {
            push.frame(version, |push| {
                encoded += 1;
                format!("{version:?} {}", push.event)
            })
        };
        let (first, second, other) = (frame(Version::V2), frame(Version::V2), frame(Version::V1));
        assert_eq!(encoded, 2);
        assert_eq!(first.as_str().as_ptr(), second.as_str().as_ptr());
        assert_ne!(first.as_str(), other.as_str());
    }
}
