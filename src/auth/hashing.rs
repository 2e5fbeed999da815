//! Owns the hash of a password: argon2id, its parameters, and the memory it is computed in. Where and when it is computed is
//! for `passwords` and `hash_worker`.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use super::passwords::PasswordError;

/// OWASP's recommendation for argon2id (Password Storage Cheat Sheet): 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Salt size recommended by the PHC string format.
pub(super) const SALT_BYTES: usize = 16;
/// Size of a hash recommended by the PHC string format.
const HASH_BYTES: usize = 32;
/// What one thread computes in. It is overwritten from the start by each hash.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl Memory {
    /// The PHC string of `password` with this salt.
    pub fn hash(&mut self, salt: &[u8], password: &str) -> Result<String, PasswordError> {
        let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
        let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES)).map_err(|_| PasswordError::Failed)?;
        let salt = Salt::new(salt).map_err(|_| PasswordError::Failed)?;
        let hash = self.compute(&Argon2::new(algorithm, version, params.clone()), password, &salt, HASH_BYTES)?;
        let phc = PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: ParamsString::try_from(&params).map_err(|_| PasswordError::Failed)?,
            salt: Some(salt),
            hash: Some(hash),
        };
        Ok(phc.to_string())
    }

    /// Whether `stored` was made of `password`. The parameters are read from it, so older hashes stay valid when ours change.
    pub fn matches(&mut self, password: &str, stored: &str) -> Result<bool, PasswordError> {
        let parsed = PasswordHash::new(stored).map_err(|_| PasswordError::Failed)?;
        let algorithm = Algorithm::try_from(parsed.algorithm.as_str()).map_err(|_| PasswordError::Failed)?;
        let version =
            parsed.version.map_or(Ok(Version::V0x13), Version::try_from).map_err(|_| PasswordError::Failed)?;
        let params = Params::try_from(&parsed).map_err(|_| PasswordError::Failed)?;
        let (Some(salt), Some(expected)) = (parsed.salt, parsed.hash) else { return Err(PasswordError::Failed) };
        let hash = self.compute(&Argon2::new(algorithm, version, params), password, &salt, expected.len())?;
        // This comparison takes the same time wherever they differ.
        Ok(hash == expected)
    }

    fn compute(
        &mut self,
        argon2: &Argon2<'_>,
        password: &str,
        salt: &Salt,
        bytes: usize,
    ) -> Result<Output, PasswordError> {
        let count = argon2.params().block_count();
        if self.0.len() < count {
            self.0.resize(count, Block::new());
        }
        let mut hash = [0u8; Output::MAX_LENGTH];
        let (Some(hash), Some(blocks)) = (hash.get_mut(..bytes), self.0.get_mut(..count)) else {
            return Err(PasswordError::Failed);
        };
        argon2
            .hash_password_into_with_memory(password.as_bytes(), salt, hash, blocks)
            .map_err(|_| PasswordError::Failed)?;
        Output::new(hash).map_err(|_| PasswordError::Failed)
    }
}
