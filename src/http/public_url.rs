//! Owns how this server is called from outside: the configured public address, or else what the request itself used.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::http::uri::Authority;

use super::error::ApiError;
use super::rate_limit::{self, RateLimits};
use crate::config::Server;

/// The configured address, without a slash at its end.
#[derive(Clone, Debug, Default)]
pub struct PublicUrl(Option<Arc<str>>);

impl PublicUrl {
    /// From the setting; it must be an http or https address.
    pub fn new(configured: Option<&str>) -> Result<Self, String> {
        let Some(url) = configured.map(|url| url.trim().trim_end_matches('/')).filter(|url| !url.is_empty()) else {
            return Ok(Self(None));
        };
        if url.starts_with("http://") || url.starts_with("https://") {
            Ok(Self(Some(Arc::from(url))))
        } else {
            Err(format!("the public URL {url:?} must start with http:// or https://"))
        }
    }

    /// Whether the world is told to come by https.
    pub fn is_https(&self) -> bool {
        self.0.as_deref().is_some_and(|url| url.starts_with("https://"))
    }
}

/// What links in mails start with: the configured address, or else where this server listens. Never what a request says:
/// whoever asks for somebody else's mail must not choose where its link leads.
#[derive(Clone, Debug)]
pub struct MailBase(Arc<str>);

impl MailBase {
    /// From the settings.
    pub fn new(server: &Server) -> Self {
        let configured = server.public_url.as_deref().map(|url| url.trim().trim_end_matches('/'));
        let own = || {
            let address = server.listen_address();
            if address.ip().is_unspecified() {
                format!("http://localhost:{}", address.port())
            } else {
                format!("http://{address}")
            }
        };
        Self(configured.filter(|url| !url.is_empty()).map_or_else(own, str::to_owned).into())
    }

    /// The page where a new password is chosen.
    pub fn of_reset(&self, token: &str) -> String {
        format!("{}/reset-password?token={token}", self.0)
    }
}

/// Extracts the address that links in the answer start with: `https://queue.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Arc<str>);

impl BaseUrl {
    /// Without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The page a customer opens.
    pub fn of_link(&self, token: &str) -> String {
        format!("{}/call/{token}", self.0)
    }

    /// Where a customer's socket connects.
    pub fn of_socket(&self) -> String {
        // http becomes ws, https becomes wss.
        let rest = self.0.strip_prefix("http").unwrap_or(&self.0);
        format!("ws{rest}/socket/websocket")
    }
}

impl<S> FromRequestParts<S> for BaseUrl
where
    S: Send + Sync,
    PublicUrl: FromRef<S>,
    RateLimits: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        if let PublicUrl(Some(url)) = PublicUrl::from_ref(state) {
            return Ok(Self(url));
        }
        let behind_proxy =
            rate_limit::peer(&parts.extensions).is_some_and(|peer| RateLimits::from_ref(state).trusts(peer));
        let forwarded = |name: &str| {
            let value = parts.headers.get(name).filter(|_| behind_proxy)?.to_str().ok()?;
            value.split(',').next().map(str::trim)
        };
        let host = forwarded("x-forwarded-host")
            .or_else(|| parts.headers.get(HOST).and_then(|host| host.to_str().ok()))
            .or_else(|| parts.uri.authority().map(Authority::as_str))
            // It ends in answers, so it must be a host and nothing else.
            .filter(|host| !host.contains('@') && host.parse::<Authority>().is_ok())
            .ok_or_else(|| ApiError::BadRequest("The Host header is missing or invalid".into()))?;
        let scheme = if forwarded("x-forwarded-proto") == Some("https") { "https" } else { "http" };
        Ok(Self(format!("{scheme}://{host}").into()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn links_and_sockets_share_the_base() {
        let base = BaseUrl(Arc::from("https://queue.example.com"));
        assert_eq!(base.of_link("abc"), "https://queue.example.com/call/abc");
        assert_eq!(base.of_socket(), "wss://queue.example.com/socket/websocket");
        assert_eq!(BaseUrl(Arc::from("http://127.0.0.1:4000")).of_socket(), "ws://127.0.0.1:4000/socket/websocket");
    }

    #[test]
    fn links_in_mails_start_with_what_is_configured() {
        let of = |server: Server| MailBase::new(&server).of_reset("abc");
        assert_eq!(of(Server::default()), "http://127.0.0.1:4000/reset-password?token=abc");
        let public_url = Some("https://queue.example.com/ ".to_owned());
        assert_eq!(
            of(Server { public_url, ..Server::default() }),
            "https://queue.example.com/reset-password?token=abc"
        );
        let bind = std::net::Ipv4Addr::UNSPECIFIED.into();
        assert_eq!(of(Server { bind, ..Server::default() }), "http://localhost:4000/reset-password?token=abc");
    }

    #[test]
    fn the_setting_is_checked() {
        assert_eq!(PublicUrl::new(Some(" https://a.example/ ")).unwrap().0.as_deref(), Some("https://a.example"));
        assert_eq!(PublicUrl::new(Some("")).unwrap().0, None);
        assert!(PublicUrl::new(Some("a.example")).is_err());
    }
}
