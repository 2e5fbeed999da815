//! Owns the slow work on files: what an upload left that never became anybody's, and recordings whose time is over. It
//! deletes the object first and the row after, so that whatever comes between, the next round finds it again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use super::Files;
use super::incoming::Refused;
use super::place::{FileKind, Key};
use crate::domain::clock::{Clock, Timestamp};
use crate::store::{Store, recordings, unfinished_files};

/// Between two rounds: what is due is due for days, so an hour more is nothing.
const ROUND: Duration = Duration::from_secs(60 * 60);
/// A file that was begun so long ago and is not finished never will be: no upload may take nearly as long.
const UNFINISHED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// Files of one look; a round looks again until nothing is left, or [`LOOKS_MAX`] times.
const AT_ONCE: u32 = 100;
/// Looks of one round, so that a round ends even when there is no end of files.
const LOOKS_MAX: usize = 100;

/// The last file that was looked at: its time and id.
type Seen = Mutex<(Timestamp, Uuid)>;

/// How far each kind was looked at. What cannot be deleted stays where it is, and whatever is behind it has its turn all the same;
/// a round goes on where the one before ended, and begins anew after the end.
#[derive(Default)]
struct Places {
    unfinished: Seen,
    outlived: Seen,
}

/// Deletes what nobody has any more.
#[derive(Clone)]
pub struct Upkeep {
    files: Files,
    store: Store,
    clock: Clock,
    seen: Arc<Places>,
}

impl Upkeep {
    /// The upkeep of these files.
    pub fn new(files: Files, store: Store, clock: Clock) -> Self {
        Self { files, store, clock, seen: Arc::default() }
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
        Ok(self.discard_unfinished().await? + self.forget_outlived().await?)
    }

    async fn discard_unfinished(&self) -> Result<u64, Refused> {
        let (mut deleted, before) = (0, self.clock.now() - UNFINISHED_AFTER);
        for _ in 0..LOOKS_MAX {
            let behind = *lock(&self.seen.unfinished);
            let found = unfinished_files::begun_before(&self.store, before, behind, AT_ONCE).await?;
            for file in &found {
                let Some(kind) = FileKind::parse(&file.kind) else { continue };
                let key = Key { tenant: file.tenant, kind, id: file.id };
                deleted += u64::from(worked(key, self.files.intake.discard(key).await));
            }
            let last = found.last().map(|file| (file.begun_at, file.id));
            if ended(&self.seen.unfinished, found.len(), last) {
                break;
            }
        }
        Ok(deleted)
    }

    async fn forget_outlived(&self) -> Result<u64, Refused> {
        let mut deleted = 0;
        for _ in 0..LOOKS_MAX {
            let behind = *lock(&self.seen.outlived);
            let found = recordings::outlived(&self.store, self.clock.now(), behind, AT_ONCE).await?;
            for recording in &found {
                let key = Key { tenant: recording.tenant, kind: FileKind::Recording, id: recording.id };
                deleted += u64::from(worked(key, self.forget(key).await));
            }
            let last = found.last().map(|recording| (recording.made_at, recording.id));
            if ended(&self.seen.outlived, found.len(), last) {
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

fn lock(seen: &Seen) -> MutexGuard<'_, (Timestamp, Uuid)> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes how far was looked; whether that was the end.
fn ended(seen: &Seen, found: usize, last: Option<(Timestamp, Uuid)>) -> bool {
    let is_end = found < AT_ONCE as usize;
    *lock(seen) = if is_end { <(Timestamp, Uuid)>::default() } else { last.unwrap_or_default() };
    is_end
}

/// One file that cannot be deleted does not keep the others.
fn worked(key: Key, done: Result<(), Refused>) -> bool {
    if let Err(error) = &done {
        tracing::warn!(?key, ?error, "a file could not be deleted");
    }
    done.is_ok()
}
