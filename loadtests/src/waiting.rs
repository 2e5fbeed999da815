//! Customers who only wait: a crowd on sockets, and what each costs the server in memory.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::client::frames::Vsn;
use crate::client::http::Rest;
use crate::client::socket::{Channel, Pushes, Socket};
use crate::customers::new_join_key;
use crate::target::{Link, Target};
use crate::{clock, open_files};

/// Customers who join at the same time.
const JOINING: usize = 64;
/// Tries of one customer before the crowd is given up.
const TRIES: u32 = 20;
const TRY_PAUSE: Duration = Duration::from_millis(250);
/// Until the server's positions, batches and allocator have come to rest.
const SETTLE: Duration = Duration::from_secs(3);
/// Customers who come before the first look at the memory, so that what a server allocates once is not counted.
const WARM_UP: usize = 100;

/// One waiting customer; he leaves when asked, and is away when dropped.
#[derive(Debug)]
pub struct Waiting {
    channel: Channel,
}

/// People waiting in some departments, oldest first.
#[derive(Debug, Default)]
pub struct Crowd {
    customers: Vec<Waiting>,
}

impl Crowd {
    /// Lets `count` more customers join through these links in turn, each with a socket and its `call:` channel.
    ///
    /// # Errors
    /// When one cannot get in.
    pub async fn grow(&mut self, rest: &Rest, links: &[Link], count: usize, bar: &ProgressBar) -> anyhow::Result<()> {
        if links.is_empty() {
            bail!("no link to join through");
        }
        let permits = Arc::new(Semaphore::new(JOINING));
        let mut tasks = JoinSet::new();
        for (index, link) in (0..count).zip(links.iter().cycle()) {
            let permit = Arc::clone(&permits).acquire_owned().await;
            let (rest, token) = (rest.clone(), link.token.clone());
            tasks.spawn(async move {
                let customer = enter(&rest, &token, &format!("Waiting {index}")).await;
                drop(permit);
                customer
            });
            while let Some(done) = tasks.try_join_next() {
                self.customers.push(done??);
                bar.inc(1);
            }
        }
        while let Some(done) = tasks.join_next().await {
            self.customers.push(done??);
            bar.inc(1);
        }
        Ok(())
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.customers.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.customers.is_empty()
    }

    /// Everybody leaves, the last first, so that nobody's position changes on the way. Returns how many were told so.
    pub async fn leave(mut self) -> usize {
        let mut told = 0;
        while let Some(customer) = self.customers.pop() {
            if customer.channel.push("leave", "{}".to_owned()).await.is_ok() {
                told += 1;
            }
        }
        told
    }
}

async fn enter(rest: &Rest, link_token: &str, name: &str) -> anyhow::Result<Waiting> {
    let key = new_join_key();
    let mut tries = 0;
    loop {
        tries += 1;
        let outcome = async {
            let joined = rest.join(link_token, name, &key).await?;
            let socket = Socket::connect(rest.authority(), &joined.websocket_token, Vsn::V2).await?;
            let topic = format!("call:{}", joined.call_id);
            let (channel, _view) = socket.join(&topic, "{}".to_owned(), Pushes::Ignore).await?;
            anyhow::Ok(Waiting { channel })
        };
        match outcome.await {
            Ok(customer) => return Ok(customer),
            Err(error) if tries == TRIES => return Err(error.context(format!("{name} cannot get in"))),
            Err(_) => tokio::time::sleep(TRY_PAUSE).await,
        }
    }
}

/// What a crowd costs.
#[derive(Debug, Serialize)]
pub struct WaitingReport {
    pub customers: usize,
    /// Resident memory of the server before and after, when its pid was given.
    pub rss_before_bytes: Option<u64>,
    pub rss_after_bytes: Option<u64>,
    pub bytes_per_customer: Option<u64>,
    pub seconds_to_fill: f64,
}

impl std::fmt::Display for WaitingReport {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(out, "{} customers wait on sockets; they came in {:.1} s", self.customers, self.seconds_to_fill)?;
        match (self.rss_before_bytes, self.rss_after_bytes, self.bytes_per_customer) {
            (Some(before), Some(after), Some(each)) => writeln!(
                out,
                "server memory: {:.1} MiB before, {:.1} MiB after, {:.2} KiB per waiting customer",
                mebibytes(before),
                mebibytes(after),
                mebibytes(each) * 1024.0
            ),
            _ => writeln!(out, "server memory: give --pid to have it measured"),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "for people to read")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

/// Fills the first department of the target with waiting customers and weighs the server.
///
/// # Errors
/// When customers cannot get in, or the pid is not of a process here.
pub async fn weigh(
    target: &Target,
    customers: usize,
    pid: Option<u32>,
    hold: Duration,
) -> anyhow::Result<WaitingReport> {
    open_files::allow_sockets(customers as u64 + WARM_UP as u64)?;
    let rest = Rest::new(&target.base_url)?;
    let links = target.links.get(..1).unwrap_or_default();
    let bar = ProgressBar::new(customers as u64);
    if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} {bar:40} {pos}/{len} waiting") {
        bar.set_style(style);
    }
    let mut crowd = Crowd::default();
    crowd.grow(&rest, links, WARM_UP, &ProgressBar::hidden()).await?;
    tokio::time::sleep(SETTLE).await;
    let rss_before_bytes = pid.map(resident_bytes).transpose()?;
    let began_at = clock::now();
    crowd.grow(&rest, links, customers, &bar).await?;
    let seconds_to_fill = (clock::now() - began_at).as_secs_f64();
    bar.finish_and_clear();
    tokio::time::sleep(SETTLE + hold).await;
    let rss_after_bytes = pid.map(resident_bytes).transpose()?;
    let each = |before: u64, after: u64| after.saturating_sub(before) / customers.max(1) as u64;
    let report = WaitingReport {
        customers,
        rss_before_bytes,
        rss_after_bytes,
        bytes_per_customer: rss_before_bytes.zip(rss_after_bytes).map(|(before, after)| each(before, after)),
        seconds_to_fill,
    };
    crowd.leave().await;
    Ok(report)
}

/// `VmRSS` of a process, in bytes.
pub fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    parse_resident(&text).with_context(|| format!("{path} has no VmRSS"))
}

fn parse_resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_proc() {
        assert_eq!(parse_resident("Name:\tvez\nVmRSS:\t   2048 kB\n"), Some(2_097_152));
        assert_eq!(parse_resident("Name:\tvez\n"), None);
    }
}
