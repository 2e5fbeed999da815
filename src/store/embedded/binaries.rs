//! Finding the Postgres server programs of this machine.
//!
//! Owns: where to look and which version to take. Must not: install anything; `dev/setup` does.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::error::EmbeddedError;

/// Oldest major version with all we use (`gen_random_uuid`, multi-row `UNNEST`, WAL compression by setting).
pub const MAJOR_MIN: u32 = 14;

/// Folders whose children are named after versions and hold `bin`: Debian, Red Hat, Postgres.app.
const VERSIONED: [(&str, &str); 3] =
    [("/usr/lib/postgresql", ""), ("/usr", "pgsql-"), ("/Applications/Postgres.app/Contents/Versions", "")];
/// Homebrew's folders, whose children are named `postgresql@17`.
const HOMEBREW: [&str; 3] = ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"];

/// One installation that can make and run a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    folder: PathBuf,
    major: u32,
}

impl Binaries {
    /// The newest installation, or the newest of exactly `major` when a cluster of that version exists already.
    pub async fn find(major: Option<u32>) -> Result<Self, EmbeddedError> {
        let mut best: Option<Self> = None;
        for folder in candidates().await {
            let Some(found) = Self::inspect(folder).await else { continue };
            let fits = match major {
                Some(major) => found.major == major,
                None => found.major >= MAJOR_MIN,
            };
            if fits && best.as_ref().is_none_or(|best| found.major > best.major) {
                best = Some(found);
            }
        }
        best.ok_or_else(|| EmbeddedError::NoBinaries {
            wanted: match major {
                Some(major) => format!("version {major}, which made this data folder"),
                None => format!("version {MAJOR_MIN} or newer"),
            },
        })
    }

    /// The program of that name.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Its major version, such as 17.
    pub fn major(&self) -> u32 {
        self.major
    }

    async fn inspect(folder: PathBuf) -> Option<Self> {
        if !["initdb", "postgres"].iter().all(|name| folder.join(name).is_file()) {
            return None;
        }
        let printed = printed_by(&folder.join("postgres"), "--version").await?;
        Some(Self { folder, major: major_of(&printed)? })
    }
}

/// Reads the major version out of "postgres (PostgreSQL) 15.7 (Debian 15.7-1)".
fn major_of(printed: &str) -> Option<u32> {
    let start = printed.find(|letter: char| letter.is_ascii_digit())?;
    printed[start..].split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

/// Every folder that may hold the programs; earlier ones win among equals.
async fn candidates() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Some(printed) = printed_by(Path::new("pg_config"), "--bindir").await {
        folders.push(PathBuf::from(printed.trim()));
    }
    folders.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
    for (parent, prefix) in VERSIONED {
        folders.extend(children(parent, prefix).map(|child| child.join("bin")));
    }
    for parent in HOMEBREW {
        folders.extend(children(parent, "postgresql").map(|child| child.join("bin")));
    }
    folders.push(PathBuf::from("/usr/local/pgsql/bin"));
    folders
}

fn children(parent: &str, prefix: &str) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter(move |entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
}

async fn printed_by(program: &Path, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).stdin(Stdio::null()).output().await.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::major_of;

    #[test]
    fn versions_are_read_as_every_packager_prints_them() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.7 (Debian 15.7-1.pgdg120+1)\n"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 17beta1"), Some(17));
        assert_eq!(major_of("postgres (PostgreSQL) 9.6.24"), Some(9));
        assert_eq!(major_of("something else"), None);
    }
}
