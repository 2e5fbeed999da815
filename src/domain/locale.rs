//! Owns the languages people are written to in. It holds no texts; those are `mail`'s and each page's own.

use super::words::words;

words! {
    /// The languages of Voki's product: a user's `locale`.
    Locale {
        PtBr = "pt-BR",
        En = "en",
        Es = "es",
        Fr = "fr",
    }
}

impl Locale {
    /// The language closest to a tag such as `en-US` or `pt`; Voki's default where none is.
    pub fn closest(tag: &str) -> Self {
        let language = tag.trim().split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        match language.as_str() {
            "en" => Locale::En,
            "es" => Locale::Es,
            "fr" => Locale::Fr,
            _ => Locale::PtBr,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_does_not_matter_and_an_unknown_language_is_the_default() {
        for (tag, locale) in [
            ("pt-BR", Locale::PtBr),
            ("pt", Locale::PtBr),
            ("en-US", Locale::En),
            ("EN_gb", Locale::En),
            ("es-419", Locale::Es),
            ("fr", Locale::Fr),
            ("de-DE", Locale::PtBr),
            ("", Locale::PtBr),
        ] {
            assert_eq!(Locale::closest(tag), locale, "{tag}");
        }
        assert!(Locale::ALL.iter().all(|locale| Locale::parse(locale.as_str()) == Some(*locale)));
    }
}
