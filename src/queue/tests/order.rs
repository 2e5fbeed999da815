//! Stories of the line: order with priority, places, fullness, joining again. RULES.md, "Order".

use super::desk::tell;

#[test]
fn first_come_is_first_served() {
    tell(
        "0   Ana joins            -> place 1 of 1
         1   Bob joins            -> place 2 of 2
         2   Cid joins            -> place 3 of 3
         3   line                 -> Ana Bob Cid
         3   Zoe granted g1       -> g1 offers Ana to Zoe
         # An offered call is still in line, so a decline moves nobody.
         4   line                 -> Ana Bob Cid
         4   Dan joins            -> place 4 of 4
         5   Zoe accepts g1       -> Zoe has Ana
         5   line                 -> Bob Cid Dan",
    );
}

#[test]
fn a_step_of_priority_is_a_minute_and_ages_by_itself() {
    tell(
        "0     Ana joins              -> place 1 of 1
         0     Ana attaches
         50    Bob joins priority 1   -> place 1 of 2
         50    Bob attaches
         # Nobody is overtaken by anyone who came more than ten minutes later.
         599   Cid joins priority 10  -> place 2 of 3
         599   Cid attaches
         601   Dan joins priority 10  -> place 4 of 4
         601   line                   -> Bob Cid Ana Dan
         # More than the most counts as the most.
         602   Eve joins priority 99  -> place 5 of 5",
    );
}

#[test]
fn a_decline_and_a_return_keep_the_place() {
    tell(
        "0   Ana joins            -> place 1 of 1
         0   Ana attaches
         1   Bob joins            -> place 2 of 2
         1   Bob attaches
         2   Zoe granted g1       -> g1 offers Ana to Zoe
         3   Zoe declines g1      -> g1 declined
         3   line                 -> Ana Bob
         4   Yan granted g2       -> g2 offers Ana to Yan
         5   Yan accepts g2       -> Yan has Ana
         6   line                 -> Bob
         66  time passes          -> @65 Ana back not_started; @65 g2 free
         66  line                 -> Ana Bob",
    );
}

#[test]
fn a_passing_has_its_reason() {
    tell(
        "0   Ana joins                         -> place 1 of 1
         0   Bob joins                         -> place 2 of 2
         0   Bob attaches
         0   Cid joins needs english           -> place 3 of 3
         0   Cid attaches
         0   Dan joins                         -> place 4 of 4
         0   Dan attaches
         5   Zoe granted g1 skilled libras     -> g1 offers Ana to Zoe
         6   Zoe declines g1                   -> g1 declined
         12  Zoe granted g2 skilled libras     -> @10 Ana away; g2 offers Bob to Zoe
         13  Zoe declines g2                   -> g2 declined
         14  Zoe granted g3 skilled libras     -> g3 offers Dan to Zoe
         15  Zoe accepts g3                    -> Zoe has Dan past Ana away past Bob excluded past Cid skill",
    );
}

#[test]
fn a_full_or_inactive_department_takes_nobody_and_keeps_who_waits() {
    tell(
        "0   set max_queue 2
         0   Ana joins            -> place 1 of 1
         0   Bob joins            -> place 2 of 2
         1   Cid joins            -> no: queue_full
         2   Zoe granted g1       -> g1 offers Ana to Zoe
         # An offered call still counts.
         3   Cid joins            -> no: queue_full
         4   Zoe accepts g1       -> Zoe has Ana
         4   Cid joins            -> place 2 of 2
         5   set active no
         5   Dan joins            -> no: department_inactive
         6   Yan granted g2       -> g2 offers Bob to Yan",
    );
}

#[test]
fn the_same_key_is_the_same_call() {
    tell(
        "0   Ana joins key k1             -> place 1 of 1
         1   Bob joins                    -> place 2 of 2
         2   Ana joins as other key k1    -> place 1 of 2 again
         # Even where a stranger would be refused.
         3   set active no
         3   Ana joins as other key k1    -> place 1 of 2 again
         4   set active yes
         4   Ana leaves                   -> Ana ended left missed
         5   Ana joins as third key k1    -> place 2 of 2",
    );
}

#[test]
fn demand_is_told_by_what_it_requires() {
    tell(
        "0   Ana joins                  -> place 1 of 1
         0   Bob joins needs english    -> place 2 of 2
         0   Cid joins needs english    -> place 3 of 3
         1   demand                     -> [] x1; [\"english\"] x2
         2   Zoe granted g1             -> g1 offers Ana to Zoe
         2   demand                     -> [\"english\"] x2
         3   Zoe granted g2             -> g2 handed back for nobody
         4   Yan granted g3 skilled english  -> g3 offers Bob to Yan",
    );
}

#[test]
fn who_joins_late_for_an_appointment_ranks_by_its_due_time_and_who_joins_early_by_his_join() {
    tell(
        "1   Ana joins                   -> place 1 of 1
         3   Bob joins                   -> place 2 of 2
         # Due between the two joins: that is where he stands.
         4   Cid joins due 2             -> place 2 of 3
         # Priority shifts the due time as it shifts a join.
         5   Dan joins due 30 priority 1 -> place 1 of 4
         6   Eva joins due 9             -> place 5 of 5
         8   Fay joins                   -> place 6 of 6
         # Eva's appointment is due now. She came before Fay, and stays before her.
         9   line                        -> Dan Ana Cid Bob Eva Fay
         9   queue restarts after 1
         10  line                        -> Dan Ana Cid Bob Eva Fay",
    );
}
