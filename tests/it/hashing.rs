//! Passwords hashed by processes of the real program, as a server has them.

use std::path::Path;

use vez::auth::Passwords;
use vez::domain::ids::IdSource;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_vez");

/// The workers that this process has, by their ids.
fn workers() -> Vec<i32> {
    let of = |folder: std::fs::DirEntry| {
        let worker: i32 = folder.file_name().to_str()?.parse().ok()?;
        let status = std::fs::read_to_string(folder.path().join("stat")).ok()?;
        // The parent's id is the second word after the name, which stands in parentheses.
        let parent: u32 = status.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        let told = std::fs::read_to_string(folder.path().join("cmdline")).ok()?;
        (parent == std::process::id() && told.contains("hash-passwords")).then_some(worker)
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_hashes_like_anybody_and_another_takes_its_place() {
    let passwords = Passwords::new(IdSource::seeded(1), Some(Path::new(PROGRAM))).unwrap();
    let stored = passwords.hash("correct horse".to_owned()).await.unwrap();
    assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
    let first = workers();
    assert!(!first.is_empty(), "it was hashed elsewhere");
    for worker in &first {
        let pid = rustix::process::Pid::from_raw(*worker).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    assert!(passwords.verify("correct horse".to_owned(), Some(stored.clone())).await.unwrap());
    assert!(!passwords.verify("battery".to_owned(), Some(stored)).await.unwrap());
    assert!(workers().iter().all(|worker| !first.contains(worker)));
}

#[tokio::test]
async fn a_program_that_is_no_worker_leaves_the_work_to_the_server() {
    let passwords = Passwords::new(IdSource::seeded(1), Some(Path::new("/nowhere/vez"))).unwrap();
    let stored = passwords.hash("correct horse".to_owned()).await.unwrap();
    assert!(passwords.verify("correct horse".to_owned(), Some(stored)).await.unwrap());
}
