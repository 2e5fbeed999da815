//! Owns a file on its way in: how many at once, its size and type, its bytes in bounded memory, and that a file nobody
//! kept leaves nothing behind, however its upload ended.
//!
//! A row of `unfinished_files` is made before the first byte is stored, and goes in the transaction that makes the file's
//! own row. So at any moment a crash leaves either a file with its row or a file that the upkeep finds and deletes.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use object_store::MultipartUpload;

use super::place::{Key, Place, PlaceError};
use super::sniff::{HEAD_BYTES, Policy, Unfit};
use crate::domain::clock::Clock;
use crate::domain::ids::TenantId;
use crate::store::unfinished_files;
use crate::store::{Store, StoreError, Work};

/// Bytes held before they are stored as one part: the least that S3 takes for all parts but the last.
const PART_BYTES: usize = 5 * 1024 * 1024;
/// Up to here the buffer grows with the file, most of which are small; beyond it takes its full size at once.
const GROWING_BYTES: usize = 512 * 1024;
/// Uploads under way in the whole server: with [`PART_BYTES`] for each, 160 MiB at the very most.
const UPLOADS_MAX: usize = 32;
/// Uploads under way of one company, so that no company keeps the others from theirs.
const UPLOADS_PER_COMPANY_MAX: usize = 8;

/// Why a file is not taken in.
#[derive(Debug)]
pub enum Refused {
    /// Too many uploads are under way.
    Busy,
    /// It is larger than its policy allows.
    TooLarge,
    /// It is not what may be uploaded.
    Unfit(Unfit),
    /// The place of the files failed.
    Place(PlaceError),
    /// The database failed.
    Store(StoreError),
}

impl From<Unfit> for Refused {
    fn from(unfit: Unfit) -> Self {
        Self::Unfit(unfit)
    }
}

impl From<PlaceError> for Refused {
    fn from(error: PlaceError) -> Self {
        Self::Place(error)
    }
}

impl From<object_store::Error> for Refused {
    fn from(error: object_store::Error) -> Self {
        Self::Place(error.into())
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The door for files. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    place: Place,
    store: Store,
    clock: Clock,
    under_way: UnderWay,
}

impl Intake {
    /// Takes files in for `place`.
    pub(super) fn new(place: Place, store: Store, clock: Clock) -> Self {
        Self { place, store, clock, under_way: Arc::default() }
    }

    /// Begins an upload; nothing is stored before enough came to know its type.
    pub async fn begin(&self, key: Key, policy: Arc<Policy>, declared: Option<String>) -> Result<Incoming, Refused> {
        let slot = slot_of(&self.under_way, key.tenant).ok_or(Refused::Busy)?;
        let mut work = self.store.work(key.tenant, self.clock.now(), None).await?;
        unfinished_files::begin(&mut work, key.id, key.kind.as_str()).await?;
        work.commit().await?;
        Ok(Incoming {
            intake: self.clone(),
            key,
            policy,
            declared,
            buffer: BytesMut::new(),
            parts: None,
            size: 0,
            content_type: None,
            state: State::Open,
            _slot: slot,
        })
    }

    /// Deletes what is stored of `key`, then the row that says it is unfinished.
    pub(super) async fn discard(&self, key: Key) -> Result<(), Refused> {
        self.place.delete(key).await?;
        let mut work = self.store.work(key.tenant, self.clock.now(), None).await?;
        unfinished_files::end(&mut work, key.id).await?;
        work.commit().await?;
        Ok(())
    }
}

/// How many uploads each company has under way.
type UnderWay = Arc<Mutex<HashMap<TenantId, usize>>>;

/// One upload's share of what may be under way.
struct Slot {
    tenant: TenantId,
    under_way: UnderWay,
}

fn slot_of(under_way: &UnderWay, tenant: TenantId) -> Option<Slot> {
    let mut counts = under_way.lock().unwrap_or_else(PoisonError::into_inner);
    let own = counts.get(&tenant).copied().unwrap_or(0);
    if own >= UPLOADS_PER_COMPANY_MAX || counts.values().sum::<usize>() >= UPLOADS_MAX {
        return None;
    }
    counts.insert(tenant, own + 1);
    Some(Slot { tenant, under_way: under_way.clone() })
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = under_way.get_mut(&self.tenant) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                under_way.remove(&self.tenant);
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Bytes may come.
    Open,
    /// The place is told that this was all. Whether it has heard so is not known until it answers.
    Finishing,
    /// The object is there.
    Stored,
    /// Its row is being made: from here on only the record says whether the file is somebody's.
    Kept,
}

/// A file that is being uploaded. Dropped before it is kept, it is deleted again.
pub struct Incoming {
    intake: Intake,
    key: Key,
    policy: Arc<Policy>,
    declared: Option<String>,
    buffer: BytesMut,
    parts: Option<Box<dyn MultipartUpload>>,
    size: u64,
    content_type: Option<&'static str>,
    state: State,
    _slot: Slot,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("key", &self.key).field("size", &self.size).finish_non_exhaustive()
    }
}

impl Incoming {
    /// Takes the next bytes; waits while a full part is stored, and so makes the sender wait.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), Refused> {
        self.size += bytes.len() as u64;
        if self.size > self.policy.bytes_max {
            return Err(Refused::TooLarge);
        }
        while !bytes.is_empty() {
            let room = PART_BYTES - self.buffer.len();
            if self.buffer.len() > GROWING_BYTES {
                self.buffer.reserve(room);
            }
            self.buffer.extend_from_slice(&bytes.split_to(room.min(bytes.len())));
            if self.content_type.is_none() && self.buffer.len() >= HEAD_BYTES {
                self.admit()?;
            }
            if self.buffer.len() == PART_BYTES {
                self.store_part().await?;
            }
        }
        Ok(())
    }

    fn admit(&mut self) -> Result<(), Unfit> {
        let head = &self.buffer[..self.buffer.len().min(HEAD_BYTES)];
        self.content_type = Some(self.policy.admit(head, self.declared.as_deref())?);
        Ok(())
    }

    async fn store_part(&mut self) -> Result<(), Refused> {
        let part = std::mem::take(&mut self.buffer).freeze();
        let parts = match &mut self.parts {
            Some(parts) => parts,
            None => self.parts.insert(self.intake.place.put_parts(self.key).await?),
        };
        parts.put_part(part.clone().into()).await?;
        // Written, so nobody else has it any more: the same memory takes the next part.
        if let Ok(mut buffer) = part.try_into_mut() {
            buffer.clear();
            self.buffer = buffer;
        }
        Ok(())
    }

    /// That was all: the object is whole and stored when this returns.
    pub async fn finish(mut self) -> Result<Stored, Refused> {
        if self.content_type.is_none() {
            self.admit()?;
        }
        let content_type = self.content_type.unwrap_or(super::sniff::UNKNOWN);
        self.state = State::Finishing;
        if self.parts.is_some() {
            if !self.buffer.is_empty() {
                self.store_part().await?;
            }
            if let Some(parts) = &mut self.parts {
                parts.complete().await?;
            }
        } else {
            let whole = std::mem::take(&mut self.buffer).freeze();
            self.intake.place.put(self.key, whole).await?;
        }
        self.parts = None;
        self.state = State::Stored;
        Ok(Stored { key: self.key, content_type, size: self.size, file: self })
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Whether it was kept is the record's to say: its transaction may be committed by now.
        if self.state == State::Kept {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (intake, key, parts, state) = (self.intake.clone(), self.key, self.parts.take(), self.state);
        runtime.spawn(async move {
            if let Some(mut parts) = parts
                && let Err(error) = parts.abort().await
            {
                tracing::debug!(%error, "an upload was already gone when it was called off");
            }
            // Told to finish and never answered, the place may still do it after we deleted: then the row stays, and the
            // upkeep deletes once more.
            let done = match state {
                State::Finishing => intake.place.delete(key).await.map_err(Refused::from),
                _ => intake.discard(key).await,
            };
            if let Err(error) = done {
                tracing::warn!(?error, "a cut upload is left to the upkeep");
            }
        });
    }
}

/// A file that is stored whole and is nobody's yet. Dropped, it is deleted again.
#[derive(Debug)]
pub struct Stored {
    pub key: Key,
    /// What its content is.
    pub content_type: &'static str,
    /// Bytes.
    pub size: u64,
    file: Incoming,
}

impl Stored {
    /// Makes it somebody's in the transaction of `work`, which also makes its row: the last thing before the commit. Should
    /// that commit fail, the upkeep deletes the file later, since nobody can know at once whether it did.
    pub async fn keep(mut self, work: &mut Work) -> Result<(), Refused> {
        unfinished_files::end(work, self.key.id).await?;
        self.file.state = State::Kept;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn no_company_takes_all_the_room() {
        let under_way = UnderWay::default();
        let take = |tenant: u128| {
            let tenant = TenantId(Uuid::from_u128(tenant));
            slot_of(&under_way, tenant)
        };
        let first: Vec<_> = (0..UPLOADS_PER_COMPANY_MAX).map(|_| take(1)).collect();
        assert!(first.iter().all(Option::is_some));
        assert!(take(1).is_none());
        let others: Vec<_> = (2..5).flat_map(|tenant| (0..UPLOADS_PER_COMPANY_MAX).map(move |_| tenant)).collect();
        let others: Vec<_> = others.into_iter().map(take).collect();
        assert!(others.iter().all(Option::is_some));
        assert!(take(9).is_none(), "the server is full");
        drop(first);
        assert!(take(9).is_some());
    }
}
