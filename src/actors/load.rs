//! Owns the way from the store's rows to what the core is restored from. It starts nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeZone as _;

use crate::domain::agent::AgentSnapshot;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{DepartmentId, TenantId};
use crate::queue::restore::Restored;
use crate::queue::view::Today;
use crate::roster::Command;
use crate::roster::effect::{PlannedWrapUp, RestoredAgent, RestoredCall};
use crate::roster::state::Profile;
use crate::store::restore::{self, AgentRow};
use crate::store::{Store, StoreError};

/// An agent as the core takes him.
pub(super) fn agent(row: AgentRow) -> RestoredAgent {
    let mut skills: Vec<Arc<str>> = row.skills.iter().map(|skill| Arc::from(skill.as_str())).collect();
    skills.sort();
    skills.dedup();
    RestoredAgent {
        profile: Profile {
            user_id: row.user_id,
            name: Arc::from(row.name.as_str()),
            role: row.role,
            capacity: row.capacity.max(1),
            skills: skills.into(),
            departments: row.department_ids.into_iter().collect::<BTreeSet<_>>(),
        },
        removed: !row.active,
        snapshot: row.snapshot,
        running: row
            .running
            .into_iter()
            .map(|(grant, call, department)| RestoredCall { grant, call, department })
            .collect(),
        planned_wrap_ups: row
            .recent_wrap_ups
            .into_iter()
            .map(|(call, department, ends_at)| PlannedWrapUp { call, department, ends_at })
            .collect(),
    }
}

/// The agent as of a day that began at `day_start`: calls he took before are another day's, also when nobody was running at
/// midnight to count anew.
pub(super) fn since_midnight(mut agent: RestoredAgent, day_start: Timestamp) -> RestoredAgent {
    agent.snapshot.iter_mut().for_each(|snapshot| count_since(snapshot, day_start));
    agent
}

/// As `since_midnight`, for an agent who comes back to a running roster.
pub(super) fn command_since_midnight(mut command: Command, day_start: Timestamp) -> Command {
    if let Command::Configure { snapshot: Some(snapshot), .. } = &mut command {
        count_since(snapshot, day_start);
    }
    command
}

fn count_since(snapshot: &mut AgentSnapshot, day_start: Timestamp) {
    if snapshot.changed_at < day_start {
        snapshot.calls_today = 0;
    }
}

/// One queue; `None` when there is no such department.
pub(super) async fn queue(
    store: &Store,
    tenant: TenantId,
    department: DepartmentId,
    day_start: Timestamp,
    joined_floor: Option<Timestamp>,
    served_until: Option<Timestamp>,
) -> Result<Option<(Restored, Today)>, StoreError> {
    let Some(mut state) = restore::queue(store, tenant, department, day_start).await? else { return Ok(None) };
    state.handle_seconds.reverse();
    let restored = Restored {
        settings: state.settings,
        calls: state.calls,
        handle_seconds: state.handle_seconds,
        joined_floor,
        served_until,
    };
    Ok(Some((restored, state.today)))
}

/// The last and the next midnight of a company's zone around `now`.
pub(super) fn day(zone: chrono_tz::Tz, now: Timestamp) -> (Timestamp, Timestamp) {
    let local = now.to_utc().with_timezone(&zone).date_naive();
    let midnight = |date: chrono::NaiveDate| {
        let naive = date.and_time(chrono::NaiveTime::MIN);
        // A zone whose clocks skip midnight begins its day at the first instant after the gap.
        (0..4)
            .find_map(|hour| zone.from_local_datetime(&(naive + chrono::TimeDelta::hours(hour))).earliest())
            .map_or(now, |at| Timestamp::from(at.to_utc()))
    };
    (midnight(local), midnight(local + chrono::TimeDelta::days(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::{AgentStatus, IdleClock, Intent};

    fn at(text: &str) -> Timestamp {
        Timestamp::from(chrono::DateTime::parse_from_rfc3339(text).unwrap().to_utc())
    }

    #[test]
    fn a_day_begins_at_the_companys_own_midnight() {
        let (start, end) = day(chrono_tz::America::Sao_Paulo, at("2026-11-20T02:30:00Z"));
        assert_eq!((start, end), (at("2026-11-19T03:00:00Z"), at("2026-11-20T03:00:00Z")));
    }

    #[test]
    fn a_count_of_yesterday_does_not_outlive_a_night_without_a_server() {
        let snapshot = |changed_at: &str| AgentSnapshot {
            user_id: crate::domain::ids::UserId(uuid::Uuid::from_u128(1)),
            intent: Intent::plain(AgentStatus::Available),
            intent_since: Timestamp::default(),
            after_call: None,
            held: None,
            leased: false,
            misses: 0,
            wrap_ups: Vec::new(),
            idle: IdleClock::Stopped { elapsed_micros: 0 },
            rotation: 0,
            calls_today: 7,
            version: 1,
            changed_at: at(changed_at),
        };
        let (start, _) = day(chrono_tz::America::Sao_Paulo, at("2026-11-20T12:00:00Z"));
        let calls = |mut snapshot: AgentSnapshot| {
            count_since(&mut snapshot, start);
            snapshot.calls_today
        };
        assert_eq!(calls(snapshot("2026-11-20T02:59:00Z")), 0);
        assert_eq!(calls(snapshot("2026-11-20T03:01:00Z")), 7);
    }

    #[test]
    fn a_day_that_skips_midnight_begins_at_its_first_instant() {
        // Brazil's clocks went from 23:59 to 01:00 on 2018-11-04.
        let (start, _) = day(chrono_tz::America::Sao_Paulo, at("2018-11-04T12:00:00Z"));
        assert_eq!(start, at("2018-11-04T03:00:00Z"));
    }
}
