//! Owns the two ways a mail leaves: by SMTP, or as a file in a folder where no SMTP server is set. It tries once; trying
//! again is the deliverer's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use tokio::io::AsyncWriteExt as _;

use super::letter::Letter;

/// Why a mail did not leave this time.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("SMTP: {0}")]
    Smtp(#[from] lettre::transport::smtp::Error),
    #[error("the mail could not be written to its file: {0}")]
    File(#[from] std::io::Error),
    #[error("no answer in time")]
    Timeout,
}

/// Where mails go.
#[derive(Clone, Debug)]
pub enum Transport {
    /// A server; connections are kept and shared.
    Smtp { server: AsyncSmtpTransport<Tokio1Executor>, within: Duration },
    /// A folder; each mail is a file named after its id.
    Folder(PathBuf),
}

impl Transport {
    /// By the SMTP server of `url`: `smtps://user:password@host` (TLS from the first byte),
    /// `smtp://host:587?tls=required` (STARTTLS) or `smtp://host` (no encryption). What is wrong with it is told without
    /// repeating it, because it may hold a password.
    pub fn smtp(url: &str, within: Duration) -> Result<Self, String> {
        let server = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.trim())
            .map_err(|_| "the SMTP URL must look like smtps://user:password@host:465".to_owned())?
            .timeout(Some(within))
            .build();
        Ok(Self::Smtp { server, within })
    }

    /// As files in `folder`, which is made with the first mail.
    pub fn folder(folder: impl Into<PathBuf>) -> Self {
        Self::Folder(folder.into())
    }

    /// Sends a mail: returns when the server has taken it, or the file is on the disk.
    pub async fn send(&self, letter: &Letter) -> Result<(), SendError> {
        match self {
            // The server's own time-out is of each of its answers; this one is of all.
            Transport::Smtp { server, within } => {
                let sending = server.send(letter.mime.clone());
                tokio::time::timeout(*within, sending).await.map_err(|_| SendError::Timeout)??;
                Ok(())
            }
            Transport::Folder(folder) => Ok(write(folder, letter).await?),
        }
    }
}

/// Written aside and renamed, so that whoever watches the folder never reads half a mail. Mails hold links that let
/// people in, so nobody else on this machine may read them.
async fn write(folder: &Path, letter: &Letter) -> std::io::Result<()> {
    tokio::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).await?;
    let aside = folder.join(format!("{}.new", letter.id));
    let mut file =
        tokio::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside).await?;
    file.write_all(&letter.bytes()).await?;
    file.sync_all().await?;
    tokio::fs::rename(&aside, folder.join(format!("{}.eml", letter.id))).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    // Its connections are looked after by the runtime.
    #[tokio::test]
    async fn a_wrong_url_is_refused_without_repeating_it() {
        let within = Duration::from_secs(1);
        for url in ["http://host", "smtp", "ftp://u:secret@host", "smtp://u:secret@"] {
            let error = Transport::smtp(url, within).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(Transport::smtp("smtp://127.0.0.1:2525", within).is_ok());
    }
}
