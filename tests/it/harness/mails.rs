//! Reads the mails an application wrote into its data folder, and plays an SMTP server. It knows just enough of both
//! formats for what the application writes.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::{TestApp, eventually};

/// A mail.
#[derive(Clone, Debug)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub text: String,
    /// All of its head, as it was sent.
    pub head: String,
}

impl Mail {
    /// Of the bytes of a message.
    pub fn parse(raw: &str) -> Self {
        let raw = raw.replace("\r\n", "\n");
        let (head, body) = raw.split_once("\n\n").unwrap();
        // Long headers go on in lines that begin with a blank.
        let head = head.replace("\n ", " ");
        let header = |name: &str| {
            let prefix = format!("{name}: ");
            head.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default().to_owned()
        };
        let part = body.split("\n--").find(|part| part.contains("Content-Type: text/plain")).unwrap();
        let (part_head, content) = part.split_once("\n\n").unwrap();
        let text = match part_head {
            head if head.contains("quoted-printable") => quoted_printable(content),
            head if head.contains("base64") => {
                let joined: String = content.split_whitespace().collect();
                String::from_utf8(base64::engine::general_purpose::STANDARD.decode(joined).unwrap()).unwrap()
            }
            _ => content.to_owned(),
        };
        Self { to: header("To"), subject: header("Subject"), text: text.replace("\r\n", "\n"), head }
    }

    /// The address in a line of its own that contains `part`.
    pub fn link(&self, part: &str) -> &str {
        let mut lines = self.text.lines().map(str::trim);
        lines.find(|line| line.starts_with("http") && line.contains(part)).unwrap_or_else(|| panic!("{}", self.text))
    }
}

fn quoted_printable(text: &str) -> String {
    let mut bytes = Vec::new();
    let joined = text.replace("=\n", "");
    let mut rest = joined.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'=', [high, low, ..]) => {
                bytes.push(u8::from_str_radix(std::str::from_utf8(&[*high, *low]).unwrap(), 16).unwrap());
                rest = &after[2..];
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).unwrap()
}

impl TestApp {
    /// The mails it wrote so far, in that order.
    pub fn mails(&self) -> Vec<Mail> {
        read_folder(&self.config().database.data_dir.join("mail"))
    }

    /// Its mails once there are `count` of them.
    pub async fn until_mails(&self, count: usize) -> Vec<Mail> {
        let what = format!("{count} mails");
        eventually(&what, async || Some(self.mails()).filter(|mails| mails.len() >= count)).await
    }
}

fn read_folder(folder: &Path) -> Vec<Mail> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "eml"));
    files.sort_by_key(|file| std::fs::metadata(file).unwrap().modified().unwrap());
    files.iter().map(|file| Mail::parse(&std::fs::read_to_string(file).unwrap())).collect()
}

/// An SMTP server on this machine. It ends with the test's runtime.
pub struct SmtpServer {
    pub url: String,
    received: Arc<Mutex<Vec<Mail>>>,
    /// Mails it still refuses for now.
    refusals: Arc<AtomicU32>,
}

impl SmtpServer {
    /// One that refuses the first `refusals` mails with a passing error.
    pub async fn start(refusals: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let (received, refusals) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU32::new(refusals)));
        let server = Self { url, received: received.clone(), refusals: refusals.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream, received.clone(), refusals.clone()));
            }
        });
        server
    }

    /// What it took.
    pub fn received(&self) -> Vec<Mail> {
        self.received.lock().unwrap().clone()
    }

    /// What it took, once there are `count`.
    pub async fn until(&self, count: usize) -> Vec<Mail> {
        eventually("mails by SMTP", async || Some(self.received()).filter(|mails| mails.len() >= count)).await
    }

    /// Refusals left.
    pub fn refusals_left(&self) -> u32 {
        self.refusals.load(Ordering::SeqCst)
    }
}

async fn talk(stream: TcpStream, received: Arc<Mutex<Vec<Mail>>>, refusals: Arc<AtomicU32>) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 test\r\n").await.ok()?;
    loop {
        let line = lines.next_line().await.ok()??.to_ascii_uppercase();
        let answer: &[u8] = match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" | "HELO" => b"250 test\r\n",
            "DATA" => {
                write.write_all(b"354 go on\r\n").await.ok()?;
                let mut mail = String::new();
                loop {
                    let line = lines.next_line().await.ok()??;
                    if line == "." {
                        break;
                    }
                    mail.push_str(line.strip_prefix('.').unwrap_or(&line));
                    mail.push('\n');
                }
                let refused = |left: u32| left.checked_sub(1);
                if refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, refused).is_ok() {
                    b"451 not now\r\n"
                } else {
                    received.lock().unwrap().push(Mail::parse(&mail));
                    b"250 taken\r\n"
                }
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await.ok()?;
                return Some(());
            }
            _ => b"250 ok\r\n",
        };
        write.write_all(answer).await.ok()?;
    }
}
