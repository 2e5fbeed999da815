//! Owns the names of files: what is left of a sender's name once nothing in it can mislead or harm, and how a name is
//! written into a header. A name is shown to people and never part of a path of ours.

use super::sniff;

/// Most characters of a name, the extension among them: more says no more to anybody.
const CHARS_MAX: usize = 200;
/// The name of a file that came without one.
const NAMELESS: &str = "file";

/// The name under which a file of this type is kept. Folders, control and direction characters are taken out; a name whose
/// extension does not fit the content gets one that does, so that a double click opens what was checked.
pub fn sanitise(name: &str, content_type: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last.chars().filter(|letter| !misleads(*letter)).map(harmless).collect();
    let plain = plain.trim_matches(|letter: char| letter.is_whitespace() || letter == '.');
    let extensions = sniff::extensions(content_type);
    let (stem, extension) = match plain.rsplit_once('.') {
        Some((stem, extension))
            if !stem.is_empty() && extensions.iter().any(|known| extension.eq_ignore_ascii_case(known)) =>
        {
            (stem, Some(extension))
        }
        _ => (plain, extensions.first().copied()),
    };
    let stem = if stem.is_empty() { NAMELESS } else { stem };
    let room = CHARS_MAX - extension.map_or(0, |extension| extension.len() + 1);
    let stem: String = stem.chars().take(room).collect();
    match extension {
        Some(extension) => format!("{}.{extension}", stem.trim_end()),
        None => stem,
    }
}

/// Characters that cannot be seen, or change how those after them are read.
fn misleads(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFD}' | '\u{E0000}'..='\u{E007F}')
}

/// Characters that Windows does not take in a name become a line.
fn harmless(letter: char) -> char {
    if matches!(letter, '"' | '<' | '>' | ':' | '|' | '?' | '*') { '_' } else { letter }
}

/// `Content-Disposition` that has a browser save the file (RFC 6266): the name in full, and a plain one for old clients.
pub fn disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|letter| if letter.is_ascii_graphic() && !matches!(letter, '"' | '\\' | '%') { letter } else { '_' })
        .collect();
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        // RFC 8187's attr-char.
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_harms_or_misleads() {
        let table = [
            ("nota fiscal.pdf", "application/pdf", "nota fiscal.pdf"),
            ("Relatório №5.PDF", "application/pdf", "Relatório №5.PDF"),
            ("../../etc/passwd", "text/plain", "passwd.txt"),
            ("C:\\Users\\ana\\foto.jpg", "image/jpeg", "foto.jpg"),
            ("invoice.exe", "application/pdf", "invoice.exe.pdf"),
            ("script.js", "text/plain", "script.js.txt"),
            ("abc\u{202E}fdp.exe", "application/pdf", "abcfdp.exe.pdf"),
            ("a\r\nSet-Cookie: x.txt", "text/plain", "aSet-Cookie_ x.txt"),
            ("\u{0}\u{7}\u{200B}", "image/png", "file.png"),
            ("...", "image/png", "file.png"),
            (".png", "image/png", "png.png"),
            ("", "application/x-unheard-of", "file"),
            ("\"><script>.txt", "text/plain", "___script_.txt"),
        ];
        for (name, content_type, expected) in table {
            assert_eq!(sanitise(name, content_type), expected, "{name:?}");
        }
        let long = sanitise(&format!("{}.pdf", "\u{1F600}".repeat(400)), "application/pdf");
        assert_eq!(long.chars().count(), CHARS_MAX);
        assert!(long.ends_with(".pdf"));
    }

    #[test]
    fn a_disposition_is_ascii_and_always_saves() {
        assert_eq!(
            disposition("água \"1\".pdf"),
            "attachment; filename=\"_gua__1_.pdf\"; filename*=UTF-8''%C3%A1gua%20%221%22.pdf"
        );
    }
}
