//! Owns the telling of a story: a text table of what happens when, and what is seen of it. What the words mean is the
//! stage's; here they are only read, and what was seen is held against what was written.
//!
//! ```text
//! 0    Ana joins            -> place 1 of 1
//! 1    Bea granted g1       -> g1 offers Ana to Bea
//! 30   time passes          -> @21 g1 timed out
//! ```
//!
//! Times are seconds since the start. What falls due before a line is seen in that line, with its time.

use crate::domain::clock::Timestamp;

/// Where a story takes place.
pub(crate) trait Stage {
    /// Lets time pass up to `at` seconds; what falls due on the way is seen.
    fn pass(&mut self, at: f64) -> Vec<String>;
    /// Does what a line says; what comes of it is seen.
    fn act(&mut self, words: &[&str]) -> Vec<String>;
}

/// Tells `story` on `stage`; panics at the first line where something else is seen.
pub(crate) fn tell(stage: &mut dyn Stage, story: &str) {
    let mut told = Vec::new();
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (act, expected) = line.split_once("->").unwrap_or((line, ""));
        let mut words = act.split_whitespace();
        let at: f64 = words.next().and_then(|time| time.parse().ok()).unwrap_or_else(|| panic!("no time: {line}"));
        let words: Vec<&str> = words.collect();
        let expected: Vec<&str> = expected.split(';').map(str::trim).filter(|text| !text.is_empty()).collect();
        let mut seen = stage.pass(at);
        if words != ["time", "passes"] {
            seen.extend(stage.act(&words));
        }
        let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
        assert!(
            seen == expected,
            "\n{}\n{line}\n   expected: {}\n   seen:     {}\n",
            told.join("\n"),
            expected.join("; "),
            seen.join("; "),
        );
        told.push(line);
    }
}

/// The start of every story.
pub(crate) const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// A time of the story.
pub(crate) fn at(seconds: f64) -> Timestamp {
    Timestamp::from_micros(START.micros() + (seconds * 1e6) as i64)
}

/// Seconds since the start, as they are written.
pub(crate) fn seconds(at: Timestamp) -> String {
    let seconds = (at.micros() - START.micros()) as f64 / 1e6;
    format!("{seconds}")
}

/// The same id for the same name: everybody in a story has one name.
pub(crate) fn id<T: From<uuid::Uuid>>(name: &str) -> T {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in name.bytes() {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    T::from(uuid::Uuid::from_u128(hash))
}

/// What follows a word, as in `needs english`.
pub(crate) fn after<'a>(words: &[&'a str], word: &str) -> Option<&'a str> {
    let index = words.iter().position(|known| *known == word)?;
    words.get(index + 1).copied()
}

/// A list of skills, as in `english,libras`.
pub(crate) fn skills(text: Option<&str>) -> crate::domain::call::Requirements {
    let mut skills: Vec<std::sync::Arc<str>> =
        text.unwrap_or("").split(',').filter(|skill| !skill.is_empty()).map(std::sync::Arc::from).collect();
    skills.sort();
    skills.into()
}
