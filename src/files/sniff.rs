//! Owns what a file is: its type by its first bytes, whether that is what was declared, and whether it is one of those
//! allowed. Names and declared types are never believed, only compared.

/// Bytes that are looked at. The kinds told apart here show within the first few thousand; documents of Office are the
/// latest.
pub const HEAD_BYTES: usize = 8 * 1024;

/// What nothing more is known of.
pub const UNKNOWN: &str = "application/octet-stream";
/// Documents of Office before 2007, and whatever else lives in that container.
const OLE: &str = "application/x-ole-storage";
const OLE_MAGIC: [u8; 8] = [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1];
const TEXT: &str = "text/plain";
const MARKUP: &str = "text/html";
const ZIP: &str = "application/zip";

/// Types and the extensions a name may have for each; the first is added to names that have none of them.
const EXTENSIONS: [(&str, &[&str]); 27] = [
    ("image/png", &["png"]),
    ("image/jpeg", &["jpg", "jpeg", "jfif"]),
    ("image/gif", &["gif"]),
    ("image/webp", &["webp"]),
    ("image/heif", &["heic", "heif"]),
    ("image/avif", &["avif"]),
    ("image/bmp", &["bmp"]),
    ("image/tiff", &["tiff", "tif"]),
    ("application/pdf", &["pdf"]),
    // Texts that no program runs when they are opened.
    (TEXT, &["txt", "csv", "tsv", "log", "md", "json", "srt", "vtt"]),
    // A document whose entries stand in an unusual order is known as an archive only.
    (ZIP, &["zip", "docx", "xlsx", "pptx", "odt", "ods", "odp"]),
    (OLE, &["doc", "xls", "ppt"]),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", &["docx"]),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", &["xlsx"]),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", &["pptx"]),
    ("application/vnd.oasis.opendocument.text", &["odt"]),
    ("application/vnd.oasis.opendocument.spreadsheet", &["ods"]),
    ("application/vnd.oasis.opendocument.presentation", &["odp"]),
    ("audio/mpeg", &["mp3"]),
    ("audio/ogg", &["ogg", "oga", "ogv"]),
    ("audio/opus", &["opus", "ogg"]),
    ("audio/m4a", &["m4a"]),
    ("audio/x-wav", &["wav"]),
    ("video/webm", &["webm"]),
    ("video/mp4", &["mp4", "m4v"]),
    ("video/quicktime", &["mov"]),
    ("video/x-matroska", &["mkv"]),
];

/// Which files one kind of upload takes.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The largest, in bytes.
    pub bytes_max: u64,
    /// Types of content, as [`sniff`] names them.
    pub types: Vec<String>,
}

/// Why a file is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It holds nothing.
    Empty,
    /// Its type is none of those allowed.
    Type(&'static str),
    /// It is something else than its sender said.
    Declared { found: &'static str },
}

impl Policy {
    /// The type of a file that begins with `head`, if files like it are taken.
    pub fn admit(&self, head: &[u8], declared: Option<&str>) -> Result<&'static str, Unfit> {
        if head.is_empty() {
            return Err(Unfit::Empty);
        }
        let found = sniff(head);
        if !self.types.iter().any(|allowed| allowed.trim().eq_ignore_ascii_case(found)) {
            return Err(Unfit::Type(found));
        }
        match declared {
            Some(declared) if !agrees(declared, found) => Err(Unfit::Declared { found }),
            _ => Ok(found),
        }
    }
}

/// The type of a file that begins with `head`.
pub fn sniff(head: &[u8]) -> &'static str {
    if head.starts_with(&OLE_MAGIC) {
        // Told by its magic alone: looking further would read a whole file system out of the first few kilobytes.
        return OLE;
    }
    if let Some(kind) = infer::get(head) {
        return kind.mime_type();
    }
    if is_text(head) { text_type(head) } else { UNKNOWN }
}

/// The extensions that a name of this type may have; empty for types that are not ours.
pub fn extensions(content_type: &str) -> &'static [&'static str] {
    EXTENSIONS.iter().find(|(known, _)| *known == content_type).map_or(&[], |(_, extensions)| *extensions)
}

/// Whether nothing in it is a control character, so that it can be read in whatever encoding it is.
fn is_text(head: &[u8]) -> bool {
    !head.iter().any(|byte| matches!(byte, 0..=8 | 11 | 14..=31 | 127))
}

/// Text that begins as a page, a picture in XML or a script is called so, whatever it is called by its sender.
fn text_type(head: &[u8]) -> &'static str {
    let begins = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
    if begins.starts_with(b"<") {
        MARKUP
    } else if begins.starts_with(b"#!") {
        "text/x-shellscript"
    } else {
        TEXT
    }
}

/// Types that senders mix up among themselves: systems name the same file differently, but not across these.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Image,
    Media,
    Text,
    Pdf,
    /// Archives and documents, most of which are archives.
    Archive,
    Other,
}

fn family(content_type: &str) -> Family {
    let (group, rest) = content_type.split_once('/').unwrap_or((content_type, ""));
    let document = ["officedocument", "opendocument", "msword", "ms-excel", "ms-powerpoint", "ole-storage", "zip"];
    match group {
        // Pictures that are programs are not pictures here.
        "image" if rest.contains("svg") => Family::Other,
        "image" => Family::Image,
        "audio" | "video" => Family::Media,
        "text" if ["html", "javascript", "ecmascript", "xml"].iter().any(|word| rest.contains(word)) => Family::Other,
        "text" => Family::Text,
        "application" if rest == "pdf" || rest == "x-pdf" => Family::Pdf,
        "application" if rest == "ogg" || rest == "mp4" => Family::Media,
        "application" if rest == "json" || rest == "csv" => Family::Text,
        "application" if document.iter().any(|word| rest.contains(word)) => Family::Archive,
        _ => Family::Other,
    }
}

/// Whether a sender who says `declared` can mean `found`.
fn agrees(declared: &str, found: &str) -> bool {
    let declared = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if declared.is_empty() || declared.ends_with("/octet-stream") || declared == found {
        return true;
    }
    // Windows calls every CSV an Excel sheet.
    if declared == "application/vnd.ms-excel" && found == TEXT {
        return true;
    }
    let family = family(&declared);
    family != Family::Other && family == self::family(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Files;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    fn attachments() -> Policy {
        let files = Files::default();
        Policy { bytes_max: files.attachment_bytes_max, types: files.attachment_types }
    }

    #[test]
    fn content_says_what_it_is() {
        let mut webm = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08".to_vec();
        webm.extend_from_slice(b"\x42\x82\x84webm");
        webm.resize(300, 0);
        let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
        elf.resize(64, 0);
        let table: [(&[u8], &str); 14] = [
            (PNG, "image/png"),
            (b"%PDF-1.7\n", "application/pdf"),
            (b"\xff\xd8\xff\xe0", "image/jpeg"),
            (&webm, "video/webm"),
            (b"OggS\0\x02", "audio/ogg"),
            (b"PK\x03\x04rest of an archive", "application/zip"),
            (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1\0\0", OLE),
            (b"nome;valor\r\n\xe1gua;3\r\n", TEXT),
            (b"  <svg xmlns='http://www.w3.org/2000/svg'>", MARKUP),
            (b"\xEF\xBB\xBF<!-- x --><script>", MARKUP),
            (b"#!/usr/bin/env node\n", "text/x-shellscript"),
            (b"MZ\x90\0\x03", "application/vnd.microsoft.portable-executable"),
            (&elf, "application/x-executable"),
            (b"a\0b", UNKNOWN),
        ];
        for (head, expected) in table {
            assert_eq!(sniff(head), expected, "{head:?}");
        }
    }

    #[test]
    fn only_allowed_types_that_are_what_was_said_are_taken() {
        let policy = attachments();
        assert_eq!(policy.admit(PNG, Some("image/png")), Ok("image/png"));
        assert_eq!(policy.admit(PNG, Some("image/jpg")), Ok("image/png"));
        assert_eq!(policy.admit(PNG, None), Ok("image/png"));
        assert_eq!(policy.admit(PNG, Some("application/octet-stream")), Ok("image/png"));
        assert_eq!(policy.admit(PNG, Some("text/html")), Err(Unfit::Declared { found: "image/png" }));
        assert_eq!(policy.admit(PNG, Some("image/svg+xml")), Err(Unfit::Declared { found: "image/png" }));
        assert_eq!(policy.admit(b"a,b\n1,2\n", Some("text/csv; charset=utf-8")), Ok(TEXT));
        assert_eq!(policy.admit(b"a,b\n1,2\n", Some("application/vnd.ms-excel")), Ok(TEXT));
        assert_eq!(policy.admit(b"alert(1)", Some("text/javascript")), Err(Unfit::Declared { found: TEXT }));
        assert_eq!(policy.admit(b"<html>", Some("text/plain")), Err(Unfit::Type(MARKUP)));
        assert_eq!(policy.admit(b"", None), Err(Unfit::Empty));
    }

    #[test]
    fn every_type_that_is_allowed_has_its_extensions() {
        let files = Files::default();
        for allowed in files.attachment_types.iter().chain(&files.recording_types) {
            assert!(!extensions(allowed).is_empty(), "{allowed}");
        }
    }
}
