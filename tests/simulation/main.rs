//! The seeded simulation of the pure core: roster, queues and a model of the record, with everything between them going
//! wrong in time. Owns how seeds are run, repeated and reported; the parts are in its modules.
//!
//! `SIM_SEEDS=n` runs n seeds, `SIM_SEED=n` repeats one with its trace, `SIM_STEPS=n` changes the length of each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a failing seed prints its trace and how to repeat it")]

mod books;
mod checks;
mod clients;
mod dice;
mod faults;
mod lives;
mod model;
mod moves;
mod outages;
mod shells;
mod workload;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use world::World;

/// Seeds run by `make test`.
const SEEDS: u64 = 500;
/// Steps of each: one thing a client, a member of staff or fate does, and all that follows until the next one.
const STEPS: usize = 1_000;
/// Trace lines printed of a failing seed: its last ones.
const TRACE_LINES: usize = 120;

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// Runs one seed. `Err` says what broke, and when.
fn run(seed: u64, steps: usize, traced: bool) -> (Result<(), String>, World) {
    let mut world = World::new(seed, traced);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run(steps)));
    let outcome = match outcome {
        Ok(outcome) => outcome.map_err(|broken| format!("{}: {}", broken.name, broken.text)),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
            Err(format!("panic: {}", text.unwrap_or_default()))
        }
    };
    (outcome.map_err(|text| format!("step {} at {:?}: {text}", world.step, world.now)), world)
}

#[test]
fn every_seed_keeps_every_invariant() {
    let steps = from_env("SIM_STEPS").map_or(STEPS, |steps| steps as usize);
    if let Some(seed) = from_env("SIM_SEED") {
        let (outcome, world) = run(seed, steps, true);
        for line in &world.trace {
            println!("{line}");
        }
        println!("{}", world.tally);
        println!("{:>10} most messages until the mailboxes were empty", world.most_messages);
        assert_eq!(outcome, Ok(()), "seed {seed}");
        return;
    }
    let seeds = from_env("SIM_SEEDS").unwrap_or(SEEDS);
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(64);
    let next = AtomicU64::new(0);
    let failed = AtomicUsize::new(0);
    let first = Mutex::new(None::<(u64, String)>);
    let tally = Mutex::new(world::Tally::default());
    let most = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    // A handful of failing seeds says as much as hundreds.
                    if seed >= seeds || failed.load(Ordering::Relaxed) >= 20 {
                        return;
                    }
                    let (outcome, world) = run(seed, steps, false);
                    tally.lock().unwrap().add(&world.tally);
                    most.fetch_max(world.most_messages, Ordering::Relaxed);
                    if let Err(text) = outcome {
                        failed.fetch_add(1, Ordering::Relaxed);
                        println!("seed {seed}: {}", text.chars().take(600).collect::<String>());
                        let mut first = first.lock().unwrap();
                        if first.as_ref().is_none_or(|(known, _)| *known > seed) {
                            *first = Some((seed, text));
                        }
                    }
                }
            });
        }
    });
    println!("{}", tally.lock().unwrap());
    println!("{:>10} most messages until all mailboxes were empty", most.load(Ordering::Relaxed));
    if let Some((seed, text)) = first.into_inner().unwrap() {
        let (_, world) = run(seed, steps, true);
        let from = world.trace.len().saturating_sub(TRACE_LINES);
        for line in &world.trace[from..] {
            println!("{line}");
        }
        panic!(
            "seed {seed}: {text}\nrepeat it: SIM_SEED={seed} SIM_STEPS={steps} cargo test --test simulation -- --nocapture"
        );
    }
}

#[test]
fn a_seed_always_tells_the_same_story() {
    for seed in 1_000..1_010 {
        let (first, second) = (run(seed, 300, true), run(seed, 300, true));
        assert_eq!(first.0, second.0, "seed {seed}");
        for (index, (one, other)) in first.1.trace.iter().zip(&second.1.trace).enumerate() {
            assert_eq!(one, other, "seed {seed}, line {index}");
        }
        assert_eq!(first.1.trace.len(), second.1.trace.len(), "seed {seed}");
    }
}
