//! Owns where webhooks may go. A company's manager chooses the URL, and the server must not become his way to what only the
//! server can reach: private networks, this machine, the cloud's metadata. So the address a name leads to is looked at when
//! a webhook is made and again by every connection, which goes to the very address that was looked at.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::config;
use crate::domain::network::Network;

/// How long a name may take to be looked up while a webhook is made; the look-up of a delivery is part of its time-out.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(2);
/// The longest URL taken; browsers and proxies cut longer ones.
pub const URL_CHARS_MAX: usize = 2_000;

/// Looks a name up; tests put their own in its place.
pub type LookUp = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Which addresses may be called.
#[derive(Clone)]
pub struct Targets {
    allow_private: bool,
    allow_http: bool,
    networks: Arc<[Network]>,
    look_up: LookUp,
}

/// Why a URL is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("is not a URL")]
    Malformed,
    #[error("must begin with https://")]
    Scheme,
    #[error("must not hold a user name or password")]
    Credentials,
    /// Also what the operator has not allowed.
    #[error("must not lead to a private or reserved address")]
    Private,
}

impl Targets {
    /// By the settings; what is wrong with them is told by its text.
    pub fn new(config: &config::Webhooks, look_up: Option<LookUp>) -> Result<Self, String> {
        let networks = config
            .allow_networks
            .iter()
            .filter(|text| !text.trim().is_empty())
            .map(|text| Network::parse(text).ok_or_else(|| format!("{text:?} is no address and no network")))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            allow_private: config.allow_private,
            allow_http: config.allow_http,
            networks: networks.into(),
            look_up: look_up.unwrap_or_else(|| Arc::new(|name| look_up_by_system(name).boxed())),
        })
    }

    /// Whether a URL may be kept: well formed, and not leading to a forbidden address now. A name that leads nowhere is
    /// taken, since it may be made later; every delivery looks again.
    pub async fn check(&self, url: &str) -> Result<(), Refusal> {
        let url = self.parse(url)?;
        let Some(name) = url.host_str().filter(|_| literal(&url).is_none()) else { return Ok(()) };
        match tokio::time::timeout(LOOK_UP_WITHIN, (self.look_up)(name.to_owned())).await {
            Ok(Ok(addresses)) if addresses.iter().any(|address| !self.allows(*address)) => Err(Refusal::Private),
            _ => Ok(()),
        }
    }

    /// The URL, if it may be called as far as its text tells: for a host that is an address, that is all there is to know.
    pub(super) fn parse(&self, text: &str) -> Result<Url, Refusal> {
        let url = Url::parse(text).map_err(|_| Refusal::Malformed)?;
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            _ => return Err(Refusal::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Credentials);
        }
        // Nobody looks up a host that is an address, so it is looked at here.
        if literal(&url).is_some_and(|address| !self.allows(address)) {
            return Err(Refusal::Private);
        }
        Ok(url)
    }

    /// Whether this address may be called.
    fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allow_private || is_public(address) || self.networks.iter().any(|network| network.contains(address))
    }
}

/// The addresses a connection may try: all those that the name leads to and that are allowed. The connection goes to one of
/// these without another look-up.
impl Resolve for Targets {
    fn resolve(&self, name: Name) -> Resolving {
        let targets = self.clone();
        Box::pin(async move {
            let mut addresses = (targets.look_up)(name.as_str().to_owned()).await?;
            addresses.retain(|address| targets.allows(*address));
            if addresses.is_empty() {
                return Err(Refusal::Private.into());
            }
            // The port is the URL's.
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

/// The address a URL names itself; the parser has brought every way to write one (`0x7f.1`) into the usual form.
fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

async fn look_up_by_system(name: String) -> io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.map(|address| address.ip()).collect())
}

/// Whether an address is one of the public Internet's (IANA's registries of special-purpose addresses).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = match address.octets() {
        // This network, private use, loopback, link-local.
        [0 | 10 | 127, ..] | [169, 254, ..] | [192, 168, ..] => true,
        [172, second, ..] => (16..=31).contains(&second),
        // Carriers' own (CGNAT).
        [100, second, ..] => (64..=127).contains(&second),
        // Protocol assignments, documentation, the former 6to4 relays, benchmarks.
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 18..=19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        // Multicast, reserved, broadcast.
        [224..=255, ..] => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    match segments {
        // NAT64 leads to the IPv4 address in its last bits.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_public_v4(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)))
        }
        // Protocol assignments with Teredo, documentation, 6to4.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Global unicast; all else is loopback, link-local, unique local, multicast, embedded IPv4 or not given out.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn targets(change: impl FnOnce(&mut config::Webhooks)) -> Targets {
        let mut config = config::Webhooks::default();
        change(&mut config);
        let look_up: LookUp = Arc::new(|name| {
            async move {
                match name.as_str() {
                    "good.example" => Ok(vec!["93.184.216.34".parse().unwrap()]),
                    "mixed.example" => Ok(vec!["93.184.216.34".parse().unwrap(), "10.0.0.1".parse().unwrap()]),
                    "inside.example" => Ok(vec!["10.0.0.1".parse().unwrap()]),
                    _ => Err(io::Error::other("no such name")),
                }
            }
            .boxed()
        });
        Targets::new(&config, Some(look_up)).unwrap()
    }

    #[test]
    fn only_public_addresses_are_public() {
        let inside = [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
        ];
        for address in inside {
            let address: IpAddr = address.parse().unwrap();
            assert!(!is_public(address.to_canonical()), "{address} is not public");
        }
        let outside = [
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00:1450::1",
        ];
        for address in outside {
            let address: IpAddr = address.parse().unwrap();
            assert!(is_public(address.to_canonical()), "{address} is public");
        }
    }

    #[tokio::test]
    async fn urls_that_lead_inside_are_refused() {
        let strict = targets(|_| {});
        for (url, refusal) in [
            ("nonsense", Refusal::Malformed),
            ("https://", Refusal::Malformed),
            ("ftp://good.example/", Refusal::Scheme),
            ("http://good.example/", Refusal::Scheme),
            ("file:///etc/passwd", Refusal::Scheme),
            ("https://ana:secret@good.example/", Refusal::Credentials),
            ("https://127.0.0.1/", Refusal::Private),
            ("https://2130706433/", Refusal::Private),
            ("https://0x7f.1/", Refusal::Private),
            ("https://0177.0.0.1/", Refusal::Private),
            ("https://[::1]/", Refusal::Private),
            ("https://[::ffff:10.0.0.1]/", Refusal::Private),
            ("https://inside.example/", Refusal::Private),
            ("https://mixed.example/", Refusal::Private),
        ] {
            assert_eq!(strict.check(url).await, Err(refusal), "{url}");
        }
        for url in ["https://good.example/hooks?a=b", "https://8.8.8.8:8443/", "https://not-yet.example/"] {
            assert_eq!(strict.check(url).await, Ok(()), "{url}");
        }
    }

    #[tokio::test]
    async fn the_operator_may_allow_more() {
        let open = targets(|config| config.allow_private = true);
        assert_eq!(open.check("https://127.0.0.1/").await, Ok(()));
        let plain = targets(|config| config.allow_http = true);
        assert_eq!(plain.check("http://good.example/").await, Ok(()));
        let some = targets(|config| config.allow_networks = vec!["10.0.0.0/24".into()]);
        assert_eq!(some.check("https://inside.example/").await, Ok(()));
        assert_eq!(some.check("https://10.0.1.1/").await, Err(Refusal::Private));
    }

    #[tokio::test]
    async fn a_connection_only_tries_what_is_allowed() {
        let strict = targets(|_| {});
        let found = strict.resolve("mixed.example".parse().unwrap()).await.ok().unwrap();
        assert_eq!(found.map(|address| address.ip().to_string()).collect::<Vec<_>>(), ["93.184.216.34"]);
        assert!(strict.resolve("inside.example".parse().unwrap()).await.is_err());
    }
}
