//! Owns the fields of a body whose texts have a form of their own: web addresses, colours, time zones, secrets that may be
//! left out.

use axum::http::Uri;
use serde_json::Value;
use utoipa::openapi::schema::{KnownFormat, SchemaFormat};

use super::fields::Fields;
use super::{EMAIL_CHARS_MAX, WORD_CHARS_MAX, notes};

/// Longest web address that is kept.
const URL_CHARS_MAX: usize = 2_000;

impl Fields {
    /// For partial updates: an `https` address; `None` absent (or at fault), `Some(None)` null or blank. Nobody fetches it
    /// here; a browser will, so other schemes, which it might run, are refused.
    pub fn patch_https_url(&mut self, field: &'static str) -> Option<Option<String>> {
        self.note(field, false, || {
            notes::text(false, URL_CHARS_MAX).format(Some(SchemaFormat::Custom("uri".to_owned())))
        });
        let url = self.patch_text(field, URL_CHARS_MAX)?;
        if url.as_deref().is_some_and(|url| !is_https(url)) {
            self.fault(field, "must be an https address");
            return None;
        }
        Some(url)
    }

    /// For partial updates: a colour as `#rrggbb`, in lower case; absent and null are `None`.
    pub fn color(&mut self, field: &'static str) -> Option<String> {
        self.note(field, false, || notes::text(false, 7).pattern(Some("^#[0-9a-fA-F]{6}$")));
        let color = self.text(field, WORD_CHARS_MAX)?;
        let digits = color.strip_prefix('#').filter(|digits| digits.len() == 6);
        if digits.is_none_or(|digits| !digits.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            self.fault(field, "has invalid format");
            return None;
        }
        Some(color.to_ascii_lowercase())
    }

    /// A time zone by its IANA name; absent and null are `None`.
    pub fn time_zone(&mut self, field: &'static str) -> Option<chrono_tz::Tz> {
        self.note(field, false, || {
            notes::text(false, WORD_CHARS_MAX).description(Some("An IANA name, such as `America/Sao_Paulo`."))
        });
        let zone = self.text(field, WORD_CHARS_MAX)?.parse().ok();
        if zone.is_none() {
            self.fault(field, "is no time zone");
        }
        zone
    }

    /// As `patch_email` for an address that cannot be blank.
    pub fn patch_required_email(&mut self, field: &'static str) -> Option<String> {
        self.note(field, false, || notes::formatted(true, KnownFormat::Email).max_length(Some(EMAIL_CHARS_MAX)));
        self.object.contains_key(field).then(|| self.required_email(field))
    }

    /// Whether a field is absent or null.
    pub fn is_absent(&self, field: &'static str) -> bool {
        self.object.get(field).is_none_or(Value::is_null)
    }
}

/// Whether `url` is a whole address that a browser fetches over TLS.
fn is_https(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| {
        uri.scheme_str() == Some("https")
            && uri.authority().is_some_and(|host| !host.host().is_empty() && !host.as_str().contains('@'))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::is_https;
    use crate::http::error::ApiError;
    use crate::http::input::{Fields, Input, parse};

    #[derive(Debug, PartialEq)]
    struct Look {
        logo: Option<Option<String>>,
        color: Option<String>,
        zone: Option<chrono_tz::Tz>,
        secret: Option<String>,
    }

    impl Input for Look {
        fn read(fields: &mut Fields) -> Self {
            Self {
                logo: fields.patch_https_url("logo"),
                color: fields.color("color"),
                zone: fields.time_zone("zone"),
                secret: fields.secret("secret", 10),
            }
        }
    }

    #[test]
    fn only_addresses_that_a_browser_fetches_over_tls_are_taken() {
        for good in ["https://a.example/b.png?c=d", "HTTPS://a.example", "https://127.0.0.1:8443/x"] {
            assert!(is_https(good), "{good}");
        }
        for bad in [
            "http://a.example/b.png",
            "javascript:alert(1)",
            "data:text/html,x",
            "//a.example",
            "https://",
            "a b",
            "https:///x",
            "https://a.example/b c",
            "https://user@a.example/",
            "ftp://a.example",
        ] {
            assert!(!is_https(bad), "{bad}");
        }
    }

    #[test]
    fn forms_are_read_and_their_faults_named() {
        let good = json!({"logo": null, "color": "#FF00aa", "zone": "America/Sao_Paulo", "secret": " a b "});
        let look: Look = parse(good.to_string().as_bytes()).unwrap();
        assert_eq!((look.logo, look.color.as_deref()), (Some(None), Some("#ff00aa")));
        assert_eq!((look.zone, look.secret.as_deref()), (Some(chrono_tz::America::Sao_Paulo), Some(" a b ")));
        assert_eq!(parse::<Look>(b"{}").unwrap(), Look { logo: None, color: None, zone: None, secret: None });
        let bad = json!({"logo": "http://x.example", "color": "red", "zone": "Brazil/Nowhere", "secret": 7});
        let Err(ApiError::Invalid(errors)) = parse::<Look>(bad.to_string().as_bytes()) else { panic!("it was taken") };
        assert_eq!(
            serde_json::to_value(errors).unwrap(),
            json!({"logo": ["must be an https address"], "color": ["has invalid format"], "zone": ["is no time zone"],
                "secret": ["is invalid"]})
        );
    }
}
