//! Stories of wrap-ups: in their own slot, ended early, extended, and what follows them.

use super::company::tell;

const TALKING: &str = "
    0    department sales
    0    Zoe serves sales
    0    Zoe comes
    0    Ana joins sales           -> Zoe is offered Ana
    1    Zoe accepts               -> Zoe has Ana
    2    Zoe starts Ana";

fn talking(story: &str) {
    tell(&format!("{TALKING}\n{story}"));
}

#[test]
fn a_wrap_up_keeps_its_slot_until_its_end() {
    talking(
        "5    Bob joins sales
         10   Zoe completes Ana         -> Ana ended completed; Zoe wraps up until 25
         11   Zoe does?                 -> wrap_up
         26   time passes               -> @25 Zoe is offered Bob",
    );
}

#[test]
fn a_wrap_up_is_ended_early_or_extended() {
    talking(
        "5    Bob joins sales
         10   Zoe completes Ana         -> Ana ended completed; Zoe wraps up until 25
         12   Zoe extends 30            -> until 55; Zoe wraps up until 55
         13   Zoe extends 4000          -> no: wrap_up_too_long
         30   Zoe ends_wrap_up          -> Zoe is offered Bob
         31   Zoe ends_wrap_up Ana
         31   Zoe ends_wrap_up          -> no: no_wrap_up
         31   Zoe extends 5             -> no: no_wrap_up",
    );
}

#[test]
fn what_is_chosen_for_after_the_call_follows_the_wrap_up() {
    talking(
        "5    Bob joins sales
         6    Zoe sets paused after_call -> Zoe is available
         10   Zoe completes Ana         -> Ana ended completed; Zoe wraps up until 25
         26   time passes               -> @25 Zoe is paused after_call
         27   Zoe sets available        -> Zoe is available; Zoe is offered Bob",
    );
}

#[test]
fn the_last_word_about_after_the_call_wins() {
    talking(
        "5    Bob joins sales
         6    Zoe sets offline after_call -> Zoe is available
         7    Zoe sets paused after_call  -> Zoe is available
         8    Zoe sets available          -> Zoe is available
         10   Zoe completes Ana           -> Ana ended completed; Zoe wraps up until 25
         26   time passes                 -> @25 Zoe is offered Bob",
    );
}

#[test]
fn with_nothing_running_after_call_means_now() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Zoe comes
         1    Zoe sets paused after_call  -> Zoe is paused",
    );
}
