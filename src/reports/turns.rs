//! Owns whose turn it is to fetch rows for a stream. It knows nothing of what is fetched.
//!
//! Usually a turn is some milliseconds. But a report that finds few rows may go through all calls of a company in one turn, and
//! nothing can interrupt it there. So whoever takes longer moves to a lane of its own and everybody else goes on. That lane holds
//! one, too: all streams together never use more than two cores of the database.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ReportError;

/// How long a turn may last before the others go on beside it: far longer than a thousand rows that lie together take, and no
/// more than somebody notices.
const TURN_MAX: Duration = Duration::from_millis(250);

/// The turns of all streams: fair, each lane for one at a time.
#[derive(Debug)]
pub struct Turns {
    lane: Arc<Semaphore>,
    slow_lane: Arc<Semaphore>,
}

/// How long the last turn of a stream took. Whoever was slow waits in the slow lane from then on, until he is quick again: two who
/// look for something rare share that lane instead of keeping everybody else in turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    #[default]
    Quick,
    Slow,
}

impl Default for Turns {
    fn default() -> Self {
        Self { lane: Arc::new(Semaphore::new(1)), slow_lane: Arc::new(Semaphore::new(1)) }
    }
}

impl Turns {
    /// Waits for a turn and fetches; gives the turn, which ends when it is dropped.
    pub async fn take<T>(
        &self,
        pace: &mut Pace,
        fetch: impl Future<Output = T>,
    ) -> Result<(T, OwnedSemaphorePermit), ReportError> {
        let lane = match pace {
            Pace::Quick => &self.lane,
            Pace::Slow => &self.slow_lane,
        };
        let turn = lane.clone().acquire_owned().await.map_err(|_| ReportError::Stopping)?;
        let mut fetch = pin!(fetch);
        if let Ok(fetched) = tokio::time::timeout(TURN_MAX, &mut fetch).await {
            *pace = Pace::Quick;
            return Ok((fetched, turn));
        }
        if *pace == Pace::Slow {
            return Ok((fetch.await, turn));
        }
        *pace = Pace::Slow;
        // While the slow lane is taken he keeps the turn he has: nobody leaves both.
        tokio::select! {
            fetched = &mut fetch => Ok((fetched, turn)),
            moved = self.slow_lane.clone().acquire_owned() => {
                drop(turn);
                let turn = moved.map_err(|_| ReportError::Stopping)?;
                Ok((fetch.await, turn))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use tokio::time::sleep;

    use super::*;
    use crate::domain::clock::Clock;

    const LONG: Duration = Duration::from_millis(700);
    const SHORT: Duration = Duration::from_millis(5);

    /// A fetch of this length, from when it is its turn: a bare `sleep` counts from when it was made.
    async fn takes(long: Duration) {
        sleep(long).await;
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_long_does_not_keep_the_others() {
        let turns = Arc::new(Turns::default());
        let began = Clock::patience(Duration::ZERO);
        let slow = {
            let turns = turns.clone();
            tokio::spawn(async move {
                let mut pace = Pace::default();
                for _ in 0..2 {
                    drop(turns.take(&mut pace, takes(LONG)).await.unwrap());
                }
                pace
            })
        };
        tokio::task::yield_now().await;
        let mut pace = Pace::default();
        for _ in 0..10 {
            drop(turns.take(&mut pace, takes(SHORT)).await.unwrap());
        }
        assert!(began.elapsed() < TURN_MAX * 2, "{:?}", began.elapsed());
        assert_eq!((slow.await.unwrap(), pace), (Pace::Slow, Pace::Quick));
    }

    #[tokio::test(start_paused = true)]
    async fn two_at_a_time_fetch_and_no_more() {
        let turns = Arc::new(Turns::default());
        let began = Clock::patience(Duration::ZERO);
        let mut slow = Vec::new();
        for _ in 0..3 {
            let turns = turns.clone();
            slow.push(tokio::spawn(async move {
                drop(turns.take(&mut Pace::default(), takes(LONG)).await.unwrap());
            }));
        }
        for slow in slow {
            slow.await.unwrap();
        }
        // The third one began when the first had ended.
        assert!(began.elapsed() >= LONG * 2, "{:?}", began.elapsed());
        let mut pace = Pace::Slow;
        drop(turns.take(&mut pace, takes(SHORT)).await.unwrap());
        assert_eq!(pace, Pace::Quick, "who is quick again comes back");
    }
}
