//! The limit of open files, which thousands of sockets need raised.

use anyhow::{Context, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What a process has open besides its sockets, generously.
const OTHER_FILES: u64 = 256;

/// Makes room for so many sockets, raising the soft limit where the hard one allows it.
///
/// # Errors
/// When the hard limit is too low; the message says what to run.
pub fn allow_sockets(sockets: u64) -> anyhow::Result<()> {
    let needed = sockets + OTHER_FILES;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("cannot read the limit of open files")?;
    if soft >= needed {
        return Ok(());
    }
    if hard < needed {
        bail!(
            "{sockets} sockets need `ulimit -n {needed}`, and this shell allows {hard} at most: raise the hard limit first"
        );
    }
    setrlimit(Resource::RLIMIT_NOFILE, needed, hard)
        .with_context(|| format!("cannot raise the limit of open files; run `ulimit -n {needed}` before"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_says_what_to_run() {
        assert!(allow_sockets(1).is_ok());
        let message = allow_sockets(u64::MAX / 2).map_err(|error| error.to_string());
        assert!(message.is_err_and(|text| text.contains("ulimit -n")));
    }
}
