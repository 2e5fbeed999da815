//! Where recordings and attachments are kept, and what may be uploaded.
//!
//! Owns: the defaults of those settings. Must not: open anything, or know how a type is recognised.

use super::Secret;

/// Files.
#[derive(Clone, Debug, PartialEq, clap::Args)]
#[command(next_help_heading = "Files")]
pub struct Files {
    /// Where recordings and attachments are kept: file:///folder or s3://bucket/prefix.
    ///
    /// Without it they are in the folder `files` of the data folder. A bucket should have a life-cycle rule that ends
    /// incomplete multipart uploads after a day: a crash may leave some, and nobody else can see them.
    #[arg(id = "files_url", long = "files-url", env = "VEZ_FILES_URL", value_name = "URL")]
    pub url: Option<String>,
    /// Address of a store that speaks S3 and is not Amazon's (https://s3.example.com).
    #[arg(id = "files_endpoint", long = "files-endpoint", env = "VEZ_FILES_ENDPOINT", value_name = "URL")]
    pub endpoint: Option<String>,
    /// Region of the bucket.
    #[arg(id = "files_region", long = "files-region", env = "VEZ_FILES_REGION", value_name = "NAME",
          default_value = Self::REGION)]
    pub region: String,
    /// Key of the bucket; without one AWS' own variables and the machine's role are asked.
    #[arg(
        id = "files_access_key_id",
        long = "files-access-key-id",
        env = "VEZ_FILES_ACCESS_KEY_ID",
        value_name = "KEY",
        hide_env_values = true,
        requires = "files_secret_access_key"
    )]
    pub access_key_id: Option<Secret>,
    /// Its secret; better given by the variable, since command lines can be seen by others.
    #[arg(
        id = "files_secret_access_key",
        long = "files-secret-access-key",
        env = "VEZ_FILES_SECRET_ACCESS_KEY",
        value_name = "SECRET",
        hide_env_values = true,
        requires = "files_access_key_id"
    )]
    pub secret_access_key: Option<Secret>,
    /// Largest file that may be attached to a call, in bytes.
    #[arg(long, env = "VEZ_ATTACHMENT_BYTES_MAX", value_name = "BYTES", default_value_t = Self::ATTACHMENT_BYTES_MAX)]
    pub attachment_bytes_max: u64,
    /// Largest recording of a call, in bytes.
    #[arg(long, env = "VEZ_RECORDING_BYTES_MAX", value_name = "BYTES", default_value_t = Self::RECORDING_BYTES_MAX)]
    pub recording_bytes_max: u64,
    /// Types of content that may be attached, separated by commas; a file's type is what its first bytes say.
    #[arg(long, env = "VEZ_ATTACHMENT_TYPES", value_name = "TYPE", value_delimiter = ',',
          default_value = Self::ATTACHMENT_TYPES)]
    pub attachment_types: Vec<String>,
    /// Types of content a recording may have, separated by commas.
    #[arg(long, env = "VEZ_RECORDING_TYPES", value_name = "TYPE", value_delimiter = ',',
          default_value = Self::RECORDING_TYPES)]
    pub recording_types: Vec<String>,
}

impl Files {
    /// What stores that have no regions expect.
    pub const REGION: &'static str = "us-east-1";
    /// 25 MiB: what mail usually carries.
    pub const ATTACHMENT_BYTES_MAX: u64 = 25 * 1024 * 1024;
    /// 2 GiB: some hours of video at the rate of a call.
    pub const RECORDING_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
    /// Pictures, documents, sound and video. Nothing that a browser or a double click would run: no pages, no scripts, no
    /// programs. `x-ole-storage` are the documents of Office before 2007.
    pub const ATTACHMENT_TYPES: &'static str = "image/png,image/jpeg,image/gif,image/webp,image/heif,image/avif,\
        image/bmp,image/tiff,application/pdf,text/plain,application/zip,application/x-ole-storage,\
        application/vnd.openxmlformats-officedocument.wordprocessingml.document,\
        application/vnd.openxmlformats-officedocument.spreadsheetml.sheet,\
        application/vnd.openxmlformats-officedocument.presentationml.presentation,\
        application/vnd.oasis.opendocument.text,application/vnd.oasis.opendocument.spreadsheet,\
        application/vnd.oasis.opendocument.presentation,audio/mpeg,audio/ogg,audio/opus,audio/m4a,audio/x-wav,\
        video/webm,video/mp4,video/quicktime";
    /// Containers that media servers and browsers record to.
    pub const RECORDING_TYPES: &'static str =
        "video/webm,video/mp4,video/x-matroska,audio/ogg,audio/opus,audio/m4a,audio/mpeg,audio/x-wav";
}

impl Default for Files {
    fn default() -> Self {
        let types = |list: &str| list.split(',').map(str::to_owned).collect();
        Self {
            url: None,
            endpoint: None,
            region: Self::REGION.to_owned(),
            access_key_id: None,
            secret_access_key: None,
            attachment_bytes_max: Self::ATTACHMENT_BYTES_MAX,
            recording_bytes_max: Self::RECORDING_BYTES_MAX,
            attachment_types: types(Self::ATTACHMENT_TYPES),
            recording_types: types(Self::RECORDING_TYPES),
        }
    }
}
