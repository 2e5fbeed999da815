//! Owns turning what generated agents did into the statuses they had: being available takes in the calls and the wrap-ups
//! meanwhile, as it does in the record.

use std::collections::BTreeMap;

use crate::cli::generate::{Doing, Interval};
use crate::domain::ids::UserId;
use crate::store::generated::StatusRow;

/// The status each agent has at the moment.
#[derive(Debug, Default)]
pub struct Statuses(BTreeMap<UserId, StatusRow>);

impl Statuses {
    /// Takes what an agent did next; gives the status that this ended.
    pub fn note(&mut self, interval: &Interval) -> Option<StatusRow> {
        let Interval { user, doing, from, until } = *interval;
        let (status, reason) = match doing {
            Doing::Available | Doing::InCall(_) | Doing::WrapUp(_) => ("available", None),
            Doing::Paused(reason) => ("paused", Some(reason)),
        };
        let next = StatusRow { user_id: user, status, reason, from, until };
        match self.0.get_mut(&user) {
            Some(row) if (row.status, row.reason, row.until) == (status, reason, from) => {
                row.until = until;
                None
            }
            _ => self.0.insert(user, next),
        }
    }

    /// Those that still went on.
    pub fn rest(self) -> impl Iterator<Item = StatusRow> {
        self.0.into_values()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::clock::Timestamp;
    use crate::domain::ids::CallId;

    #[test]
    fn a_call_and_its_wrap_up_are_part_of_being_available() {
        let (mut statuses, user, call) = (Statuses::default(), UserId(Uuid::from_u128(1)), CallId(Uuid::from_u128(2)));
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let note = |statuses: &mut Statuses, doing, from, until| {
            let ended = statuses.note(&Interval { user, doing, from: at(from), until: at(until) });
            ended.map(|row| (row.status, row.from, row.until))
        };
        assert_eq!(note(&mut statuses, Doing::Available, 0, 10), None);
        assert_eq!(note(&mut statuses, Doing::InCall(call), 10, 50), None);
        assert_eq!(note(&mut statuses, Doing::WrapUp(call), 50, 60), None);
        assert_eq!(note(&mut statuses, Doing::Paused("lunch"), 60, 90), Some(("available", at(0), at(60))));
        // He went home in between.
        assert_eq!(note(&mut statuses, Doing::Available, 900, 910), Some(("paused", at(60), at(90))));
        assert_eq!(statuses.rest().map(|row| row.from).collect::<Vec<_>>(), [at(900)]);
    }
}
