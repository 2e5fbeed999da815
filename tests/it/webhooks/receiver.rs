//! A receiver of webhooks on this machine, written against bare sockets so that it can also answer wrongly, and names that
//! lead where a test wants. It checks nothing; tests do.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use vez::actors::webhooks::LookUp;

use crate::harness::eventually;

/// What is answered to one request.
#[derive(Clone, Debug)]
pub enum Reply {
    Status(u16),
    /// 200, after so long.
    Slow(Duration),
    /// A redirect to there.
    Redirect(String),
    /// Bytes, then the connection ends.
    Raw(&'static [u8]),
    /// 200 and a body that never ends.
    Endless,
    /// Nothing, ever.
    Silence,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Hit {
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Hit {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}")).to_str().unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn event(&self) -> String {
        self.json()["event"].as_str().unwrap().to_owned()
    }

    /// The call or customer it is about.
    pub fn subject(&self) -> String {
        self.json()["data"]["id"].as_str().unwrap().to_owned()
    }
}

#[derive(Default)]
struct Shared {
    hits: Vec<Hit>,
    /// Answers to come; once they are used up, `usual`.
    next: VecDeque<Reply>,
    usual: Option<Reply>,
}

/// A receiver that answers 200 unless told otherwise.
pub struct Receiver {
    pub addr: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    serving: Option<JoinHandle<()>>,
}

impl Receiver {
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub async fn start_at(addr: SocketAddr) -> Self {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut receiver = Self { addr, shared: Arc::default(), serving: None };
        receiver.serve(listener);
        receiver
    }

    /// Its URL under a name.
    pub fn url(&self, name: &str) -> String {
        format!("http://{name}:{}/hooks?a=b", self.addr.port())
    }

    /// Answers so from now on.
    pub fn answer(&self, reply: Reply) {
        self.shared.lock().unwrap().usual = Some(reply);
    }

    /// Answers so once, before its usual answer.
    pub fn answer_next(&self, reply: Reply) {
        self.shared.lock().unwrap().next.push_back(reply);
    }

    /// Goes down: connections are refused.
    pub async fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _ = serving.await;
        }
    }

    /// Comes back at the same address.
    pub async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.addr).await.unwrap();
        self.serve(listener);
    }

    pub fn hits(&self) -> Vec<Hit> {
        self.shared.lock().unwrap().hits.clone()
    }

    /// Waits for so many requests in all.
    pub async fn wait_for(&self, count: usize) -> Vec<Hit> {
        eventually(&format!("{count} requests"), async || Some(self.hits()).filter(|hits| hits.len() >= count)).await
    }

    fn serve(&mut self, listener: TcpListener) {
        let shared = self.shared.clone();
        self.serving = Some(tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                tokio::spawn(take(stream, shared.clone()));
            }
        }));
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

async fn take(mut stream: TcpStream, shared: Arc<Mutex<Shared>>) {
    let Some(hit) = read(&mut stream).await else { return };
    let reply = {
        let mut shared = shared.lock().unwrap();
        shared.hits.push(hit);
        shared.next.pop_front().or_else(|| shared.usual.clone()).unwrap_or(Reply::Status(200))
    };
    let head = |status: u16| {
        format!(
            "HTTP/1.1 {status} Whatever\r\ncontent-length: 2\r\nx-answered-by: receiver\r\nconnection: close\r\n\r\nok"
        )
    };
    let _gone = match reply {
        Reply::Status(status) => stream.write_all(head(status).as_bytes()).await,
        Reply::Slow(period) => {
            tokio::time::sleep(period).await;
            stream.write_all(head(200).as_bytes()).await
        }
        Reply::Redirect(to) => {
            let answer = format!("HTTP/1.1 307 Elsewhere\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await
        }
        Reply::Raw(bytes) => stream.write_all(bytes).await,
        Reply::Endless => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            while stream.write_all(b"4\r\nmore\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        }
        Reply::Silence => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            Ok(())
        }
    };
    let _ = stream.shutdown().await;
}

/// Reads one request with its body; `None` when the other side leaves first.
async fn read(stream: &mut TcpStream) -> Option<Hit> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let request = lines.next().unwrap().to_owned();
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
    }
    assert!(request.starts_with("POST "), "{request}");
    let length: usize = headers["content-length"].to_str().unwrap().parse().unwrap();
    let body_start = head_end + 4;
    while bytes.len() < body_start + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8(bytes[body_start..].to_vec()).unwrap();
    Some(Hit { path: request.split(' ').nth(1).unwrap().to_owned(), headers, body })
}

/// Names that lead where a test wants them to.
#[derive(Clone, Default)]
pub struct Names(Arc<Mutex<HashMap<String, Vec<IpAddr>>>>);

impl Names {
    /// From now on `name` leads to `address`.
    pub fn point(&self, name: &str, address: &str) {
        self.0.lock().unwrap().insert(name.to_owned(), vec![address.parse().unwrap()]);
    }

    /// What an application looks names up with.
    pub fn look_up(&self) -> LookUp {
        let names = self.0.clone();
        Arc::new(move |name| {
            let found = names.lock().unwrap().get(&name).cloned();
            async move { found.ok_or_else(|| io::Error::other("no such name")) }.boxed()
        })
    }
}
