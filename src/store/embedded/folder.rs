//! Where the private cluster lies, who runs it, and what others may see of it.
//!
//! Owns: the layout of the data folder (`postgres/`, `socket/`, `postgres.log`), the choice of the unprivileged user
//! when root starts us, and all permissions. Must not: start processes, except to ask whether a folder is reachable.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::unistd::{Uid, User};
use tokio::process::Command;

use super::error::EmbeddedError;

/// A Unix socket's path holds 104 bytes on the strictest system; "/.s.PGSQL.5432" and the end of the text need 15.
const SOCKET_FOLDER_BYTES_MAX: usize = 88;
/// Holds the clusters of data folders that the unprivileged user cannot reach.
const FALLBACK_PARENT: &str = "/var/lib/vez";

/// Who runs Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunAs {
    /// `None` when we are that user already.
    pub other: Option<(u32, u32)>,
}

impl RunAs {
    /// Makes a command run as that user, with a clean environment.
    pub fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // The caller's PG* and locale variables must not change what our server does.
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C").env("TZ", "UTC");
        command.stdin(Stdio::null()).current_dir("/");
        if let Some((user, group)) = self.other {
            command.uid(user).gid(group);
        }
        command
    }

    /// Makes a 0700 folder of that user.
    pub fn make_private(self, folder: &Path) -> Result<(), EmbeddedError> {
        DirBuilder::new().mode(0o700).create(folder).map_err(EmbeddedError::io("cannot create", folder))?;
        self.own(folder)
    }

    fn own(self, path: &Path) -> Result<(), EmbeddedError> {
        match self.other {
            Some((user, group)) => {
                chown(path, Some(user), Some(group)).map_err(EmbeddedError::io("cannot give away", path))
            }
            None => Ok(()),
        }
    }

    /// Whether that user can walk into the folder. The system is asked by doing it: it alone knows access lists.
    async fn reaches(self, folder: &Path) -> bool {
        self.other.is_none()
            || self.command(Path::new("/bin/sh")).args(["-c", ":"]).current_dir(folder).status().await.is_ok()
    }
}

/// The paths of one private cluster.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The cluster (what Postgres calls its data directory).
    pub cluster: PathBuf,
    /// Folder of the Unix socket, 0700.
    pub socket: PathBuf,
    /// Where Postgres writes what it has to say.
    pub log: PathBuf,
    /// Who runs it.
    pub run_as: RunAs,
}

/// Creates the data folder when it is missing and returns its absolute path.
pub fn data_folder(path: &Path) -> Result<PathBuf, EmbeddedError> {
    if !path.is_dir() {
        // Its owner reads it, others at most pass through to what they may see (the cluster's user, under root).
        let mode = if Uid::effective().is_root() { 0o711 } else { 0o700 };
        DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(path)
            .map_err(EmbeddedError::io("cannot create the data folder", path))?;
    }
    fs::canonicalize(path).map_err(EmbeddedError::io("cannot use the data folder", path))
}

/// Decides where everything lies; `data` is absolute and locked by us.
pub async fn layout(data: &Path) -> Result<Layout, EmbeddedError> {
    let link = data.join("postgres");
    let run_as = run_as(&link)?;
    let home = home(data, &link, run_as).await?;
    Ok(Layout {
        cluster: home.join("postgres"),
        socket: socket_folder(&home, run_as).await?,
        log: data.join("postgres.log"),
        run_as,
    })
}

/// The major version of the cluster that is there, if one is.
pub fn cluster_major(cluster: &Path) -> Option<u32> {
    fs::read_to_string(cluster.join("PG_VERSION")).ok()?.trim().parse().ok()
}

/// Ourselves; or under root the owner of the existing cluster, else `postgres`, else `nobody`.
fn run_as(cluster: &Path) -> Result<RunAs, EmbeddedError> {
    if !Uid::effective().is_root() {
        return Ok(RunAs { other: None });
    }
    if let Ok(found) = fs::metadata(cluster)
        && found.uid() != 0
    {
        return Ok(RunAs { other: Some((found.uid(), found.gid())) });
    }
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| User::from_name(name).ok().flatten())
        .map(|user| RunAs { other: Some((user.uid.as_raw(), user.gid.as_raw())) })
        .ok_or(EmbeddedError::NoUser)
}

/// The folder that holds the cluster: the data folder, or, when the unprivileged user cannot get there (below a
/// 0700 home of root), one it can reach, to which `data/postgres` then is a link.
async fn home(data: &Path, link: &Path, run_as: RunAs) -> Result<PathBuf, EmbeddedError> {
    if link.is_symlink() {
        let cluster = fs::canonicalize(link).map_err(EmbeddedError::io("cannot follow", link))?;
        return Ok(cluster.parent().unwrap_or(data).to_owned());
    }
    if !run_as.reaches(data).await && passing_shows_nothing(data) {
        // The data folder is ours to use, so passing through it may be allowed; its parents are not ours.
        allow_passing(data)?;
    }
    if run_as.reaches(data).await {
        return Ok(data.to_owned());
    }
    let home = reachable_home(data, run_as).await?;
    let cluster = home.join("postgres");
    run_as.make_private(&cluster)?;
    symlink(&cluster, link).map_err(EmbeddedError::io("cannot link", link))?;
    tracing::warn!(
        cluster = %cluster.display(),
        "the user that runs Postgres cannot reach the data folder, so the cluster lies elsewhere and is linked from it"
    );
    Ok(home)
}

/// Whether everything in the folder is closed to others by itself, so that passing through opens nothing to them.
fn passing_shows_nothing(data: &Path) -> bool {
    fs::read_dir(data).is_ok_and(|mut entries| {
        entries.all(|entry| entry.and_then(|entry| entry.metadata()).is_ok_and(|found| found.mode() & 0o007 == 0))
    })
}

fn allow_passing(data: &Path) -> Result<(), EmbeddedError> {
    let found = fs::metadata(data).map_err(EmbeddedError::io("cannot look at", data))?;
    fs::set_permissions(data, fs::Permissions::from_mode(found.mode() | 0o001))
        .map_err(EmbeddedError::io("cannot let the user of Postgres pass through", data))
}

/// Makes a new folder with a name of its own; what is temporary stays among temporary things.
async fn reachable_home(data: &Path, run_as: RunAs) -> Result<PathBuf, EmbeddedError> {
    let temporary = data.starts_with(std::env::temp_dir()) || data.starts_with("/tmp");
    let parent = Path::new(if temporary { "/tmp" } else { FALLBACK_PARENT });
    if !parent.is_dir() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(parent)
            .map_err(EmbeddedError::io("cannot create", parent))?;
    }
    let found = fs::metadata(data).map_err(EmbeddedError::io("cannot look at", data))?;
    // Device and inode name the data folder; the number tells it from an earlier folder that had the same.
    for number in 0_u32..1000 {
        let home = parent.join(format!("vez-{:x}-{:x}-{number}", found.dev(), found.ino()));
        match DirBuilder::new().mode(0o711).create(&home) {
            Ok(()) if run_as.reaches(&home).await => return Ok(home),
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(EmbeddedError::io("cannot create", &home)(error)),
        }
    }
    Err(EmbeddedError::Unsafe {
        path: data.to_owned(),
        problem: "the unprivileged user that runs Postgres cannot reach this data folder; use another --data-dir",
    })
}

/// `home/socket`, or a folder with a short name when that path is too long for a socket.
async fn socket_folder(home: &Path, run_as: RunAs) -> Result<PathBuf, EmbeddedError> {
    let folder = home.join("socket");
    if folder.as_os_str().as_bytes().len() <= SOCKET_FOLDER_BYTES_MAX {
        return private_folder(folder, run_as);
    }
    let found = fs::metadata(home).map_err(EmbeddedError::io("cannot look at", home))?;
    let name = format!("vez-{}-{:x}-{:x}", found.uid(), found.dev(), found.ino());
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    for parent in runtime.into_iter().chain([std::env::temp_dir(), PathBuf::from("/tmp")]) {
        let folder = parent.join(&name);
        if folder.as_os_str().as_bytes().len() <= SOCKET_FOLDER_BYTES_MAX && run_as.reaches(&parent).await {
            return private_folder(folder, run_as);
        }
    }
    Err(EmbeddedError::Unsafe { path: folder, problem: "this path is too long for a Unix socket; use a shorter one" })
}

/// Makes a 0700 folder of the user that runs Postgres, or makes sure that the one there is that.
fn private_folder(folder: PathBuf, run_as: RunAs) -> Result<PathBuf, EmbeddedError> {
    match DirBuilder::new().mode(0o700).create(&folder) {
        Ok(()) => run_as.own(&folder)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(EmbeddedError::io("cannot create", &folder)(error)),
    }
    // Somebody else may have put a folder or a link of that name where everybody may write.
    let found = fs::symlink_metadata(&folder).map_err(EmbeddedError::io("cannot look at", &folder))?;
    let owner = run_as.other.map_or(Uid::effective().as_raw(), |(user, _)| user);
    if !found.is_dir() || found.uid() != owner {
        return Err(EmbeddedError::Unsafe {
            path: folder,
            problem: "is not a folder of the user that runs Postgres; remove it",
        });
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))
        .map_err(EmbeddedError::io("cannot close", &folder))?;
    Ok(folder)
}
