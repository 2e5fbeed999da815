//! The main job through the official npm `phoenix` client under Node: see `tests/phoenix/main_job.mjs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod demo_server;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use demo_server::DemoServer;

/// Longest time for the three rounds; each of their steps has its own limit of a few seconds.
const ROUNDS: Duration = Duration::from_secs(120);
const AGENTS: usize = 3;

#[tokio::test]
async fn the_official_client_lives_the_main_job() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/phoenix");
    assert!(
        folder.join("node_modules/phoenix").is_dir(),
        "the official client is not there: `dev/setup` installs it, or run `npm ci` in tests/phoenix"
    );
    let mut server = DemoServer::start(AGENTS).await;
    let job = tokio::process::Command::new("node")
        .arg(folder.join("main_job.mjs"))
        .arg(server.demo_json())
        .arg(server.base_url())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(ROUNDS, job).await.expect("the main job takes too long").expect("node runs");
    let steps = String::from_utf8_lossy(&output.stdout);
    let trouble = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{steps}{trouble}");
    assert!(steps.trim_end().ends_with("done"), "{steps}{trouble}");
    let (status, _) = server.stop().await;
    assert_eq!(status.code(), Some(0), "{}", server.log());
}
