//! Stories of hand-picks: a demand for one named agent with two seconds to get his slot. RULES.md, "Demand", 6.

use super::desk::tell;

#[test]
fn a_pick_waits_for_its_slot_and_takes_the_call() {
    tell(
        "0   Ana joins                   -> place 1 of 1
         0   Bob joins                   -> place 2 of 2
         1   Zoe picks Bob as p1         -> p1 asks for Zoe
         # The call stays in line meanwhile.
         1   line                        -> Ana Bob
         2   Zoe granted g1 for p1       -> Zoe has Bob past Ana picked; p1 gets Bob
         2   line                        -> Ana
         3   Zoe picks Bob as p2
         3   Yan picks Bob as p3         -> no: already_taken",
    );
}

#[test]
fn the_first_to_reach_the_queue_wins() {
    tell(
        "0   Ana joins                   -> place 1 of 1
         1   Zoe granted g1              -> g1 offers Ana to Zoe
         2   Yan picks Ana as p1         -> p1 asks for Yan
         3   Zoe accepts g1              -> Zoe has Ana; p1 dropped; p1 no: already_taken
         # The grant that was under way for it goes back.
         4   Yan granted g2 for p1       -> g2 handed back for nobody
         5   Bob joins                   -> place 1 of 1
         6   Zoe granted g3              -> g3 offers Bob to Zoe
         7   Yan picks Bob as p2         -> p2 asks for Yan
         8   Yan granted g4 for p2       -> g3 withdrawn taken; Yan has Bob; p2 gets Bob
         9   Zoe accepts g3              -> no: already_taken",
    );
}

#[test]
fn picking_a_call_offered_to_oneself_accepts_it() {
    tell(
        "0   Ana joins                   -> place 1 of 1
         1   Zoe granted g1              -> g1 offers Ana to Zoe
         2   Zoe picks Ana as p1         -> Zoe has Ana
         2   Zoe accepts g1",
    );
}

#[test]
fn a_pick_without_a_slot_is_refused_and_one_unanswered_expires() {
    tell(
        "0   Ana joins                   -> place 1 of 1
         0   Ana attaches
         1   Zoe picks Ana as p1         -> p1 asks for Zoe
         1   roster refuses p1           -> p1 no: no_free_slot
         2   Zoe picks Ana as p2         -> p2 asks for Zoe
         5   time passes                 -> @4 p2 dropped; @4 p2 no: pick_timed_out
         # What comes back for the agent still says that Ana waits for him.
         6   Zoe granted g1 for p2       -> g1 handed back for Ana",
    );
}

#[test]
fn the_same_agent_picking_twice_hears_the_same_twice() {
    tell(
        "0   Ana joins                   -> place 1 of 1
         1   Zoe picks Ana as p1         -> p1 asks for Zoe
         1   Zoe picks Ana as p2         -> p2 asks for Zoe
         1   Yan picks Ana as p3         -> p3 asks for Yan
         2   Zoe granted g1 for p1       -> Zoe has Ana; p2 dropped; p2 gets Ana; p3 dropped; p3 no: already_taken; p1 gets Ana",
    );
}

#[test]
fn a_pick_of_a_call_that_ends_or_of_none_is_refused() {
    tell(
        "0   Ana joins                   -> place 1 of 1
         1   Zoe picks Ana as p1         -> p1 asks for Zoe
         2   Ana leaves                  -> p1 dropped; p1 no: call_ended; Ana ended left missed
         3   Zoe picks Ana as p2         -> no: call_ended
         4   Zoe picks Bob as p3         -> no: unknown_call",
    );
}

#[test]
fn so_many_picks_of_one_call_are_a_mistake() {
    tell(
        "0   Ana joins                   -> place 1 of 1
         1   A1 picks Ana as p1          -> p1 asks for A1
         1   A2 picks Ana as p2          -> p2 asks for A2
         1   A3 picks Ana as p3          -> p3 asks for A3
         1   A4 picks Ana as p4          -> p4 asks for A4
         1   A5 picks Ana as p5          -> p5 asks for A5
         1   A6 picks Ana as p6          -> p6 asks for A6
         1   A7 picks Ana as p7          -> p7 asks for A7
         1   A8 picks Ana as p8          -> p8 asks for A8
         1   A9 picks Ana as p9          -> no: too_many_picks",
    );
}
