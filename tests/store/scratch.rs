//! Owns a throw-away Postgres for one test program: started on first use, gone with the process however that ends. Each
//! test gets a database of its own, copied from one that was migrated once.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::sync::OnceCell;
use vez::store::{Store, migrate};

/// The database that every test's own is a copy of.
const TEMPLATE: &str = "vez_template";

/// A running server. The shell that started it ends it, and deletes its folder, when our end of its input closes.
pub struct Server {
    socket: PathBuf,
    _shell: Child,
}

/// Runs the server as `$2` when root starts us, says `ready`, and waits for the end of its input.
const SCRIPT: &str = r#"
dir=$1; user=$2; bin=$3; shift 3
as() { if [ -n "$user" ]; then (cd / && exec setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups "$@"); else "$@"; fi; }
if [ -n "$user" ]; then chown "$user" "$dir"; fi
as "$bin/initdb" -D "$dir/data" -U owner --auth=trust --encoding=UTF8 --locale=C --no-sync >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log"; exit 1; }
as "$bin/pg_ctl" -D "$dir/data" -l "$dir/data/log" -w -t 60 -o "-c listen_addresses='' -c unix_socket_directories='$dir' -c max_connections=200 $*" start >/dev/null 2>&1 </dev/null || { cat "$dir/data/log"; exit 1; }
echo ready
cat >/dev/null
as "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null 2>&1
rm -rf "$dir"
"#;

impl Server {
    /// Starts a server with these further settings (`-c name=value`).
    pub fn start(settings: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("vez-store-").tempdir().unwrap().keep();
        let user = if nix::unistd::geteuid().is_root() {
            if nix::unistd::User::from_name("postgres").unwrap().is_some() { "postgres" } else { "nobody" }
        } else {
            ""
        };
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "sh"]).arg(&folder).arg(user).arg(binaries()).arg(settings);
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut answer = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut answer).unwrap();
        assert_eq!(answer.trim(), "ready", "the scratch Postgres did not start");
        Self { socket: folder, _shell: shell }
    }

    /// How to reach `database` as the cluster's superuser.
    pub fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass().socket(&self.socket).username("owner").database(database)
    }

    /// The folder its socket is in.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

/// The newest Postgres of this machine.
fn binaries() -> PathBuf {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| bin.join("initdb").exists())
        .collect();
    found.sort();
    match found.pop() {
        Some((_, bin)) => bin,
        None => {
            let output = Command::new("pg_config").arg("--bindir").output().expect("Postgres is not installed");
            PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
        }
    }
}

/// The one server of this test program.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start("-c fsync=off -c synchronous_commit=off -c full_page_writes=off"))
}

/// A migrated database of its own.
pub async fn database() -> PgConnectOptions {
    static MIGRATED: OnceCell<()> = OnceCell::const_new();
    MIGRATED
        .get_or_init(|| async {
            let mut connection = PgConnection::connect_with(&server().options("postgres")).await.unwrap();
            sqlx::raw_sql("CREATE DATABASE vez_template").execute(&mut connection).await.unwrap();
            migrate(&server().options(TEMPLATE)).await.unwrap();
        })
        .await;
    copy_of_template().await
}

/// A store on a migrated database of its own.
pub async fn store() -> (Store, PgConnectOptions) {
    let options = database().await;
    (Store::connect(options.clone(), 8, 4).await.unwrap(), options)
}

async fn copy_of_template() -> PgConnectOptions {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut connection = PgConnection::connect_with(&server().options("postgres")).await.unwrap();
    let statement = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}");
    // A connection to the template may take a moment to be gone, and no copy is made meanwhile.
    for _ in 0..100 {
        match sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut connection).await {
            Ok(_) => return server().options(&name),
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
    panic!("no copy of {TEMPLATE} could be made");
}

/// The facts of a company's feed after a cursor.
pub async fn facts(
    store: &Store,
    tenant: vez::domain::ids::TenantId,
    after: i64,
    limit: u32,
) -> Vec<vez::store::events::StoredEvent> {
    match vez::store::feed::look(store, tenant, Some(after), limit).await.unwrap() {
        vez::store::feed::Look::Facts(facts) => facts,
        lost => panic!("{lost:?}"),
    }
}
