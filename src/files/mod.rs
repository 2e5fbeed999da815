//! Owns the bytes of attachments and recordings: where they are, how they come in and go out, what they may be, and that
//! none is left that belongs to nobody. Rows are the store's; who may upload or read is the routes' to say.
//!
//! | file | owns |
//! |---|---|
//! | `place` | the folder or bucket, keys, reading, deleting |
//! | `incoming` | a file on its way in |
//! | `sniff` | what a file is by its content, and whether it is taken |
//! | `name` | names of files, cleaned |
//! | `upkeep` | deleting what nobody has any more |

mod incoming;
pub mod name;
mod place;
pub mod sniff;
mod upkeep;

use std::path::Path;
use std::sync::Arc;

pub use incoming::{Incoming, Intake, Refused, Stored};
pub use place::{FileKind, Key, Place, PlaceError};
pub use sniff::{Policy, Unfit};
pub use upkeep::Upkeep;

use crate::config;
use crate::domain::clock::Clock;
use crate::store::Store;

/// The files of all calls. Cheap to clone.
#[derive(Clone)]
pub struct Files {
    pub place: Place,
    pub intake: Intake,
    /// What may be attached to a call.
    pub attachments: Arc<Policy>,
    /// What may be a recording.
    pub recordings: Arc<Policy>,
}

impl Files {
    /// Opens the configured place of files.
    pub fn open(config: &config::Files, data_dir: &Path, store: Store, clock: Clock) -> anyhow::Result<Self> {
        let place = Place::open(config, data_dir)?;
        Ok(Self {
            intake: Intake::new(place.clone(), store, clock),
            place,
            attachments: Arc::new(Policy {
                bytes_max: config.attachment_bytes_max,
                types: config.attachment_types.clone(),
            }),
            recordings: Arc::new(Policy {
                bytes_max: config.recording_bytes_max,
                types: config.recording_types.clone(),
            }),
        })
    }
}
