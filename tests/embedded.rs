//! The private Postgres, for real: first start, restart, death of either side, a second owner, awkward folders.
//!
//! Owns: the promises of `store::embedded`. Must not: use anything else of the server. Each test has its own cluster
//! in a temporary folder; they work as root (Postgres then runs as another user) and as anybody else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "tests measure real time")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Executor};
use tempfile::TempDir;
use vez::store::embedded::{Embedded, EmbeddedError};

/// Any step of these tests; a hang must fail instead of blocking.
const STEP: Duration = Duration::from_secs(40);

/// A temporary folder below which everybody may pass, so that clusters stay inside it and vanish with it.
fn open_folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
    folder
}

async fn start(folder: &Path) -> Embedded {
    tokio::time::timeout(STEP, Embedded::start_within(folder, 1)).await.expect("start hangs").expect("start fails")
}

async fn connect(options: PgConnectOptions) -> PgConnection {
    tokio::time::timeout(STEP, options.connect()).await.expect("connect hangs").expect("connect fails")
}

async fn remember(server: &Embedded, number: i32) {
    let mut connection = connect(server.connect_options()).await;
    connection.execute("CREATE TABLE IF NOT EXISTS kept (number int)").await.unwrap();
    sqlx::query("INSERT INTO kept VALUES ($1)").bind(number).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn remembered(server: &Embedded) -> Vec<i32> {
    let mut connection = connect(server.connect_options()).await;
    sqlx::query_scalar("SELECT number FROM kept ORDER BY number").fetch_all(&mut connection).await.unwrap()
}

async fn setting(connection: &mut PgConnection, name: &str) -> String {
    sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(connection).await.unwrap()
}

fn signal(pid: u32, which: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), which).unwrap();
}

fn lives(pid: u32) -> bool {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), None).is_ok()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_new_folder_becomes_a_private_durable_server_and_stops_cleanly() {
    let parent = open_folder();
    let folder = parent.path().join("data");
    let began = Instant::now();
    let server = start(&folder).await;
    println!("first start: {:?}", began.elapsed());

    let mut connection = connect(server.connect_options()).await;
    for (name, value) in [
        ("listen_addresses", ""),
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("server_encoding", "UTF8"),
        ("unix_socket_permissions", "0700"),
        ("TimeZone", "UTC"),
    ] {
        assert_eq!(setting(&mut connection, name).await, value, "{name}");
    }
    let cluster = fs::canonicalize(folder.join("postgres")).unwrap();
    assert_eq!(mode(&cluster), 0o700);
    assert_eq!(mode(server.socket_folder()), 0o700);
    assert_eq!(mode(&folder.join("postgres.log")), 0o600);
    if Uid::effective().is_root() {
        assert_ne!(fs::metadata(&cluster).unwrap().uid(), 0, "Postgres refuses to run as root");
    }
    let mut by_url = connect(server.database_url().parse().unwrap()).await;
    assert_eq!(sqlx::query_scalar::<_, i32>("SELECT 7").fetch_one(&mut by_url).await.unwrap(), 7);

    // Open connections do not keep it.
    let pid = server.pid().unwrap();
    let began = Instant::now();
    server.stop().await;
    println!("stop: {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(8));
    assert!(!lives(pid));
    assert!(!cluster.join("postmaster.pid").exists(), "a clean stop leaves no pid file");
    assert!(connection.execute("SELECT 1").await.is_err());
    server.stop().await;
}

#[tokio::test]
async fn stopped_and_started_again_it_holds_what_it_held() {
    let parent = TempDir::new().unwrap();
    let server = start(parent.path()).await;
    remember(&server, 1).await;
    let address = server.database_url();
    server.stop().await;
    let began = Instant::now();
    let server = start(parent.path()).await;
    println!("later start: {:?}", began.elapsed());
    assert_eq!(remembered(&server).await, [1]);
    assert_eq!(server.database_url(), address, "clients of an outage test connect to the same place");
    server.stop().await;
}

#[tokio::test]
async fn a_second_owner_is_told_who_is_there() {
    let parent = TempDir::new().unwrap();
    let server = start(parent.path()).await;
    let began = Instant::now();
    let error = Embedded::start_within(parent.path(), 1).await.expect_err("two owners");
    assert!(began.elapsed() >= Duration::from_secs(1), "it waits for a deploy in progress");
    let EmbeddedError::InUse { holder, .. } = &error else { panic!("{error}") };
    assert_eq!(*holder, Some(std::process::id()));

    // One that leaves in time is followed.
    let (second, ()) = tokio::join!(Embedded::start_within(parent.path(), 20), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.stop().await;
    });
    second.unwrap().stop().await;
}

#[tokio::test]
async fn a_server_that_dies_is_started_again() {
    let parent = TempDir::new().unwrap();
    let server = start(parent.path()).await;
    remember(&server, 1).await;
    // A session that is busy when its server dies: its process must not keep the next server away.
    let mut busy = connect(server.connect_options()).await;
    let asleep = tokio::spawn(async move { busy.execute("SELECT pg_sleep(3)").await.map(|_| ()) });
    tokio::time::sleep(Duration::from_millis(100)).await;

    for round in 0..2 {
        let killed = server.pid().unwrap();
        signal(killed, Signal::SIGKILL);
        let began = Instant::now();
        while server.pid().is_none_or(|pid| pid == killed) {
            assert!(began.elapsed() < STEP, "not started again");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        println!("back after {:?} in round {round}", began.elapsed());
        assert_eq!(remembered(&server).await, [1]);
    }
    drop(asleep.await);
    server.stop().await;
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_server_that_cannot_start() {
    let parent = TempDir::new().unwrap();
    let server = start(parent.path()).await;
    let cluster = fs::canonicalize(parent.path().join("postgres")).unwrap();
    // Without this file every start fails, as with a broken disk.
    fs::rename(cluster.join("global/pg_control"), cluster.join("global/hidden")).unwrap();
    signal(server.pid().unwrap(), Signal::SIGKILL);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(server.pid(), None);
    let began = Instant::now();
    server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(8));
}

/// Not a test: what `the_server_outlives_a_killed_owner` runs in another process and kills.
#[tokio::test]
#[ignore = "run by another test"]
async fn owner_to_be_killed() {
    let Some(folder) = std::env::var_os("VEZ_TEST_FOLDER") else { return };
    let server = start(Path::new(&folder)).await;
    remember(&server, 5).await;
    println!("\npid={}", server.pid().unwrap());
    tokio::time::sleep(STEP).await;
}

#[tokio::test]
async fn the_server_outlives_a_killed_owner_and_the_next_owner_takes_over() {
    let parent = TempDir::new().unwrap();
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "owner_to_be_killed", "--ignored", "--nocapture"])
        .env("VEZ_TEST_FOLDER", parent.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let left_over: u32 = BufReader::new(owner.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("pid=").map(|pid| pid.parse().unwrap()))
        .expect("the owner tells its server's pid");
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(lives(left_over), "Postgres must survive kill -9 of Vez");

    let began = Instant::now();
    let server = start(parent.path()).await;
    println!("taken over after {:?}", began.elapsed());
    assert_ne!(server.pid().unwrap(), left_over, "it is our own child, so that its death is seen");
    assert_eq!(remembered(&server).await, [5]);
    server.stop().await;
}

#[tokio::test]
async fn a_pid_file_whose_number_was_given_to_another_process_is_no_obstacle() {
    let parent = TempDir::new().unwrap();
    let server = start(parent.path()).await;
    server.stop().await;
    let cluster = fs::canonicalize(parent.path().join("postgres")).unwrap();
    // Our own number: a live process that is no Postgres, as after a container's restart.
    let text = format!("{}\n{}\n1\n5432\n/nowhere\n\n 1 1\n", std::process::id(), cluster.display());
    fs::write(cluster.join("postmaster.pid"), text).unwrap();
    let owner = fs::metadata(&cluster).unwrap();
    std::os::unix::fs::chown(cluster.join("postmaster.pid"), Some(owner.uid()), Some(owner.gid())).unwrap();
    start(parent.path()).await.stop().await;
}

#[tokio::test]
async fn an_interrupted_first_start_is_begun_again() {
    let parent = TempDir::new().unwrap();
    fs::create_dir(parent.path().join("postgres.new")).unwrap();
    fs::write(parent.path().join("postgres.new/half"), "a cluster").unwrap();
    start(parent.path()).await.stop().await;
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_gets_a_short_private_folder() {
    let parent = open_folder();
    let folder = parent.path().join("a-rather-long-name-of-a-folder".repeat(4));
    let server = start(&folder).await;
    assert!(server.socket_folder().as_os_str().len() < 100);
    assert_eq!(mode(server.socket_folder()), 0o700);
    remember(&server, 3).await;
    assert_eq!(remembered(&server).await, [3]);
    let socket = server.socket_folder().to_owned();
    server.stop().await;
    fs::remove_dir_all(socket).unwrap();
}

#[tokio::test]
async fn names_with_blanks_commas_and_quotes_work() {
    let parent = open_folder();
    let server = start(&parent.path().join("my \"data\", 100% mine")).await;
    let mut by_url = connect(server.database_url().parse().unwrap()).await;
    assert_eq!(sqlx::query_scalar::<_, i32>("SELECT 7").fetch_one(&mut by_url).await.unwrap(), 7);
    server.stop().await;
}

#[tokio::test]
async fn below_a_closed_folder_of_root_the_cluster_is_linked_from_the_data_folder() {
    if !Uid::effective().is_root() {
        return;
    }
    let parent = open_folder();
    let closed = parent.path().join("closed");
    fs::DirBuilder::new().mode(0o700).create(&closed).unwrap();
    let folder = closed.join("data");
    let server = start(&folder).await;
    remember(&server, 1).await;
    server.stop().await;
    let cluster: PathBuf = fs::read_link(folder.join("postgres")).expect("a link to the cluster");
    assert_eq!(mode(&cluster), 0o700);
    assert_eq!(mode(&closed), 0o700, "a folder that is not ours keeps its permissions");

    let server = start(&folder).await;
    assert_eq!(remembered(&server).await, [1]);
    server.stop().await;
    fs::remove_dir_all(cluster.parent().unwrap()).unwrap();
}
