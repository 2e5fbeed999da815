//! Owns the headers that keep browsers from doing harm with our answers: what may frame, load, sniff or use them, and
//! whether they may come unencrypted. Answers that say something stricter themselves (downloads) keep it.

use axum::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;

/// A year, as the browsers' preload lists ask. Other hosts of the domain are not ours to promise anything for.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");
/// Links to calls are secrets: where somebody came from is told to nobody.
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
/// What is no page loads nothing and is shown in no frame.
const DATA_ONLY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// A video call needs the camera, the microphone, the screen and all of the screen, in our own pages. Nothing else is needed.
const PERMISSIONS: HeaderValue = HeaderValue::from_static(
    "camera=(self), microphone=(self), display-capture=(self), fullscreen=(self), autoplay=(self), \
     screen-wake-lock=(self), picture-in-picture=(self), geolocation=(), payment=(), usb=(), serial=(), bluetooth=(), \
     midi=(), browsing-topics=()",
);
static PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// What every answer says to browsers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SecurityHeaders {
    /// Of pages: which hosts may show them in a frame, and where they may load from.
    pages: HeaderValue,
    /// The world reaches us by https.
    https: bool,
}

impl SecurityHeaders {
    /// For a server that is reached by https or not. Pages of `origins`, which may call us from a browser anyway, may also
    /// show ours in a frame.
    pub fn new(https: bool, origins: &[HeaderValue]) -> Self {
        let mut pages = String::from(
            "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob: https:; \
             media-src 'self' blob:; connect-src 'self' ws: wss:; worker-src 'self' blob:; object-src 'none'; \
             base-uri 'none'; form-action 'self'; frame-ancestors 'self'",
        );
        for origin in origins.iter().filter_map(|origin| origin.to_str().ok()) {
            // A semicolon or a comma would end the list and begin something else.
            if !origin.contains([';', ',', ' ']) {
                pages.push(' ');
                pages.push_str(origin);
            }
        }
        Self { pages: HeaderValue::from_str(&pages).unwrap_or(DATA_ONLY), https }
    }

    /// Adds them to an answer.
    pub fn on(&self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        let policy = if is_page(headers) { self.pages.clone() } else { DATA_ONLY };
        headers.entry(CONTENT_SECURITY_POLICY).or_insert(policy);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, NO_REFERRER);
        headers.insert(PERMISSIONS_POLICY.clone(), PERMISSIONS);
        if self.https {
            headers.insert(STRICT_TRANSPORT_SECURITY, HSTS);
        }
        response
    }
}

fn is_page(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"text/html"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use axum::body::Body;

    use super::*;

    fn answer(of: &SecurityHeaders, kind: &'static str) -> HeaderMap {
        let mut response = Response::new(Body::empty());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        of.on(response).headers().clone()
    }

    #[test]
    fn pages_load_our_own_things_and_data_loads_nothing() {
        let origins =
            [HeaderValue::from_static("https://acme.example"), HeaderValue::from_static("https://x; script-src *")];
        let of = SecurityHeaders::new(false, &origins);
        let page = answer(&of, "text/html; charset=utf-8");
        let policy = page[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.contains("script-src 'self';") && policy.ends_with("frame-ancestors 'self' https://acme.example")
        );
        assert_eq!(answer(&of, "application/json")[CONTENT_SECURITY_POLICY], DATA_ONLY);
        assert!(!page.contains_key(STRICT_TRANSPORT_SECURITY));
        assert!(answer(&SecurityHeaders::new(true, &[]), "text/html").contains_key(STRICT_TRANSPORT_SECURITY));
    }

    #[test]
    fn what_an_answer_says_itself_stays() {
        let mut response = Response::new(Body::empty());
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
        let response = SecurityHeaders::new(false, &[]).on(response);
        assert_eq!(response.headers()[CONTENT_SECURITY_POLICY], "sandbox");
    }
}
