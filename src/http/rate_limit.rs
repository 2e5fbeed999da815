//! Owns how often one address or account may ask, and what a client's address is behind proxies. Which routes count
//! against which limit is said where the routes are put together.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Extensions, HeaderMap};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::error::ApiError;
use super::request_log::Tag;
use crate::config::{Limits, Server};
use crate::domain::clock::Clock;
use crate::domain::network::Network;

/// Most keys one limiter keeps apart: at some 50 bytes each 5 MB. Beyond it keys share buckets until a sweep.
const KEYS_MAX: usize = 100_000;
/// Buckets shared by keys beyond the bound: a flood of addresses then slows down a thousandth of the others each.
const SHARED_BUCKETS: u64 = 1_024;
/// Between sweeps; a key untouched that long is indistinguishable from a new one.
const SWEEP_SECONDS: u64 = 60;

/// Governor's clock on ours, so that tests move it.
#[derive(Clone, Debug)]
struct LimitClock(Clock);

impl governor::clock::Clock for LimitClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.now().micros()).unwrap_or(0))
    }
}

type Limiter = RateLimiter<u64, DashMapStateStore<u64>, LimitClock, NoOpMiddleware<Duration>>;

/// All limits of the REST side. Cheap to clone.
#[derive(Clone)]
pub struct RateLimits(Arc<Inner>);

struct Inner {
    enabled: bool,
    clock: LimitClock,
    hasher: RandomState,
    account: Limiter,
    auth_address: Limiter,
    public_address: Limiter,
    proxies: Vec<Network>,
}

impl RateLimits {
    /// The limits of `limits`; `X-Forwarded-For` is believed from `server`'s proxies only. A proxy that is neither an
    /// address nor a network is an error, told by its text.
    pub fn new(limits: &Limits, server: &Server, clock: Clock) -> Result<Self, String> {
        let proxies = server
            .trusted_proxies
            .iter()
            .filter(|text| !text.trim().is_empty())
            .map(|text| Network::parse(text).ok_or_else(|| format!("{text:?} is no address and no network")))
            .collect::<Result<Vec<_>, _>>()?;
        let clock = LimitClock(clock);
        let limiter = |per_minute: u32| {
            // A limit of nothing would lock everybody out; the switch that turns limits off is another one.
            let quota = Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN));
            RateLimiter::dashmap_with_clock(quota, clock.clone())
        };
        Ok(Self(Arc::new(Inner {
            enabled: limits.rate_limit,
            account: limiter(limits.auth_per_minute),
            auth_address: limiter(limits.auth_address_per_minute),
            public_address: limiter(limits.public_per_minute),
            clock,
            hasher: RandomState::new(),
            proxies,
        })))
    }

    /// Counts one attempt at `account` (however the caller names it) from `address`.
    pub fn check_account(&self, address: IpAddr, account: &impl Hash) -> Result<(), ApiError> {
        self.check(&self.0.account, &(prefix(address), account))
    }

    /// Counts one request to `/api/auth/*` from `address`.
    pub fn check_auth_address(&self, address: IpAddr) -> Result<(), ApiError> {
        self.check(&self.0.auth_address, &prefix(address))
    }

    /// Counts one request to the public call endpoints from `address`.
    pub fn check_public_address(&self, address: IpAddr) -> Result<(), ApiError> {
        self.check(&self.0.public_address, &prefix(address))
    }

    fn check(&self, limiter: &Limiter, key: &impl Hash) -> Result<(), ApiError> {
        if !self.0.enabled {
            return Ok(());
        }
        let mut key = self.0.hasher.hash_one(key);
        if limiter.len() >= KEYS_MAX {
            key = self.0.hasher.hash_one(("shared", key % SHARED_BUCKETS));
        }
        limiter.check_key(&key).map_err(|refused| {
            let wait = refused.wait_time_from(self.0.clock.now());
            ApiError::TooManyRequests { retry_after_seconds: wait.as_secs().saturating_add(1) }
        })
    }

    /// Forgets keys that have recovered, every minute, for ever. Spawned once by whoever starts the server.
    pub async fn sweep_forever(self) {
        loop {
            self.0.clock.0.sleep(Duration::from_secs(SWEEP_SECONDS)).await;
            self.sweep();
        }
    }

    fn sweep(&self) {
        for limiter in [&self.0.account, &self.0.auth_address, &self.0.public_address] {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }

    /// Whether `peer` is a proxy we believe.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.0.proxies.iter().any(|network| network.contains(peer))
    }

    /// Whose request it is: the peer, or what a believed proxy in front says, read from the end, where our own proxies
    /// write, to the first address that is none of them.
    pub fn client_address(&self, extensions: &Extensions, headers: &HeaderMap) -> IpAddr {
        // Without a peer (a test that calls the router directly) everybody is one client.
        let peer = peer(extensions).unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        if !self.trusts(peer) {
            return peer;
        }
        let mut client = peer;
        let lines: Vec<&str> =
            headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok()).collect();
        for text in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            match forwarded_address(text.trim()) {
                Some(address) => client = address,
                None => break,
            }
            if !self.trusts(client) {
                break;
            }
        }
        client
    }
}

/// The other end of the connection.
pub fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip().to_canonical())
}

fn forwarded_address(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// One subscriber's address: of IPv6 the /64, since any one machine may use all of it.
fn prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

/// Middleware of `/api/auth/*`: the wide bound of one address. Handlers count the account themselves, once they know it.
pub async fn limit_auth(State(limits): State<RateLimits>, request: Request, next: Next) -> Response {
    let address = Tag::of(request.extensions()).address;
    match limits.check_auth_address(address) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

/// Middleware of the public call endpoints.
pub async fn limit_public(State(limits): State<RateLimits>, request: Request, next: Next) -> Response {
    let address = Tag::of(request.extensions()).address;
    match limits.check_public_address(address) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;
    use crate::domain::clock::Timestamp;

    fn limits(enabled: bool, proxies: &[&str]) -> (RateLimits, Clock) {
        let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
        let server = Server { trusted_proxies: proxies.iter().map(|p| (*p).to_owned()).collect(), ..Server::default() };
        let limits = Limits { rate_limit: enabled, ..Limits::default() };
        (RateLimits::new(&limits, &server, clock.clone()).unwrap(), clock)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_sixth_login_within_a_minute_waits() {
        let (limits, clock) = limits(true, &[]);
        for _ in 0..5 {
            limits.check_account(ip("10.0.0.1"), &"ana").unwrap();
        }
        let Err(ApiError::TooManyRequests { retry_after_seconds }) = limits.check_account(ip("10.0.0.1"), &"ana")
        else {
            panic!("let in");
        };
        assert!((1..=13).contains(&retry_after_seconds), "{retry_after_seconds}");
        // Neither another account nor another address suffers.
        limits.check_account(ip("10.0.0.1"), &"bia").unwrap();
        limits.check_account(ip("10.0.0.2"), &"ana").unwrap();
        clock.advance(Duration::from_secs(retry_after_seconds));
        limits.check_account(ip("10.0.0.1"), &"ana").unwrap();
    }

    #[test]
    fn public_requests_are_thirty_a_minute_and_a_whole_ipv6_network_is_one_client() {
        let (limits, _) = limits(true, &[]);
        for i in 0..30 {
            limits.check_public_address(ip(&format!("2001:db8::{i}"))).unwrap();
        }
        assert!(limits.check_public_address(ip("2001:db8::ffff")).is_err());
        limits.check_public_address(ip("2001:db8:0:1::1")).unwrap();
    }

    #[test]
    fn limits_can_be_off() {
        let (limits, _) = limits(false, &[]);
        for _ in 0..1_000 {
            limits.check_public_address(ip("10.0.0.1")).unwrap();
        }
    }

    #[test]
    fn a_sweep_forgets_who_has_recovered() {
        let (limits, clock) = limits(true, &[]);
        limits.check_public_address(ip("10.0.0.1")).unwrap();
        assert_eq!(limits.0.public_address.len(), 1);
        clock.advance(Duration::from_secs(120));
        limits.sweep();
        assert_eq!(limits.0.public_address.len(), 0);
    }

    #[test]
    fn only_believed_proxies_name_the_client() {
        let (limits, _) = limits(true, &["10.0.0.0/8", "::1"]);
        let address = |peer: &str, forwarded: &[&str]| {
            let mut extensions = Extensions::new();
            extensions.insert(ConnectInfo(SocketAddr::new(ip(peer), 1)));
            let mut headers = HeaderMap::new();
            for line in forwarded {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            limits.client_address(&extensions, &headers)
        };
        assert_eq!(address("203.0.113.9", &["198.51.100.1"]), ip("203.0.113.9"));
        assert_eq!(address("10.1.2.3", &["198.51.100.1"]), ip("198.51.100.1"));
        // The client's own claim stands before what our proxy appended.
        assert_eq!(address("10.1.2.3", &["6.6.6.6, 198.51.100.1, 10.9.9.9"]), ip("198.51.100.1"));
        assert_eq!(address("10.1.2.3", &["6.6.6.6", "198.51.100.1"]), ip("198.51.100.1"));
        assert_eq!(address("10.1.2.3", &["198.51.100.1:4711"]), ip("198.51.100.1"));
        assert_eq!(address("10.1.2.3", &["nonsense"]), ip("10.1.2.3"));
        assert_eq!(address("::1", &[]), ip("::1"));
    }

    #[test]
    fn networks_are_read_and_nonsense_is_told() {
        assert!(Network::parse("0.0.0.0/0").unwrap().contains(ip("8.8.8.8")));
        assert!(!Network::parse("10.0.0.1").unwrap().contains(ip("10.0.0.2")));
        assert!(Network::parse("2001:db8::/32").unwrap().contains(ip("2001:db8:1::1")));
        assert!(Network::parse("10.0.0.0/33").is_none());
        let server = Server { trusted_proxies: vec!["proxy.local".to_owned()], ..Server::default() };
        let clock = Clock::manual(Timestamp::default());
        assert!(RateLimits::new(&Limits::default(), &server, clock).is_err());
    }
}
