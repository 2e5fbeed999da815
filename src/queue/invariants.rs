//! Owns what must hold of a queue after every command, by name. Tests and the simulation check all of it; the server
//! does not, since it walks everything.

use super::state::{Offerable, Queue};
use crate::domain::call::Phase;

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The name, as listed at [`check`].
    pub name: &'static str,
    pub text: String,
}

fn ensure(holds: bool, name: &'static str, text: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation { name, text: text() }) }
}

/// Checks every invariant of one queue.
///
/// - Q1: the line holds exactly the waiting and offered calls, in order of rank.
/// - Q2: an offer stands before a present, waiting call and has a deadline.
/// - Q3: the eligible sets hold exactly the waiting, present calls without an offer, each where it is wanted: with those
///   of its skills, or with those kept for one agent.
/// - Q4: every grant names one call, every offered, assigned or active call one grant.
/// - Q5: every state that is not a resting one has a deadline, and the deadline index says so.
/// - Q6: whoever is away has a grace; whoever is present has a device or a sign of life.
/// - Q7: picks name waiting calls.
/// - Q8: an ended call is not open, nor is one of another department.
pub fn check(queue: &Queue) -> Result<(), Violation> {
    let mut in_line = 0;
    let mut eligible = 0;
    let mut deadlines = 0;
    let mut granted = 0;
    for call in queue.calls.values() {
        let snapshot = &call.snapshot;
        let (line, waiting, offerable, deadline) = Queue::indexed(call);
        let text = || format!("{call:?}");
        ensure(snapshot.phase != Phase::Ended && snapshot.phase != Phase::Offered, "Q8", text)?;
        ensure(snapshot.department_id == queue.settings.department_id, "Q8", text)?;
        ensure(line == call.in_line(), "Q1", text)?;
        ensure(queue.line.contains(snapshot.rank()) == call.in_line(), "Q1", text)?;
        in_line += u32::from(call.in_line());
        ensure(waiting == queue.waiting.contains_key(&snapshot.rank()), "Q1", text)?;
        ensure(waiting == (call.in_line() && call.offer.is_none()), "Q1", text)?;
        if let Some(offer) = &call.offer {
            ensure(call.in_line() && call.present, "Q2", text)?;
            ensure(deadline.is_some_and(|at| at <= offer.expires_at), "Q2", text)?;
            ensure(queue.grants.get(&offer.grant) == Some(&snapshot.id), "Q4", text)?;
            granted += 1;
        }
        let expected = call.in_line() && call.present && call.offer.is_none();
        let wanted = call.wanted(call.offerable());
        let listed = wanted.and_then(|wanted| queue.eligible.get(&wanted));
        let listed = listed.is_some_and(|set| set.contains_key(&snapshot.rank()));
        let fits = offerable == call.offerable() && expected == (offerable != Offerable::Nobody);
        ensure(fits && listed == expected, "Q3", text)?;
        eligible += usize::from(expected);
        if matches!(snapshot.phase, Phase::Assigned | Phase::Active) {
            ensure(snapshot.user_id.is_some(), "Q4", text)?;
            let grant = snapshot.grant_id.and_then(|grant| queue.grants.get(&grant));
            ensure(grant == Some(&snapshot.id), "Q4", text)?;
            granted += 1;
        }
        ensure((snapshot.phase == Phase::Assigned) == call.start_by.is_some(), "Q5", text)?;
        ensure(deadline == call.deadline(&queue.settings), "Q5", text)?;
        if let Some(at) = deadline {
            ensure(queue.deadlines.contains(&(at, snapshot.id)), "Q5", text)?;
            ensure(at > queue.now || queue.is_frozen(), "Q5", || format!("overdue at {:?}: {call:?}", queue.now))?;
            deadlines += 1;
        } else {
            ensure(call.present && !call.devices.is_empty(), "Q5", text)?;
        }
        ensure(call.present || call.grace_until.is_some(), "Q6", text)?;
        if call.present && call.devices.is_empty() {
            ensure(call.present_until > queue.now || queue.is_frozen(), "Q6", text)?;
        }
        for pick in &call.picks {
            ensure(call.in_line() && queue.picks.get(&pick.id) == Some(&snapshot.id), "Q7", text)?;
        }
    }
    ensure(in_line == queue.line.len(), "Q1", || format!("{in_line} in line, index says {}", queue.line.len()))?;
    let ordered = queue.line.slice(1, queue.line.len());
    ensure(ordered.windows(2).all(|pair| pair[0].0 < pair[1].0), "Q1", || "the line is out of order".into())?;
    let indexed: usize = queue.eligible.values().map(|set| set.len()).sum();
    ensure(eligible == indexed, "Q3", || format!("{eligible} eligible, index says {indexed}"))?;
    ensure(granted == queue.grants.len(), "Q4", || format!("{granted} granted, index says {}", queue.grants.len()))?;
    ensure(deadlines == queue.deadlines.len(), "Q5", || "the deadline index holds calls that are gone".into())?;
    ensure(queue.picks.values().all(|id| queue.calls.contains_key(id)), "Q7", || "a pick of no call".into())
}
