//! Owns where files are: the local folder or the bucket behind `object_store`, the keys of objects, reading and deleting
//! them. It knows no calls and no people; a key is made of ids only.

use std::fmt;
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt as _};
use uuid::Uuid;

use crate::config;
use crate::domain::ids::TenantId;
use crate::domain::words::words;

/// The folder in the data folder when nothing else is configured.
const FOLDER: &str = "files";

words! {
    /// What a file is to its call.
    FileKind {
        Attachment = "attachments",
        Recording = "recordings",
    }
}

/// The name of one object: ids only, so that nothing a person typed is ever part of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub tenant: TenantId,
    pub kind: FileKind,
    pub id: Uuid,
}

impl Key {
    fn path(self) -> Path {
        Path::from(format!("{}/{}/{}", self.tenant, self.kind.as_str(), self.id))
    }
}

/// Why an object could not be written or read. For the log; clients are told that it is not possible now.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The row says that there is such a file, the store does not have it.
    #[error("the file is gone from the store")]
    Gone,
    /// Everything else: no room, no rights, no network.
    #[error("the files' store failed: {0}")]
    Failed(object_store::Error),
}

impl From<object_store::Error> for PlaceError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Gone,
            other => Self::Failed(other),
        }
    }
}

/// Where files are. Cheap to clone.
#[derive(Clone)]
pub struct Place {
    store: Arc<dyn ObjectStore>,
    /// The folder, when it is one of this machine.
    folder: Option<PathBuf>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({})", self.store)
    }
}

impl Place {
    /// Opens the configured place; a folder is made when it is not there. A bucket is not asked for anything yet, so that
    /// a store that is away keeps nobody from joining a queue.
    pub fn open(config: &config::Files, data_dir: &FsPath) -> anyhow::Result<Self> {
        let url = config.url.as_deref().map(str::trim).filter(|url| !url.is_empty());
        let Some(url) = url else { return Self::folder(&data_dir.join(FOLDER)) };
        if let Some(path) = url.strip_prefix("file://") {
            anyhow::ensure!(path.starts_with('/'), "--files-url: a folder is written file:///from/the/root");
            return Self::folder(FsPath::new(path));
        }
        let Some(rest) = url.strip_prefix("s3://") else {
            anyhow::bail!("--files-url takes file:///folder or s3://bucket/prefix");
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        anyhow::ensure!(!bucket.is_empty(), "--files-url: s3:// is followed by the name of a bucket");
        let bucket = bucket_of(config, bucket).context("--files-url: the bucket cannot be used")?;
        let prefix = Path::from(prefix.trim_matches('/'));
        let store: Arc<dyn ObjectStore> =
            if prefix.as_ref().is_empty() { Arc::new(bucket) } else { Arc::new(PrefixStore::new(bucket, prefix)) };
        Ok(Self { store, folder: None })
    }

    fn folder(folder: &FsPath) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        // What was acknowledged is on the disk, as everything else that is.
        let store = LocalFileSystem::new_with_prefix(folder)
            .with_context(|| format!("cannot use {}", folder.display()))?
            .with_fsync(true);
        Ok(Self { store: Arc::new(store), folder: Some(folder.to_owned()) })
    }

    /// Writes a small object whole.
    pub(super) async fn put(&self, key: Key, bytes: Bytes) -> Result<(), PlaceError> {
        self.store.put(&key.path(), bytes.into()).await?;
        Ok(())
    }

    /// Begins a large object, written part by part. It is seen by nobody until it is complete.
    pub(super) async fn put_parts(&self, key: Key) -> Result<Box<dyn MultipartUpload>, PlaceError> {
        Ok(self.store.put_multipart(&key.path()).await?)
    }

    /// The bytes of `range`, as they come; it must lie within the object.
    pub async fn read(
        &self,
        key: Key,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, object_store::Result<Bytes>>, PlaceError> {
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        Ok(self.store.get_opts(&key.path(), options).await?.into_stream())
    }

    /// Deletes an object and whatever a cut upload left of it. One that is not there is fine.
    pub async fn delete(&self, key: Key) -> Result<(), PlaceError> {
        match self.store.delete(&key.path()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(folder) = &self.folder {
            // Where `object_store` keeps a file until it is complete; keys are never written twice, so it is the first.
            let staged = folder.join(format!("{}#1", key.path()));
            let _ = tokio::task::spawn_blocking(move || std::fs::remove_file(staged)).await;
        }
        Ok(())
    }
}

fn bucket_of(config: &config::Files, bucket: &str) -> anyhow::Result<object_store::aws::AmazonS3> {
    // The variables that AWS' own programs read come first, so that a machine's role works without any setting here.
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_region(&config.region);
    if let Some(endpoint) = config.endpoint.as_deref().map(str::trim).filter(|endpoint| !endpoint.is_empty()) {
        // Said in the open by the operator, who may have the store on the same machine.
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    if let (Some(id), Some(secret)) = (&config.access_key_id, &config.secret_access_key) {
        builder = builder.with_access_key_id(id.expose()).with_secret_access_key(secret.expose());
    }
    Ok(builder.build()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_place_is_a_folder_or_a_bucket() {
        let home = tempfile::tempdir().unwrap();
        let at = |url: &str| {
            let config = config::Files { url: Some(url.to_owned()), ..config::Files::default() };
            Place::open(&config, home.path())
        };
        assert!(Place::open(&config::Files::default(), home.path()).is_ok());
        assert!(home.path().join(FOLDER).is_dir());
        assert!(at(&format!("file://{}/other", home.path().display())).is_ok());
        assert!(home.path().join("other").is_dir());
        for wrong in ["file://relative", "s3://", "https://bucket", "/folder"] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_is_made_of_ids() {
        let key = Key { tenant: TenantId(Uuid::nil()), kind: FileKind::Recording, id: Uuid::max() };
        assert_eq!(
            key.path().to_string(),
            "00000000-0000-0000-0000-000000000000/recordings/ffffffff-ffff-ffff-ffff-ffffffffffff"
        );
    }
}
