//! Stories of outages and restarts: no deadline runs while the queue is not served. RULES.md, "One owner, restarts, outages".

use super::desk::tell;

#[test]
fn while_frozen_nothing_is_offered_nothing_recorded_and_nobody_expires() {
    tell(
        "0    set max_wait 100
         0    Ana joins            -> place 1 of 1
         0    Ana attaches
         1    Bob joins            -> place 2 of 2
         5    Zoe granted g1       -> g1 offers Ana to Zoe
         6    Yan picks Bob as p1  -> p1 asks for Yan
         6    queue freezes        -> g1 withdrawn restarted; p1 dropped; p1 no: storage_unavailable
         7    Zoe accepts g1       -> no: storage_unavailable
         7    Cid joins            -> no: storage_unavailable
         7    Ana leaves           -> no: storage_unavailable
         8    Zoe granted g2       -> g2 handed back for nobody
         8    Yan granted g3 for p1  -> g3 handed back for nobody
         # Sockets and presence go on.
         20   Ana detaches         -> Ana away
         30   Ana attaches         -> Ana here
         1006 queue thaws
         # Bob had five seconds left of his join's ten.
         1010 line                 -> Ana Bob
         1012 time passes          -> @1011 Bob away
         1072 time passes          -> @1071 Bob ended never_connected missed
         1101 time passes          -> @1100 Ana ended timed_out missed",
    );
}

#[test]
fn what_was_granted_while_frozen_is_demanded_anew() {
    tell(
        "0    Ana joins            -> place 1 of 1
         0    Ana attaches
         1    queue freezes
         2    Zoe granted g1       -> g1 handed back for nobody
         3    queue thaws
         3    demand               -> [] x1
         4    Zoe granted g2       -> g2 offers Ana to Zoe",
    );
}

#[test]
fn an_outage_gives_everybody_at_least_his_grace() {
    tell(
        "0    Ana joins            -> place 1 of 1
         1    Zoe granted g1       -> g1 offers Ana to Zoe
         2    Zoe accepts g1       -> Zoe has Ana
         3    roster loses g1      -> Ana waits for his agent until 18
         17   queue freezes        -> @10 Ana away
         100  queue thaws
         114  line
         116  time passes          -> @115 Ana back agent_lost; @115 g1 free
         161  time passes          -> @160 Ana ended never_connected missed",
    );
}

#[test]
fn an_exclusion_is_moved_by_the_outage() {
    tell(
        "0    Ana joins            -> place 1 of 1
         0    Ana attaches
         1    Zoe granted g1       -> g1 offers Ana to Zoe
         2    Zoe declines g1      -> g1 declined
         12   queue freezes
         1012 queue thaws
         1031 Zoe granted g2       -> g2 handed back for nobody
         1032 Zoe granted g3       -> g3 offers Ana to Zoe",
    );
}

#[test]
fn a_restart_keeps_the_order_and_what_was_accepted() {
    tell(
        "0    Ana joins            -> place 1 of 1
         0    Ana attaches
         1    Bob joins priority 1 -> place 1 of 2
         2    Cid joins            -> place 3 of 3
         3    Zoe granted g1       -> g1 offers Bob to Zoe
         4    Zoe accepts g1       -> Zoe has Bob
         5    Zoe starts Bob       -> Zoe call_started Bob
         6    Yan granted g2       -> g2 offers Ana to Yan
         7    queue restarts after 300  -> holds Bob
         307  line                 -> Ana Cid
         # Away until a device comes back, with the full grace; the offer of before is nobody's any more.
         307  demand
         308  Yan accepts g2       -> no: offer_expired
         309  Ana attaches         -> Ana here
         310  Yan granted g3       -> g3 offers Ana to Yan
         # The agent's own command of before is known.
         311  Zoe accepts g1
         312  Zoe completes Bob    -> Bob ended completed completed; g1 wraps up until 327
         368  time passes          -> @330 g3 timed out; @367 Cid ended abandoned missed",
    );
}

#[test]
fn a_restart_gives_an_assigned_call_time_to_start() {
    tell(
        "0    Ana joins            -> place 1 of 1
         0    Ana attaches
         1    Zoe granted g1       -> g1 offers Ana to Zoe
         2    Zoe accepts g1       -> Zoe has Ana
         60   queue restarts after 500  -> holds Ana
         561  Ana attaches         -> Ana here
         576  time passes          -> @575 Ana back not_started; @575 g1 free",
    );
}

#[test]
fn of_two_restarts_in_a_row_neither_ends_a_wait() {
    tell(
        "0    set max_wait 100
         0    Ana joins            -> place 1 of 1
         0    Ana attaches
         10   queue restarts after 1000
         1010 Ana attaches         -> Ana here
         1020 queue restarts after 1
         1021 Ana attaches         -> Ana here
         # Of the two gaps only the last is known, so what is sure is the grace.
         1080 line                 -> Ana
         1081 time passes          -> @1081 Ana ended timed_out missed",
    );
}
