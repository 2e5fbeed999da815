//! Stories of a call from its assignment to its end. RULES.md, "Status, phase, end".

use super::desk::tell;

const TALKING: &str = "
    0   Ana joins            -> place 1 of 1
    0   Ana attaches
    1   Zoe granted g1       -> g1 offers Ana to Zoe
    2   Zoe accepts g1       -> Zoe has Ana
    3   Zoe starts Ana       -> Zoe call_started Ana";

fn talking(story: &str) {
    tell(&format!("{TALKING}\n{story}"));
}

#[test]
fn a_call_is_started_completed_and_wrapped_up() {
    talking(
        "4   Zoe starts Ana
         5   Yan starts Ana       -> no: not_your_call
         6   Yan completes Ana    -> no: not_your_call
         7   Zoe completes Ana    -> Ana ended completed completed; g1 wraps up until 22
         # The same command of the same party hears the same; anybody else that it is over.
         8   Zoe completes Ana
         8   Yan completes Ana    -> no: call_ended
         8   Zoe starts Ana       -> no: call_ended
         8   Ana ends",
    );
}

#[test]
fn a_supervisor_may_complete_anybodys_call_and_repeat_himself() {
    talking(
        "4   Sue supervises Ana   -> Ana ended completed completed; g1 wraps up until 19
         5   Sue supervises Ana
         5   Zoe completes Ana
         5   Yan completes Ana    -> no: call_ended",
    );
}

#[test]
fn either_side_ends_a_running_call() {
    talking(
        "4   Ana ends             -> Ana ended completed completed; g1 wraps up until 19
         5   Zoe ends Ana
         6   Bob joins            -> place 1 of 1
         7   Bob ends             -> no: not_started
         8   Zoe granted g2       -> g2 offers Bob to Zoe
         9   Zoe accepts g2       -> Zoe has Bob
         9   Zoe completes Bob    -> no: not_started
         9   Bob ends             -> no: not_started",
    );
}

#[test]
fn without_a_wrap_up_the_slot_is_free_at_once() {
    talking(
        "4   set wrap_up 0
         5   Zoe completes Ana    -> Ana ended completed completed; g1 free",
    );
}

#[test]
fn a_call_that_is_not_started_goes_back_and_its_agent_is_excluded() {
    tell(
        "0   Ana joins            -> place 1 of 1
         0   Ana attaches
         1   Zoe granted g1       -> g1 offers Ana to Zoe
         2   Zoe accepts g1       -> Zoe has Ana
         62  time passes          -> @62 Ana back not_started; @62 g1 free
         63  Zoe starts Ana       -> no: not_your_call
         63  Zoe granted g2       -> g2 handed back for nobody
         63  Yan granted g3       -> g3 offers Ana to Yan
         64  Yan accepts g3       -> Yan has Ana
         65  Yan starts Ana       -> Yan call_started Ana",
    );
}

#[test]
fn a_lost_agent_has_two_minutes_to_resume_a_running_call() {
    talking(
        "10   roster loses g1     -> Ana waits for his agent until 130
         11   roster loses g1
         60   roster finds g1     -> Ana has his agent back
         70   roster loses g1     -> Ana waits for his agent until 190
         191  time passes         -> @190 Ana back agent_lost; @190 g1 free
         192  Yan granted g2      -> g2 offers Ana to Yan
         193  Yan accepts g2      -> Yan has Ana
         # The first start stays: `call.started` fires once.
         194  Yan starts Ana      -> Yan call_resumed Ana
         # Ended from the line, a call that was once started still reads as its end reason says.
         195  Yan completes Ana   -> Ana ended completed completed; g2 wraps up until 210",
    );
}

#[test]
fn a_lost_agent_has_fifteen_seconds_for_an_assigned_call() {
    tell(
        "0   Ana joins            -> place 1 of 1
         0   Ana attaches
         1   Zoe granted g1       -> g1 offers Ana to Zoe
         2   Zoe accepts g1       -> Zoe has Ana
         3   roster loses g1      -> Ana waits for his agent until 18
         19  time passes          -> @18 Ana back agent_lost; @18 g1 free",
    );
}

#[test]
fn leaving_while_the_agent_is_away_asks_for_another() {
    talking(
        "4   Ana leaves           -> no: wrong_state
         5   roster loses g1      -> Ana waits for his agent until 125
         6   Ana leaves           -> Ana back customer_asked; g1 free
         # A second tap is the same wish, not one to lose the place it just kept.
         7   Ana leaves
         7   line                 -> Ana
         12  Ana leaves           -> Ana ended left missed
         12  Ana leaves",
    );
}

#[test]
fn when_both_sides_are_gone_the_call_ends_as_agent_lost() {
    talking(
        "4    roster loses g1     -> Ana waits for his agent until 124
         20   Ana detaches        -> Ana away
         81   time passes         -> @80 Ana ended agent_lost completed; @80 g1 free",
    );
}

#[test]
fn a_customer_away_beyond_the_grace_is_lost() {
    talking(
        "20   Ana detaches        -> Ana away
         81   time passes         -> @80 Ana ended customer_lost completed; @80 g1 wraps up until 95
         82   Bob joins           -> place 1 of 1
         82   Bob attaches
         83   Zoe granted g2      -> g2 offers Bob to Zoe
         84   Zoe accepts g2      -> Zoe has Bob
         99   Bob detaches        -> Bob away
         # Before the start it was missed: but not started in a minute, it first went back to the line.
         200  time passes         -> @144 Bob back not_started; @144 g2 free; @159 Bob ended abandoned missed",
    );
}

#[test]
fn a_customer_lost_before_the_start_was_missed() {
    tell(
        "0   set grace 20
         0   Ana joins            -> place 1 of 1
         1   Zoe granted g1       -> g1 offers Ana to Zoe
         2   Zoe accepts g1       -> Zoe has Ana
         31  time passes          -> @10 Ana away; @30 Ana ended customer_lost missed; @30 g1 free",
    );
}

#[test]
fn staff_take_out_whoever_does_not_talk_yet() {
    tell(
        "0   Ana joins            -> place 1 of 1
         0   Ana attaches
         1   staff withdraw Ana   -> Ana ended withdrawn cancelled
         2   staff withdraw Ana
         3   Bob joins            -> place 1 of 1
         3   Bob attaches
         4   Zoe granted g1       -> g1 offers Bob to Zoe
         5   Zoe accepts g1       -> Zoe has Bob
         6   Zoe starts Bob       -> Zoe call_started Bob
         7   staff withdraw Bob   -> no: wrong_state
         8   Cid joins            -> place 1 of 1
         8   Cid attaches
         9   Dan joins            -> place 2 of 2
         9   Dan attaches
         10  Yan granted g2       -> g2 offers Cid to Yan
         # Those who talk already stay.
         11  link cancelled       -> g2 withdrawn withdrawn; Cid ended link_cancelled cancelled; Dan ended link_cancelled cancelled",
    );
}

#[test]
fn a_link_is_used_no_more_often_than_it_may_be() {
    tell(
        "0   Ana joins key a used 0      -> place 1 of 1
         # The record does not tell of Ana yet.
         1   Bob joins used 0            -> place 2 of 2
         2   Cid joins used 0            -> no: link_used
         3   Cid joins used 1            -> no: link_used
         # Whoever is in comes back.
         4   Ana joins key a used 2      -> place 1 of 2 again
         5   Dan joins used 2            -> no: link_used",
    );
}
