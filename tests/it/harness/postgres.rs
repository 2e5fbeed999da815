//! Owns the Postgres of this program: the embedded one of `vez`, started on first use, and gone with the process however
//! that ends. Each test gets a database of its own, copied from one that was migrated once.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use vez::store::embedded::Embedded;
use vez::store::migrate;

/// The database that every test's own is a copy of.
const TEMPLATE: &str = "vez_template";

/// Ends the server and deletes its folder when our end of its input closes: at the end of this process, a panic or a
/// `kill -9` of it included. `$1` is the server's process id, `$2` the folder.
const UNDERTAKER: &str = r#"
cat >/dev/null
kill -INT "$1" 2>/dev/null
for _ in $(seq 100); do kill -0 "$1" 2>/dev/null || break; sleep 0.05; done
kill -QUIT "$1" 2>/dev/null
rm -rf "$2"
"#;

/// The running server. It is never dropped: it lives in a static.
struct Server {
    options: PgConnectOptions,
    url: String,
    _undertaker: Child,
}

static SERVER: OnceCell<Server> = OnceCell::const_new();

async fn server() -> &'static Server {
    SERVER
        .get_or_init(|| async {
            let server = tokio::task::spawn_blocking(start).await.unwrap();
            let mut connection = PgConnection::connect_with(&server.options).await.unwrap();
            sqlx::raw_sql("CREATE DATABASE vez_template").execute(&mut connection).await.unwrap();
            migrate(&server.options.clone().database(TEMPLATE)).await.unwrap();
            server
        })
        .await
}

/// Starts the server on a thread of its own, because a test's runtime, and every task on it, ends with the test.
fn start() -> Server {
    // Root runs Postgres as another user, who has to pass through this folder.
    let home = tempfile::Builder::new().prefix("vez-it-").permissions(Permissions::from_mode(0o711)).tempdir().unwrap();
    let data = home.path().join("data");
    let (started, running) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let embedded = Embedded::start(&data).await.unwrap();
            started.send((embedded.connect_options(), embedded.database_url(), embedded.pid().unwrap())).unwrap();
            std::future::pending::<()>().await;
        });
    });
    let (options, url, pid) = running.recv().expect("the embedded Postgres did not start");
    let folder = TempDir::keep(home);
    let undertaker = Command::new("sh")
        .args(["-c", UNDERTAKER, "sh", &pid.to_string()])
        .arg(&folder)
        // Ctrl-C ends the tests, not whoever cleans up after them.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Server { options, url, _undertaker: undertaker }
}

/// A migrated database of its own, as a value for `DATABASE_URL`.
pub async fn database() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let server = server().await;
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut connection = PgConnection::connect_with(&server.options).await.unwrap();
    let statement = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}");
    // Two copies of one template at once refuse each other for a moment.
    for _ in 0..100 {
        if sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut connection).await.is_ok() {
            let (before, after) = server.url.split_once("/vez?").unwrap();
            // Nobody pulls the plug on this server, so a commit need not wait for the disk.
            return format!("{before}/{name}?{after}&options[synchronous_commit]=off");
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("no copy of {TEMPLATE} could be made");
}
