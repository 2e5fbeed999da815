//! Owns a report's bytes on their way to one reader: a task that reads rows in turns and hands on what it wrote, and the
//! stream that gives it out. Whatever goes wrong ends the stream with an error, never as if it were complete.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;

use super::cursor::{BATCH_ROWS, Cursor};
use super::places::Place;
use super::turns::Pace;
use super::{Encoder, ReportError, Shared};
use crate::domain::clock::Clock;

/// How long the reader may take nothing: its connection to the database, and what it keeps from being cleaned up there, are
/// not lent for longer.
pub const TAKEN_WITHIN: Duration = Duration::from_secs(60);
/// How long a stream may last in all; ten million rows take about a minute.
pub const LASTS_MAX: Duration = Duration::from_secs(30 * 60);
/// With several streams under way, nobody has a turn for as long as the last one took, but no longer than this: so they use half
/// a core of the database between them, whatever their number, and the queue's own statements find room. One alone goes on.
const REST_MAX: Duration = Duration::from_millis(50);
/// Bytes handed on at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks that wait for the reader: as many as a batch has and one more, so that the next rows are read while he takes these.
const CHUNKS_WAITING_MAX: usize = 4;

enum Piece {
    Chunk { bytes: Bytes, rows: u64 },
    Failed(ReportError),
    End,
}

/// The bytes of a report. Dropping it cancels what runs for it.
#[derive(Debug)]
pub struct ReportStream {
    pieces: mpsc::Receiver<Piece>,
    rows: u64,
    ended: bool,
}

impl ReportStream {
    /// How many rows were given out so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

impl Stream for ReportStream {
    type Item = Result<Bytes, ReportError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let piece = ready!(self.pieces.poll_recv(context));
        Poll::Ready(match piece {
            Some(Piece::Chunk { bytes, rows }) => {
                self.rows += rows;
                Some(Ok(bytes))
            }
            Some(Piece::End) => {
                self.ended = true;
                None
            }
            Some(Piece::Failed(error)) => {
                self.ended = true;
                Some(Err(error))
            }
            // The task is gone without a word: it panicked, or the runtime stops.
            None => {
                self.ended = true;
                Some(Err(ReportError::Broken))
            }
        })
    }
}

/// Starts the task.
pub(super) fn start(
    shared: Arc<Shared>,
    place: Place,
    mut cursor: Cursor,
    mut encoder: Box<dyn Encoder>,
) -> ReportStream {
    let (sender, pieces) = mpsc::channel(CHUNKS_WAITING_MAX);
    tokio::spawn(async move {
        let outcome = tokio::select! {
            () = sender.closed() => Err(ReportError::Abandoned),
            () = shared.stopping.cancelled() => Err(ReportError::Stopping),
            outcome = tokio::time::timeout(LASTS_MAX, pump(&shared, &mut cursor, &mut *encoder, &sender)) => {
                outcome.unwrap_or(Err(ReportError::Overlong))
            }
        };
        match outcome {
            Ok(()) => {
                cursor.finish().await;
                drop(place);
                // If he is gone by now, he has everything.
                let _ = sender.send(Piece::End).await;
            }
            Err(error) => {
                drop((cursor, place));
                match error {
                    ReportError::Abandoned => tracing::debug!("a report's reader is gone"),
                    ref error => tracing::warn!(%error, "a report broke off"),
                }
                // The channel may be full of what nobody takes; its end without a last word says the same.
                let _ = sender.try_send(Piece::Failed(error));
            }
        }
    });
    ReportStream { pieces, rows: 0, ended: false }
}

async fn pump(
    shared: &Shared,
    cursor: &mut Cursor,
    encoder: &mut dyn Encoder,
    sender: &mpsc::Sender<Piece>,
) -> Result<(), ReportError> {
    encoder.open();
    hand_on(encoder.take(), 0, sender, TAKEN_WITHIN).await?;
    let mut pace = Pace::default();
    loop {
        let fetch = async {
            let began = Clock::patience(Duration::ZERO);
            let count = cursor.fetch(|row| encoder.row(row)).await?;
            Ok::<_, ReportError>((count, Clock::patience(Duration::ZERO).duration_since(began).min(REST_MAX)))
        };
        let (fetched, turn) = shared.turns.take(&mut pace, fetch).await?;
        let (count, rest) = fetched?;
        if shared.places.open() > 1 {
            tokio::spawn(async move {
                tokio::time::sleep(rest).await;
                drop(turn);
            });
        } else {
            drop(turn);
        }
        if count < BATCH_ROWS {
            encoder.close();
        }
        hand_on(encoder.take(), count as u64, sender, TAKEN_WITHIN).await?;
        if count < BATCH_ROWS {
            return Ok(());
        }
    }
}

/// Hands `written` on in chunks, the last of which counts the rows.
async fn hand_on(
    written: Vec<u8>,
    mut rows: u64,
    sender: &mpsc::Sender<Piece>,
    patience: Duration,
) -> Result<(), ReportError> {
    let mut rest = Bytes::from(written);
    while !rest.is_empty() {
        let bytes = rest.split_to(rest.len().min(CHUNK_BYTES));
        let rows = if rest.is_empty() { std::mem::take(&mut rows) } else { 0 };
        sender.send_timeout(Piece::Chunk { bytes, rows }, patience).await.map_err(|error| match error {
            mpsc::error::SendTimeoutError::Timeout(_) => ReportError::Stalled,
            mpsc::error::SendTimeoutError::Closed(_) => ReportError::Abandoned,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use futures_util::StreamExt as _;

    use super::*;

    fn stream() -> (mpsc::Sender<Piece>, ReportStream) {
        let (sender, pieces) = mpsc::channel(CHUNKS_WAITING_MAX);
        (sender, ReportStream { pieces, rows: 0, ended: false })
    }

    #[tokio::test]
    async fn only_a_last_word_ends_a_stream_well() {
        let (sender, mut whole) = stream();
        sender.send(Piece::Chunk { bytes: Bytes::from_static(b"a"), rows: 1 }).await.unwrap();
        sender.send(Piece::End).await.unwrap();
        assert_eq!(whole.next().await.unwrap().unwrap(), "a");
        assert!(whole.next().await.is_none());
        assert_eq!(whole.rows(), 1);
        // Whoever made it is gone without one.
        let (sender, mut broken) = stream();
        sender.send(Piece::Chunk { bytes: Bytes::from_static(b"a"), rows: 1 }).await.unwrap();
        drop(sender);
        assert_eq!(broken.next().await.unwrap().unwrap(), "a");
        assert!(matches!(broken.next().await, Some(Err(ReportError::Broken))));
        assert!(broken.next().await.is_none());
    }

    #[tokio::test]
    async fn a_reader_who_takes_nothing_is_given_up() {
        let (sender, stream) = stream();
        let written = vec![b'a'; (CHUNKS_WAITING_MAX + 1) * CHUNK_BYTES];
        let patience = Duration::from_millis(20);
        let given = hand_on(written.clone(), 3, &sender, patience).await;
        assert!(matches!(given, Err(ReportError::Stalled)), "{given:?}");
        drop(stream);
        let given = hand_on(written, 3, &sender, patience).await;
        assert!(matches!(given, Err(ReportError::Abandoned)), "{given:?}");
    }
}
