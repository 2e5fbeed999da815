//! The queue against a slow and obvious oracle: a plain list, sorted anew for every question.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::story::{at, id};
use crate::domain::call::{Caller, Requirements};
use crate::domain::department::Settings;
use crate::domain::ids::{CallId, GrantId, UserId};
use crate::queue::event::{Said, Settled};
use crate::queue::exchange::{Grant, ToQueue};
use crate::queue::{Command, Effect, NewCall, Queue, invariants};

/// What happens next. Numbers choose among those it can happen to.
#[derive(Clone, Debug)]
enum Step {
    Join { priority: u8, needs: bool },
    Leave(usize),
    Grant { agent: u8, skilled: bool },
    Accept(usize),
    Decline(usize),
    Wait(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u8..12, any::<bool>()).prop_map(|(priority, needs)| Step::Join { priority, needs }),
        1 => any::<usize>().prop_map(Step::Leave),
        4 => (0u8..3, any::<bool>()).prop_map(|(agent, skilled)| Step::Grant { agent, skilled }),
        2 => any::<usize>().prop_map(Step::Accept),
        2 => any::<usize>().prop_map(Step::Decline),
        2 => (0u8..40).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..80)
}

/// A waiting call as anybody would write it down.
#[derive(Clone, Debug)]
struct Waiting {
    call: CallId,
    /// Seconds since the start, less a minute per step of priority.
    key: i64,
    number: i64,
    needs: bool,
    offered: Option<(GrantId, u8, i64)>,
    excluded: BTreeMap<u8, i64>,
}

proptest! {
    #[test]
    fn the_best_eligible_call_is_offered_and_places_are_those_of_a_sorted_list(steps in steps()) {
        let mut settings = Settings::new(id("sales"), "Sales");
        settings.offer_timeout_seconds = 20;
        let mut queue = Queue::new(settings, at(0.0));
        let mut list: Vec<Waiting> = Vec::new();
        let (mut now, mut number, mut grants) = (0i64, 0i64, 0u64);
        let skill: Requirements = vec![Arc::from("english")].into();
        for step in steps {
            let offered: Vec<usize> = (0..list.len()).filter(|index| list[*index].offered.is_some()).collect();
            let command = match &step {
                Step::Join { priority, needs } => {
                    number += 1;
                    let call: CallId = id(&format!("call {number}"));
                    let key = now - i64::from((*priority).min(10)) * 60;
                    list.push(Waiting { call, key, number, needs: *needs, offered: None, excluded: BTreeMap::new() });
                    Command::Join(NewCall {
                        id: call,
                        number,
                        link_id: None,
                        link_uses: None,
                        caller: Arc::new(Caller { customer_id: id("c"), name: "c".into(), email: None, phone: None, reason: None }),
                        priority: *priority,
                        due_at: None,
                        requirements: if *needs { skill.clone() } else { Vec::new().into() },
                        join_key: None,
                    })
                }
                Step::Leave(_) if list.is_empty() => continue,
                Step::Leave(which) => Command::Leave { call: list.remove(which % list.len()).call },
                Step::Grant { agent, skilled } => {
                    grants += 1;
                    Command::Roster(ToQueue::Grant(Grant {
                        grant: id(&format!("grant {grants}")),
                        number: grants,
                        user: id::<UserId>(&format!("agent {agent}")),
                        user_name: "agent".into(),
                        skills: if *skilled { skill.clone() } else { Vec::new().into() },
                        alternative: None,
                        alone: false,
                        ready_since: at(now as f64),
                        pick: None,
                    }))
                }
                Step::Accept(_) | Step::Decline(_) if offered.is_empty() => continue,
                Step::Accept(which) => {
                    let waiting = list.remove(offered[which % offered.len()]);
                    let (grant, agent, _) = waiting.offered.unwrap();
                    Command::Accept { grant, user: id(&format!("agent {agent}")) }
                }
                Step::Decline(which) => {
                    let waiting = &mut list[offered[which % offered.len()]];
                    let (grant, agent, _) = waiting.offered.take().unwrap();
                    waiting.excluded.insert(agent, now + 30);
                    Command::Decline { grant, user: id(&format!("agent {agent}")) }
                }
                Step::Wait(seconds) => {
                    now += i64::from(*seconds);
                    // A late tick: everything due is due now.
                    for waiting in &mut list {
                        if let Some((_, agent, _)) = waiting.offered.filter(|(_, _, until)| *until <= now) {
                            waiting.offered = None;
                            waiting.excluded.insert(agent, now + 30);
                        }
                    }
                    Command::Tick
                }
            };
            let applied = queue.apply(at(now as f64), command).unwrap();
            // Whoever is accepted is started, or he would come back in a minute.
            for effect in &applied.effects {
                if let Effect::Record { settled: Settled::Assigned(call), .. } = effect {
                    let start = Command::Start { call: call.id, user: call.user_id.unwrap() };
                    queue.apply(at(now as f64), start).unwrap();
                }
            }
            // Everybody has a device; it attaches in the same second.
            if let Step::Join { .. } = step {
                let call = list[list.len() - 1].call;
                queue.apply(at(now as f64), Command::Attach { call, device: id("device") }).unwrap();
            }
            if let Step::Grant { agent, skilled } = step {
                let best = list
                    .iter_mut()
                    .filter(|waiting| waiting.offered.is_none() && (skilled || !waiting.needs))
                    .filter(|waiting| waiting.excluded.get(&agent).is_none_or(|until| *until <= now))
                    .min_by_key(|waiting| (waiting.key, waiting.number));
                let offered = applied.effects.iter().find_map(|effect| match effect {
                    Effect::Say(Said::Offered { call, .. }) => Some(*call),
                    _ => None,
                });
                prop_assert_eq!(offered, best.as_ref().map(|waiting| waiting.call));
                if let Some(best) = best {
                    best.offered = Some((id(&format!("grant {grants}")), agent, now + 20));
                }
            }
            list.sort_by_key(|waiting| (waiting.key, waiting.number));
            for (index, waiting) in list.iter().enumerate() {
                prop_assert_eq!(queue.position(waiting.call), Some(index as u32 + 1));
            }
            prop_assert_eq!(queue.queue_size() as usize, list.len());
            invariants::check(&queue).unwrap();
        }
    }
}
