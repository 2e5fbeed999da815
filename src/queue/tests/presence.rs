//! Stories of customers who come, go and come back, and of the limit of a wait. RULES.md, "Customers: presence".

use super::desk::tell;

#[test]
fn a_join_counts_for_ten_seconds_and_a_poll_for_thirty() {
    tell(
        "0    Ana joins            -> place 1 of 1
         9    Ana polls
         38   demand               -> [] x1
         40   demand               -> @39 Ana away
         50   Ana polls            -> Ana here
         79   Ana polls
         110  time passes          -> @109 Ana away
         170  time passes          -> @169 Ana ended abandoned missed",
    );
}

#[test]
fn whom_no_device_ever_came_for_was_never_connected() {
    tell(
        "0    Ana joins            -> place 1 of 1
         71   time passes          -> @10 Ana away; @70 Ana ended never_connected missed
         72   Ana polls            -> no: unknown_call",
    );
}

#[test]
fn away_keeps_the_place_and_a_device_brings_back() {
    tell(
        "0    Ana joins            -> place 1 of 1
         1    Ana attaches phone
         1    Ana attaches laptop
         2    Bob joins            -> place 2 of 2
         2    Bob attaches
         20   Ana detaches phone
         21   Ana detaches laptop  -> Ana away
         22   line                 -> Ana Bob
         22   Zoe granted g1       -> g1 offers Bob to Zoe
         23   Zoe accepts g1       -> Zoe has Bob past Ana away
         24   Zoe starts Bob       -> Zoe call_started Bob
         80   Ana attaches phone   -> Ana here
         81   Ana detaches phone   -> Ana away
         # The grace is whole each time.
         140  line                 -> Ana
         142  time passes          -> @141 Ana ended abandoned missed",
    );
}

#[test]
fn a_device_that_goes_right_after_the_join_is_not_away_yet() {
    tell(
        "0    Ana joins            -> place 1 of 1
         1    Ana attaches
         2    Ana detaches
         9    demand               -> [] x1
         11   time passes          -> @10 Ana away",
    );
}

#[test]
fn the_wait_limit_counts_only_while_no_offer_is_out() {
    tell(
        "0    set max_wait 30
         0    Ana joins            -> place 1 of 1
         0    Ana attaches
         20   Zoe granted g1       -> g1 offers Ana to Zoe
         39   Zoe declines g1      -> g1 declined; Ana ended timed_out missed",
    );
}

#[test]
fn the_wait_limit_starts_anew_after_a_return() {
    tell(
        "0    set max_wait 30
         0    Ana joins            -> place 1 of 1
         0    Ana attaches
         20   Zoe granted g1       -> g1 offers Ana to Zoe
         25   Zoe accepts g1       -> Zoe has Ana
         86   time passes          -> @85 Ana back not_started; @85 g1 free
         116  time passes          -> @115 Ana ended timed_out missed",
    );
}

#[test]
fn a_lowered_limit_holds_for_those_who_wait() {
    tell(
        "0    Ana joins            -> place 1 of 1
         0    Ana attaches
         50   set max_wait 60
         61   time passes          -> @60 Ana ended timed_out missed",
    );
}
