//! The lock that says which process owns a data folder.
//!
//! Owns: `vez.lock`. The system frees it when the process ends, however it ends, and Postgres does not inherit it.
//! Must not: be taken twice by one process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process;
use std::time::Duration;

use super::error::EmbeddedError;

/// A deploy in progress: the old process has this long to leave.
pub const WAIT_SECONDS: u64 = 30;
/// Between two looks at the lock; a deploy loses no more than this.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Ownership of a data folder, for as long as it lives.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the folder, waiting up to `wait_seconds` for another process to leave it.
    pub async fn take(folder: &Path, wait_seconds: u64) -> Result<Self, EmbeddedError> {
        let path = folder.join("vez.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(EmbeddedError::io("cannot open", &path))?;
        let mut looks_left = Duration::from_secs(wait_seconds).as_millis() / LOOK_EVERY.as_millis();
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    let holder = holder(&mut file);
                    if looks_left == 0 {
                        return Err(EmbeddedError::InUse {
                            folder: folder.to_owned(),
                            holder,
                            waited_seconds: wait_seconds,
                        });
                    }
                    if !told {
                        tracing::warn!(holder, folder = %folder.display(), wait_seconds,
                            "another vez is using the data folder; waiting for it to leave");
                        told = true;
                    }
                    looks_left -= 1;
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Err(TryLockError::Error(source)) => return Err(EmbeddedError::io("cannot lock", &path)(source)),
            }
        }
        write_own_id(&mut file).map_err(EmbeddedError::io("cannot write", &path))?;
        Ok(Self { _file: file })
    }
}

fn write_own_id(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", process::id())
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
