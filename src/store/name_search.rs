//! Owns how names are searched: by the letters people type, whatever capitals and accents were typed or stored.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use sqlx::{Postgres, QueryBuilder};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::{decompose_canonical, is_combining_mark};

/// Accents that stand behind their letter as characters of their own.
const LOOSE_ACCENTS: &str = "[\u{300}-\u{36f}]*";

/// Where Unicode has Latin letters with accents: Latin-1 to Latin Extended-B, and Latin Extended Additional.
const ACCENTED: [std::ops::RangeInclusive<char>; 2] = ['\u{c0}'..='\u{24f}', '\u{1e00}'..='\u{1eff}'];

/// Each plain small letter with all that are written for it, as a class of a regular expression.
static CLASSES: LazyLock<BTreeMap<char, String>> = LazyLock::new(|| {
    let mut letters: BTreeMap<char, String> =
        ('a'..='z').map(|small| (small, format!("{small}{}", small.to_ascii_uppercase()))).collect();
    for accented in ACCENTED.into_iter().flatten() {
        if let Some(class) = letters.get_mut(&without_accent(accented).to_ascii_lowercase()) {
            class.push(accented);
        }
    }
    letters.into_iter().map(|(small, class)| (small, format!("[{class}]"))).collect()
});

/// Whether a name holds what is searched. The name is of the list's own whitelist.
///
/// Postgres compares a name with this as fast as with `ILIKE`; folding each name first took it ten times as long.
pub(super) fn push_name_like(query: &mut QueryBuilder<Postgres>, name: &'static str, search: &str) {
    query.push(name).push(" ~ ").push_bind(pattern(search));
}

/// A Latin letter without its accents; others are left alone.
pub(super) fn without_accent(letter: char) -> char {
    let mut plain = None;
    decompose_canonical(letter, |part| plain = plain.or(Some(part)));
    plain.filter(char::is_ascii_alphabetic).unwrap_or(letter)
}

/// A regular expression for "contains `search`", in which nothing of `search` means more than itself.
fn pattern(search: &str) -> String {
    let mut pattern = String::with_capacity(search.len() * 16);
    for letter in search.nfc().filter(|letter| !is_combining_mark(*letter)) {
        if let Some(class) = CLASSES.get(&without_accent(letter).to_ascii_lowercase()) {
            pattern.push_str(class);
            pattern.push_str(LOOSE_ACCENTS);
        } else if letter.is_alphabetic() {
            pattern.push('[');
            pattern.extend(letter.to_lowercase().chain(letter.to_uppercase()));
            pattern.push(']');
        } else {
            if letter.is_ascii_punctuation() {
                pattern.push('\\');
            }
            pattern.push(letter);
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::{pattern, without_accent};

    #[test]
    fn letters_are_plain_without_their_accents() {
        for (written, plain) in [('á', 'a'), ('Ç', 'C'), ('ệ', 'e'), ('ž', 'z'), ('ß', 'ß'), ('é', 'e'), ('1', '1')]
        {
            assert_eq!(without_accent(written), plain);
        }
    }

    #[test]
    fn a_letter_is_found_with_any_accent() {
        let class = pattern("É");
        assert_eq!(class, pattern("e"));
        assert_eq!(class, pattern("e\u{301}"), "an accent may be a character of its own");
        assert!(["e", "E", "é", "Ê", "ě", "ế"].iter().all(|letter| class.contains(letter)), "{class}");
        assert!(!class.contains('ı'), "{class}");
    }

    #[test]
    fn what_is_no_letter_means_itself() {
        assert_eq!(pattern("1.*(["), "1\\.\\*\\(\\[");
        assert_eq!(pattern("Ж 山"), "[жЖ] [山山]");
    }
}
