//! A connection that breaks while a batch is written leaves the outcome open, and the store finds it out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use vez::store::Store;
use vez::store::record::CommitError;

use crate::scratch;
use crate::world::{World, batch_id, writer};

const PASS: u8 = 0;
/// Cut the connection instead of sending what comes on.
const CUT_BEFORE: u8 = 1;
/// Send it on and cut the connection before its answer.
const CUT_AFTER: u8 = 2;
/// Cut the connection, and send on what came only much later.
const LATE: u8 = 3;

/// Long enough for the store to have asked.
const HOW_LATE: std::time::Duration = std::time::Duration::from_millis(300);

/// Stands between the store and Postgres, and breaks connections when told to.
fn cutter(folder: &Path, server: &Path) -> Arc<AtomicU8> {
    let mode = Arc::new(AtomicU8::new(PASS));
    let listener = UnixListener::bind(folder.join(".s.PGSQL.5432")).unwrap();
    let server = server.join(".s.PGSQL.5432");
    let told = mode.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = UnixStream::connect(&server).await.unwrap();
            tokio::spawn(relay(client, server, told.clone()));
        }
    });
    mode
}

async fn relay(client: UnixStream, server: UnixStream, mode: Arc<AtomicU8>) {
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let answers = tokio::spawn(answer(from_server, to_client, mode.clone()));
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
        let mode = mode.load(Ordering::Acquire);
        match mode {
            CUT_BEFORE => break,
            CUT_AFTER => {
                to_server.write_all(&buffer[..read]).await.unwrap();
                answers.await.unwrap();
                return;
            }
            LATE => {
                answers.abort();
                drop(from_client);
                tokio::time::sleep(HOW_LATE).await;
                to_server.write_all(&buffer[..read]).await.unwrap();
                // The server reads it before it notices that nobody listens.
                tokio::time::sleep(HOW_LATE).await;
                return;
            }
            _ => to_server.write_all(&buffer[..read]).await.unwrap(),
        }
    }
    answers.abort();
}

/// Passes answers on, or keeps the first one back and ends. The server answers after it has committed.
async fn answer(mut from_server: OwnedReadHalf, mut to_client: OwnedWriteHalf, mode: Arc<AtomicU8>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
        if mode.load(Ordering::Acquire) == CUT_AFTER || to_client.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn an_unknown_outcome_can_be_asked_for() {
    let options = scratch::database().await;
    let folder = tempfile::tempdir().unwrap();
    let mode = cutter(folder.path(), scratch::server().socket());
    let direct = Store::connect(options.clone(), 2, 2).await.unwrap();
    let world = World::new(&direct, "a").await;
    let cut = options.clone().socket(folder.path());
    let store = Store::connect(cut, 1, 2).await.unwrap();
    let mut writer = writer(&store, &options).await;

    for (number, how) in [(1, CUT_BEFORE), (2, CUT_AFTER), (3, LATE)] {
        // So that the connection is there and the statement prepared: from now on a batch is one message.
        writer.commit(batch_id(), &world.batch_of(&world.call(100 + number))).await.unwrap();
        mode.store(how, Ordering::Release);
        let (id, call) = (batch_id(), world.call(number));
        let outcome = writer.commit(id, &world.batch_of(&call)).await;
        assert!(matches!(outcome, Err(CommitError::Unknown { .. })), "{outcome:?}");
        mode.store(PASS, Ordering::Release);
        let committed = writer.was_committed(id).await.unwrap();
        assert_eq!(committed, how == CUT_AFTER);
        if how == LATE {
            tokio::time::sleep(3 * HOW_LATE).await;
        }
        let stored = vez::store::calls::find(&direct, world.tenant, call.id).await.unwrap().is_some();
        assert_eq!(stored, committed, "the answer stays true");
        if !committed {
            writer.commit(batch_id(), &world.batch_of(&call)).await.unwrap();
        }
    }
}
