//! Owns the slow work on files: what an upload left that never became anybody's, and recordings whose time is over. It
//! deletes the object first and the row after, so that whatever comes between, the next round finds it again.

use std::time::Duration;

use super::Files;
use super::incoming::Refused;
use super::place::{FileKind, Key};
use crate::domain::clock::Clock;
use crate::store::{Store, recordings, unfinished_files};

/// Between two rounds: what is due is due for days, so an hour more is nothing.
const ROUND: Duration = Duration::from_secs(60 * 60);
/// A file that was begun so long ago and is not finished never will be: no upload may take nearly as long.
const UNFINISHED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// Files of one look; a round looks again until nothing is left, or [`LOOKS_MAX`] times.
const AT_ONCE: u32 = 100;
/// Looks of one round, so that a round ends even when nothing can be deleted.
const LOOKS_MAX: usize = 100;

/// Deletes what nobody has any more.
#[derive(Clone)]
pub struct Upkeep {
    files: Files,
    store: Store,
    clock: Clock,
}

impl Upkeep {
    /// The upkeep of these files.
    pub fn new(files: Files, store: Store, clock: Clock) -> Self {
        Self { files, store, clock }
    }

    /// A round at the start, then one an hour, until the task is dropped.
    pub async fn run(self) {
        loop {
            match self.round().await {
                Ok(0) => {}
                Ok(deleted) => tracing::info!(deleted, "files were deleted that nobody has any more"),
                Err(error) => tracing::warn!(?error, "files could not be looked after; the next round tries again"),
            }
            self.clock.sleep(ROUND).await;
        }
    }

    /// One round; how many files it deleted.
    pub async fn round(&self) -> Result<u64, Refused> {
        let mut deleted = 0;
        for _ in 0..LOOKS_MAX {
            let found =
                unfinished_files::begun_before(&self.store, self.clock.now() - UNFINISHED_AFTER, AT_ONCE).await?;
            let mut gone = 0;
            for file in &found {
                let Some(kind) = FileKind::parse(&file.kind) else { continue };
                let key = Key { tenant: file.tenant, kind, id: file.id };
                gone += u64::from(worked(key, self.files.intake.discard(key).await));
            }
            deleted += gone;
            if found.len() < AT_ONCE as usize || gone == 0 {
                break;
            }
        }
        for _ in 0..LOOKS_MAX {
            let found = recordings::outlived(&self.store, self.clock.now(), AT_ONCE).await?;
            let mut gone = 0;
            for (tenant, recording) in &found {
                let key = Key { tenant: *tenant, kind: FileKind::Recording, id: *recording };
                gone += u64::from(worked(key, self.forget(key).await));
            }
            deleted += gone;
            if found.len() < AT_ONCE as usize || gone == 0 {
                break;
            }
        }
        Ok(deleted)
    }

    async fn forget(&self, key: Key) -> Result<(), Refused> {
        self.files.place.delete(key).await?;
        let mut work = self.store.work(key.tenant, self.clock.now(), None).await?;
        recordings::forget(&mut work, key.id).await?;
        Ok(work.commit().await?)
    }
}

/// One file that cannot be deleted does not keep the others.
fn worked(key: Key, done: Result<(), Refused>) -> bool {
    if let Err(error) = &done {
        tracing::warn!(?key, ?error, "a file could not be deleted");
    }
    done.is_ok()
}
