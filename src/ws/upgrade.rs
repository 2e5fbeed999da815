//! Owns the door of the socket: token, origin, version, subprotocol and the buffers a socket gets. Whoever is refused is
//! refused before the upgrade, with 403 as Phoenix does.

use std::borrow::Cow;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::header::{HOST, HeaderMap, HeaderValue, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{WsState, socket};
use crate::auth::{Claims, Principal, TokenError, Use};
use crate::live::push::Version;
use crate::store;

/// What a socket reads at once. Customers mostly only listen; a session description takes a few reads.
const READ_BUFFER_BYTES: usize = 1024;
/// Frames are gathered up to this many bytes before they are written; the session flushes after every burst.
const WRITE_BUFFER_BYTES: usize = 4 * 1024;
/// The most that may wait to be written: a snapshot of a large department's queue, several times over. It is only allocated
/// when needed.
const WRITE_BUFFER_BYTES_MAX: usize = 4 << 20;
/// The subprotocol we speak, and the one by which the official client carries a token.
const PHOENIX_PROTOCOL: &str = "phoenix";
const TOKEN_PROTOCOL: &str = "base64url.bearer.phx.";

/// `btoa` without padding is what the client sends, whatever the protocol's name says; both alphabets are read.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// `GET /socket/websocket`.
pub(super) async fn upgrade(
    State(state): State<WsState>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if !origin_allowed(&headers, &state.settings().origins) {
        return forbidden("This origin may not open sockets here.");
    }
    let query = uri.query().unwrap_or_default();
    let Some(token) = token(query, &headers) else {
        return forbidden("A socket needs a token.");
    };
    let believed = |claims: Claims| match claims.usage {
        Use::Access if state.revocations().role_now(&claims).is_none() => Err(TokenError::Invalid),
        _ => Principal::try_from(claims),
    };
    let principal = match state.tokens().read(&token).and_then(believed) {
        Ok(principal) => principal,
        Err(TokenError::Expired) => return forbidden("The token has expired."),
        Err(_) => return forbidden("The token is not valid."),
    };
    let Some(principal) = as_of_now(&state, principal).await else {
        return forbidden("The token is not valid.");
    };
    let version = match parameter(query, "vsn").as_deref() {
        None | Some("" | "1.0.0") => Version::V1,
        Some("2.0.0") => Version::V2,
        Some(_) => return (StatusCode::BAD_REQUEST, "Use vsn=1.0.0 or vsn=2.0.0.\n").into_response(),
    };
    match upgrade {
        Ok(upgrade) => upgrade
            .protocols([PHOENIX_PROTOCOL])
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
            .max_frame_size(state.settings().frame_bytes_max)
            .max_message_size(state.settings().frame_bytes_max)
            .on_upgrade(move |socket| socket::serve(socket, state, principal, version)),
        Err(rejection) => rejection.into_response(),
    }
}

fn forbidden(detail: &'static str) -> Response {
    (StatusCode::FORBIDDEN, axum::Json(serde_json::json!({ "detail": detail }))).into_response()
}

/// The principal with the role he has now, if he still works here: a socket outlives its token, so it must not begin with
/// what the token remembers. While Postgres is away the token alone is believed: sockets must be able to come back then.
async fn as_of_now(state: &WsState, principal: Principal) -> Option<Principal> {
    let Principal::User { tenant, slug, user, session, role } = principal else { return Some(principal) };
    let role = match store::users::find(state.store(), tenant, user).await {
        Ok(found) => found.filter(|user| user.active)?.role,
        Err(error) if error.is_unavailable() => role,
        Err(error) => {
            tracing::error!(%error, "a socket's user could not be read");
            return None;
        }
    };
    Some(Principal::User { tenant, slug, user, role, session })
}

/// The token of the query, else of the subprotocols, which keep it out of URLs.
fn token(query: &str, headers: &HeaderMap) -> Option<String> {
    if let Some(token) = parameter(query, "token").filter(|token| !token.is_empty()) {
        return Some(token.into_owned());
    }
    let protocols = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let encoded =
        protocols.flat_map(|value| value.split(',')).find_map(|one| one.trim().strip_prefix(TOKEN_PROTOCOL))?;
    let encoded = encoded.replace('+', "-").replace('/', "_");
    String::from_utf8(URL_SAFE.decode(encoded).ok()?).ok()
}

/// The first value of a query parameter. Tokens and versions never hold an escape other than a percent one.
fn parameter<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let value = query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })?;
    if !value.contains('%') {
        return Some(Cow::Borrowed(value));
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escape = after
            .first_chunk::<2>()
            .filter(|_| byte == b'%')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match escape {
            Some(decoded) => {
                bytes.push(decoded);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// Browsers say where a page comes from; other clients say nothing and are let in. Our own host and the configured
/// origins may open sockets.
fn origin_allowed(headers: &HeaderMap, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    if allowed.iter().any(|one| one == "*" || one.trim_end_matches('/').eq_ignore_ascii_case(origin)) {
        return true;
    }
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default_port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    let host = headers.get(HOST).map(HeaderValue::to_str).and_then(Result::ok);
    let plain = |authority: &str| authority.to_ascii_lowercase().trim_end_matches(default_port).to_owned();
    host.is_some_and(|host| plain(host) == plain(authority))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use axum::http::HeaderName;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_token_comes_by_query_or_by_subprotocol() {
        let none = HeaderMap::new();
        assert_eq!(token("token=a.b-c_d&vsn=2.0.0", &none).as_deref(), Some("a.b-c_d"));
        assert_eq!(token("vsn=2.0.0&token=a%2Eb", &none).as_deref(), Some("a.b"));
        assert_eq!(token("token=&vsn=2.0.0", &none), None);
        assert_eq!(token("", &none), None);
        // What the official client sends for the authToken "a.b?>": btoa without padding.
        let header = headers(&[(SEC_WEBSOCKET_PROTOCOL, "phoenix, base64url.bearer.phx.YS5iPz4")]);
        assert_eq!(token("vsn=2.0.0", &header).as_deref(), Some("a.b?>"));
        let header = headers(&[(SEC_WEBSOCKET_PROTOCOL, "phoenix, base64url.bearer.phx.!!")]);
        assert_eq!(token("", &header), None);
    }

    #[test]
    fn only_our_own_host_and_listed_origins_are_let_in() {
        let listed = [String::from("https://app.example/")];
        let allowed =
            |origin: &str| origin_allowed(&headers(&[(ORIGIN, origin), (HOST, "queue.example:4000")]), &listed);
        assert!(origin_allowed(&headers(&[(HOST, "queue.example")]), &[]));
        assert!(allowed("http://queue.example:4000"));
        assert!(allowed("https://app.example"));
        for origin in ["http://queue.example", "https://evil.example", "null", "http://queue.example:4000.evil.example"]
        {
            assert!(!allowed(origin), "{origin}");
        }
        assert!(origin_allowed(&headers(&[(ORIGIN, "https://queue.example"), (HOST, "queue.example:443")]), &[]));
    }
}
