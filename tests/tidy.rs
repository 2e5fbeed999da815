//! The rules of the house that the compiler does not know: the order of the layers, what each may touch, how files open.
//!
//! Owns: those rules, and the few exceptions with their reasons. Must not: need a database or the network.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules in their order: each imports only modules to its left. Modules of one group may not import each other.
const LAYERS: [&[&str]; 18] = [
    &["domain"],
    &["config"],
    &["telemetry"],
    &["shutdown"],
    &["queue"],
    &["roster"],
    &["live"],
    &["auth"],
    &["mail"],
    &["store"],
    &["files"],
    &["reports"],
    &["actors"],
    &["ws"],
    &["http"],
    &["app"],
    &["cli"],
    &["main", "lib"],
];

/// Modules that import nothing of this crate at all.
const IMPORT_NOTHING: [&str; 2] = ["domain", "config"];

/// The pure core: same input, same output, on any machine, at any time.
const PURE: [&str; 2] = ["queue", "roster"];
/// What would make it impure.
const IMPURE: [&str; 13] = [
    "tokio",
    "async fn",
    "sqlx",
    "ractor",
    "axum",
    "tracing::",
    "metrics::",
    "rand::",
    "chrono::Utc",
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
];

/// The only places that may ask what time it is, or make an identifier.
const CLOCK_AND_IDS: [&str; 2] = ["src/domain/clock.rs", "src/domain/ids.rs"];
const TIME_AND_CHANCE: [&str; 6] =
    ["Utc::now", "Local::now", "SystemTime::now", "Instant::now", "Uuid::new_v4", "Uuid::now_v7"];

/// The modules that speak SQL.
const SQL: [&str; 2] = ["store", "reports"];
/// Other files that may name the SQL library, and why.
const SQL_EXCEPTIONS: [(&str, &str); 0] = [];

/// The longest file that one reading takes in.
const LINES_MAX: usize = 450;
/// Longer files, and why they are one subject.
const LONG_FILES: [(&str, &str); 0] = [];

/// Names that say nothing and so attract everything.
const NAMELESS: [&str; 6] = ["util", "utils", "common", "helper", "helpers", "misc"];

/// One source file; `code` holds its lines without comments and without its unit tests.
struct Source {
    path: String,
    text: String,
    code: Vec<(usize, String)>,
}

impl Source {
    /// The layer it belongs to: `queue` for `src/queue/line.rs`, `shutdown` for `src/shutdown.rs`.
    fn module(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inside.split('/').next().unwrap().trim_end_matches(".rs")
    }

    /// How many names its module path has below the crate: 1 for `queue/mod.rs`, 2 for `queue/line.rs`.
    fn depth(&self) -> usize {
        let inside = self.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
        if matches!(inside, "lib" | "main") { 0 } else { inside.split('/').count() }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path.file_name().is_none_or(|name| name != "node_modules") {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
                found.push(Source { code: code(&text), path, text });
            }
        }
    }
    assert!(!found.is_empty(), "no sources below {folders:?}");
    found.sort_by(|left, right| left.path.cmp(&right.path));
    found
}

fn code(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        // Unit tests end a file; what they use is their own affair.
        if line.trim_start().starts_with("#[cfg(test)]") && text.lines().nth(index + 1).is_some_and(opens_tests) {
            break;
        }
        let without_comment = line.split(" // ").next().unwrap_or_default();
        if !line.trim_start().starts_with("//") {
            lines.push((index + 1, without_comment.to_owned()));
        }
    }
    lines
}

fn opens_tests(line: &str) -> bool {
    line.trim_start().trim_start_matches("pub(crate) ").starts_with("mod ")
}

/// The modules of this crate that a file names, each with its line.
fn imports(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let own_name = if source.path == "src/main.rs" { "vez::" } else { "crate::" };
    let up = "super::".repeat(source.depth().max(1));
    for (index, (number, line)) in source.code.iter().enumerate() {
        for (start, _) in line.match_indices(own_name).chain(line.match_indices(&up)) {
            let before = line[..start].chars().next_back();
            if before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == ':') {
                continue;
            }
            let length = if line[start..].starts_with(own_name) { own_name.len() } else { up.len() };
            let rest = &line[start + length..];
            let Some(list) = rest.strip_prefix('{') else {
                found.push((*number, first_name(rest)));
                continue;
            };
            // A list may go on over the next lines.
            let mut list = list.to_owned();
            for (_, next) in source.code.iter().skip(index + 1) {
                if list.contains(';') {
                    break;
                }
                list.push_str(next);
            }
            found.extend(top_names(&list).into_iter().map(|name| (*number, name)));
        }
    }
    found
}

fn first_name(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

/// The names at the top level of `a::b, c::{d, e}, f};`.
fn top_names(list: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut depth, mut start) = (0_u32, true);
    for (index, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            letter if start && !letter.is_whitespace() => {
                names.push(first_name(&list[index..]));
                start = false;
            }
            _ => {}
        }
    }
    names
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|group| group.contains(&module))
}

fn report(faults: &str) {
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn every_layer_imports_only_those_above_it() {
    let mut faults = String::new();
    for source in sources(&["src"]) {
        let module = source.module();
        let Some(own) = layer_of(module) else {
            writeln!(faults, "{}: `{module}` has no place in the order of the layers", source.path).unwrap();
            continue;
        };
        for (line, name) in imports(&source) {
            let Some(other) = layer_of(&name).filter(|_| name != module) else { continue };
            if other >= own || IMPORT_NOTHING.contains(&module) {
                writeln!(faults, "{}:{line}: `{module}` may not import `{name}`", source.path).unwrap();
            }
        }
    }
    report(&faults);
}

#[test]
fn the_core_is_pure() {
    let mut faults = String::new();
    for source in sources(&["src"]).iter().filter(|source| PURE.contains(&source.module())) {
        for (line, text) in &source.code {
            for word in IMPURE.iter().filter(|word| text.contains(**word)) {
                writeln!(faults, "{}:{line}: `{word}` in the pure core", source.path).unwrap();
            }
        }
    }
    report(&faults);
}

#[test]
fn time_and_ids_come_from_one_place() {
    let mut faults = String::new();
    for source in sources(&["src"]).iter().filter(|source| !CLOCK_AND_IDS.contains(&source.path.as_str())) {
        for (line, text) in &source.code {
            for word in TIME_AND_CHANCE.iter().filter(|word| text.contains(**word)) {
                writeln!(faults, "{}:{line}: `{word}` belongs in {CLOCK_AND_IDS:?}", source.path).unwrap();
            }
        }
    }
    report(&faults);
}

#[test]
fn sql_is_spoken_only_by_store_and_reports() {
    let mut faults = String::new();
    for source in sources(&["src"]) {
        let speaks = SQL.contains(&source.module()) || SQL_EXCEPTIONS.iter().any(|(path, _)| *path == source.path);
        for (line, text) in &source.code {
            if !speaks && text.contains("sqlx::") {
                writeln!(faults, "{}:{line}: `sqlx` outside {SQL:?}", source.path).unwrap();
            }
            let writes = ["INSERT INTO", "UPDATE ", "DELETE FROM"].iter().any(|word| text.contains(word));
            if source.module() == "reports" && writes {
                writeln!(faults, "{}:{line}: `reports` only reads", source.path).unwrap();
            }
        }
    }
    report(&faults);
}

/// Routes that are no part of the API, and so not in its description: what operators ask, and a page for people.
const UNDESCRIBED: [&str; 2] = ["src/http/routes/health.rs", "src/http/routes/reset_page.rs"];

#[test]
fn every_route_of_the_api_is_routed_by_its_description() {
    let mut faults = String::new();
    for source in sources(&["src/http/routes"]) {
        if UNDESCRIBED.contains(&source.path.as_str()) {
            continue;
        }
        for (line, text) in &source.code {
            // `routes!` takes a handler only with its `#[utoipa::path]`; anything else could leave it out.
            if [".route(", "axum::routing", ".nest("].iter().any(|word| text.contains(word)) {
                writeln!(faults, "{}:{line}: routed without a description; use `routes!`", source.path).unwrap();
            }
        }
    }
    report(&faults);
}

#[test]
fn every_file_says_what_it_owns_and_stays_readable() {
    let mut faults = String::new();
    for source in sources(&["src", "tests", "loadtests/src"]) {
        if !source.text.starts_with("//!") {
            writeln!(faults, "{}: opens without `//!`", source.path).unwrap();
        }
        let lines = source.text.lines().count();
        let excused = LONG_FILES.iter().any(|(path, _)| *path == source.path);
        if lines > LINES_MAX && !excused {
            writeln!(faults, "{}: {lines} lines; divide it, or list it here with a reason", source.path).unwrap();
        }
        if source.path.split(['/', '.']).any(|part| NAMELESS.contains(&part)) {
            writeln!(faults, "{}: a name that says nothing", source.path).unwrap();
        }
    }
    for (path, _) in SQL_EXCEPTIONS.iter().chain(&LONG_FILES) {
        if !root().join(path).is_file() {
            writeln!(faults, "{path}: an exception for a file that is gone").unwrap();
        }
    }
    report(&faults);
}

#[test]
fn the_load_tester_is_an_outside_client() {
    let mut faults = String::new();
    let manifest = fs::read_to_string(root().join("loadtests/Cargo.toml")).unwrap();
    for (index, line) in manifest.lines().enumerate() {
        let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
        if name == "vez" || line.contains("path = \"..\"") || line.contains("package = \"vez\"") {
            writeln!(faults, "loadtests/Cargo.toml:{}: depends on the server", index + 1).unwrap();
        }
    }
    for source in sources(&["loadtests/src"]) {
        for (line, text) in source.code.iter().filter(|(_, text)| text.contains("vez::")) {
            writeln!(faults, "{}:{line}: uses the server's code: {}", source.path, text.trim()).unwrap();
        }
    }
    report(&faults);
}

#[test]
fn the_rules_see_what_they_forbid() {
    let text = "use crate::{\n    auth::x,\n    store::{a, b}, ws};\nuse super::super::live::Hub; // crate::http\n\
        let a = crate::actors::b();\n// crate::cli\n#[cfg(test)]\nmod tests {\n    use crate::app;\n}\n";
    let source = Source { path: "src/queue/line.rs".to_owned(), text: text.to_owned(), code: code(text) };
    let names: Vec<String> = imports(&source).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["auth", "store", "ws", "live", "actors"]);
    assert_eq!(source.module(), "queue");
}
