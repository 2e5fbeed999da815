//! A connection that breaks while a batch is written leaves the outcome open, and the store finds it out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
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
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut buffer = vec![0; 1 << 16];
    loop {
        let Ok(read @ 1..) = from_client.read(&mut buffer).await else { break };
        match mode.load(Ordering::Acquire) {
            CUT_BEFORE => break,
            CUT_AFTER => {
                answers.abort();
                to_server.write_all(&buffer[..read]).await.unwrap();
                // Long enough for the server to do it; the answer is never read.
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                return;
            }
            _ => to_server.write_all(&buffer[..read]).await.unwrap(),
        }
    }
    answers.abort();
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

    let (lost, kept) = (world.call(1), world.call(2));
    for (number, how, call, committed) in [(3, CUT_BEFORE, &lost, false), (4, CUT_AFTER, &kept, true)] {
        // So that the connection is there and the statement prepared: from now on a batch is one message.
        writer.commit(batch_id(), &world.batch_of(&world.call(number))).await.unwrap();
        mode.store(how, Ordering::Release);
        let id = batch_id();
        let outcome = writer.commit(id, &world.batch_of(call)).await;
        assert!(matches!(outcome, Err(CommitError::Unknown { .. })), "{outcome:?}");
        mode.store(PASS, Ordering::Release);
        assert_eq!(writer.was_committed(id).await, Ok(committed));
        assert_eq!(vez::store::calls::find(&direct, world.tenant, call.id).await.unwrap().is_some(), committed);
    }
    writer.commit(batch_id(), &world.batch_of(&lost)).await.unwrap();
}
