//! Owns telling browsers which STUN and TURN servers a call's media may use. Credentials are coturn's time-limited ones
//! ("A REST API for access to TURN services"), so this server and the relay share nothing but a secret.

use axum::extract::State;
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha1::Sha1;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::call_status::look;
use crate::auth::Use;
use crate::config::Turn;
use crate::domain::call::Phase;
use crate::domain::clock::Timestamp;
use crate::http::caller::bearer;
use crate::http::envelope::Data;
use crate::http::error::ApiError;
use crate::http::input::{Params, Query, QueryInput};
use crate::http::state::AppState;

/// Longest token worth reading; ours are below 600 bytes. Longer ones would not fit into the head of a request, either.
const TOKEN_CHARS_MAX: usize = 1_000;

/// `/api/v1/call/turn-credentials`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(turn_credentials))
}

/// Servers for the media of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct MediaServers {
    /// What `RTCPeerConnection` takes as `iceServers`.
    ice_servers: Vec<IceServer>,
    /// Of the TURN credentials, as in `ice_servers`; null without any.
    username: Option<String>,
    credential: Option<String>,
    /// The TURN servers' addresses; those of STUN without any.
    urls: Vec<String>,
    /// Life of the credentials in seconds; of STUN servers how long the answer may be kept.
    ttl: u32,
}

/// One server, or several with the same credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct IceServer {
    urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
}

/// Query of `turn-credentials`.
struct MediaToken {
    token: Option<String>,
}

impl QueryInput for MediaToken {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self { token: params.text("token", TOKEN_CHARS_MAX)? })
    }
}

/// Get TURN credentials
///
/// A relay costs its operator traffic, so TURN credentials are given only to whoever sends the `websocket_token` of an open
/// call or the access token of a login that has not ended, as `Authorization: Bearer` or as `token`. Anybody else is told the
/// STUN servers, and so is everybody where no TURN server is configured. A token that is sent must be good.
#[utoipa::path(get, path = "/api/v1/call/turn-credentials", tag = "Public", security((), ("customer" = [])),
    params(Query<MediaToken>), responses((status = 200, body = Data<MediaServers>)))]
async fn turn_credentials(
    State(state): State<AppState>,
    headers: HeaderMap,
    Query(query): Query<MediaToken>,
) -> Result<Data<MediaServers>, ApiError> {
    let token = bearer(&headers).map(str::to_owned).or(query.token);
    let entitled = match token {
        Some(token) => entitled(&state, &token).await?,
        None => None,
    };
    Ok(Data::new(servers(&state.turn, entitled, state.clock.now())))
}

/// Who may use the relay: a member of staff, or the customer of a call that has not ended.
async fn entitled(state: &AppState, token: &str) -> Result<Option<Uuid>, ApiError> {
    let claims = state.tokens.read(token).map_err(|_| ApiError::unauthorized())?;
    match claims.usage {
        // The token outlives its login by minutes, and what it opens would outlive both.
        Use::Access => match state.revocations.role_now(&claims) {
            Some(_) => Ok(Some(claims.sub)),
            None => Err(ApiError::unauthorized()),
        },
        Use::Call => {
            let seen = look(state, claims.tid, claims.call()).await?;
            Ok(seen.filter(|call| call.phase != Phase::Ended).map(|_| claims.sub))
        }
        _ => Err(ApiError::unauthorized()),
    }
}

fn servers(turn: &Turn, entitled: Option<Uuid>, now: Timestamp) -> MediaServers {
    let named = |urls: &[String]| -> Vec<String> {
        urls.iter().map(|url| url.trim().to_owned()).filter(|url| !url.is_empty()).collect()
    };
    let ttl = turn.turn_ttl_seconds;
    let (stun, relays) = (named(&turn.stun_urls), named(&turn.turn_urls));
    let mut ice_servers = Vec::new();
    if !stun.is_empty() {
        ice_servers.push(IceServer { urls: stun.clone(), username: None, credential: None });
    }
    let (Some(id), Some(secret), false) = (entitled, &turn.turn_secret, relays.is_empty()) else {
        return MediaServers { ice_servers, username: None, credential: None, urls: stun, ttl };
    };
    let username = format!("{}:{id}", now.plus_seconds(u64::from(ttl)).micros() / 1_000_000);
    let credential = credential(secret.expose(), &username);
    ice_servers.push(IceServer {
        urls: relays.clone(),
        username: Some(username.clone()),
        credential: Some(credential.clone()),
    });
    MediaServers { ice_servers, username: Some(username), credential: Some(credential), urls: relays, ttl }
}

/// The password coturn computes for a user of its `use-auth-secret`.
fn credential(secret: &str, username: &str) -> String {
    // A key of any length will do: long ones are hashed first.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(username.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    /// `printf 1433895918:vez | openssl dgst -sha1 -hmac north -binary | base64`
    #[test]
    fn a_credential_is_what_coturn_computes() {
        assert_eq!(credential("north", "1433895918:vez"), "J3GPv9SkEd2qqWKNbSrZlGrDZWw=");
    }

    #[test]
    fn turn_is_for_those_who_may_and_stun_for_all() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let turn = Turn {
            turn_urls: vec!["turn:relay.example:3478".into()],
            turn_secret: Some(Secret::from("north")),
            turn_ttl_seconds: 60,
            stun_urls: vec!["stun:stun.example".into()],
        };
        let id = Uuid::from_u128(7);
        let given = servers(&turn, Some(id), now);
        assert_eq!(given.username, Some(format!("1700000060:{id}")));
        assert_eq!(given.ice_servers.len(), 2);
        assert_eq!(given.ice_servers[1].credential, given.credential);
        let nobody = servers(&turn, None, now);
        assert_eq!((nobody.ice_servers.len(), nobody.username), (1, None));
        let none = servers(&Turn { turn_urls: vec![String::new()], ..turn }, Some(id), now);
        assert_eq!((none.credential, none.urls), (None, vec!["stun:stun.example".to_owned()]));
    }
}
