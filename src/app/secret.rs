//! Owns the secret that tokens are signed with: the configured one, else a random one kept in the data folder.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::Context as _;

use crate::config::Config;
use crate::domain::ids::IdSource;

/// The file in the data folder.
const FILE: &str = "jwt-secret";
/// Random bytes of a made secret; HS256 wants at least 32.
const BYTES: usize = 48;
/// The fewest characters a configured secret may have.
const CONFIGURED_MIN: usize = 32;

/// The secret; made and stored readable by this user alone when there is none.
pub fn jwt_secret(config: &Config, ids: &IdSource) -> anyhow::Result<Vec<u8>> {
    if let Some(secret) = &config.auth.jwt_secret {
        let secret = secret.expose();
        anyhow::ensure!(
            secret.len() >= CONFIGURED_MIN,
            "VEZ_JWT_SECRET must have at least {CONFIGURED_MIN} characters"
        );
        return Ok(secret.as_bytes().to_vec());
    }
    let folder = &config.database.data_dir;
    let path = folder.join(FILE);
    match fs::read(&path) {
        Ok(secret) if secret.len() >= CONFIGURED_MIN => return Ok(secret),
        Ok(_) => anyhow::bail!("{} is too short to be a secret; remove it to have a new one made", path.display()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let secret = ids.secret(BYTES);
    // Written aside and renamed, so that a crash never leaves half a secret.
    let aside = folder.join(format!("{FILE}.new"));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()?;
    fs::rename(&aside, &path)?;
    Ok(secret.into_bytes())
}
