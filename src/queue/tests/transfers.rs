//! Stories of transfers: the place is kept, the slot is free or wraps up, and what is asked here afterwards has moved.
//! RULES.md, "Demand", 7.

use super::desk::tell;

#[test]
fn a_running_call_goes_to_another_department_and_its_agent_wraps_up() {
    tell(
        "0   Ana joins                         -> place 1 of 1
         0   Ana attaches
         1   Zoe granted g1                    -> g1 offers Ana to Zoe
         2   Zoe accepts g1                    -> Zoe has Ana
         3   Zoe starts Ana                    -> Zoe call_started Ana
         9   Zoe transfers Ana to billing      -> Ana goes to billing from Zoe; g1 wraps up until 24
         # Whatever is asked of it here has moved with it.
         9   Zoe transfers Ana to billing      -> no: moved
         9   Zoe completes Ana                 -> no: moved
         9   Ana polls                         -> no: moved
         9   Ana leaves                        -> no: moved
         9   staff withdraw Ana                -> no: moved
         9   line
         70  Ana polls                         -> no: moved",
    );
}

#[test]
fn only_what_one_runs_can_be_transferred_unless_one_supervises() {
    tell(
        "0   Ana joins                         -> place 1 of 1
         0   Ana attaches
         0   Zoe transfers Ana to billing      -> no: not_your_call
         1   Zoe granted g1                    -> g1 offers Ana to Zoe
         2   Zoe transfers Ana to billing      -> no: not_your_call
         2   Zoe accepts g1                    -> Zoe has Ana
         3   Yan transfers Ana to billing      -> no: not_your_call
         # He has it already.
         3   Zoe transfers Ana for Zoe         -> no: wrong_state
         # Not started, so there is nothing to wrap up.
         4   Sue moves Ana to billing          -> Ana goes to billing from Zoe; g1 free
         5   Sue moves Bob to billing          -> no: unknown_call",
    );
}

#[test]
fn a_waiting_call_is_moved_from_under_its_offer_and_its_picks() {
    tell(
        "0   Ana joins                         -> place 1 of 1
         0   Bob joins                         -> place 2 of 2
         1   Zoe granted g1                    -> g1 offers Ana to Zoe
         1   Yan picks Ana as p1               -> p1 asks for Yan
         2   Sue moves Ana to billing          -> p1 dropped; p1 no: moved; g1 withdrawn withdrawn; Ana goes to billing
         2   line                              -> Bob
         3   Zoe accepts g1                    -> no: offer_expired
         # The grant that was under way for the pick goes to who is left.
         3   Yan granted g2 for p1             -> g2 handed back for Bob
         4   Ana leaves                        -> no: moved",
    );
}

#[test]
fn who_is_transferred_keeps_his_place_and_starts_once() {
    tell(
        "0   Ana joins                         -> place 1 of 1
         0   Ana attaches
         1   Zoe granted g1                    -> g1 offers Ana to Zoe
         2   Zoe accepts g1                    -> Zoe has Ana
         3   Zoe starts Ana                    -> Zoe call_started Ana
         4   Bob joins                         -> place 1 of 1
         5   Zoe transfers Ana to billing      -> Ana goes to billing from Zoe; g1 wraps up until 20
         6   queue adopts                      -> Ana comes
         6   line                              -> Ana Bob
         # Told twice, as by a life that died in between: it is the same call.
         6   queue adopts again
         6   line                              -> Ana Bob
         # He is not asked for what he has just given away.
         7   Zoe granted g2                    -> g2 offers Bob to Zoe
         8   Yan granted g3                    -> g3 offers Ana to Yan
         9   Yan accepts g3                    -> Yan has Ana
         10  Yan starts Ana                    -> Yan call_resumed Ana
         # Old news of a call that has gone on changes nothing.
         11  Yan transfers Ana to billing      -> Ana goes to billing from Yan; g3 wraps up until 26
         12  queue adopts                      -> Ana comes
         13  Ana leaves                        -> Ana ended left missed
         13  queue adopts again",
    );
}

#[test]
fn a_call_given_back_to_its_own_line_keeps_its_place_and_passes_its_agent_by() {
    tell(
        "0   Ana joins                         -> place 1 of 1
         0   Ana attaches
         1   Zoe granted g1                    -> g1 offers Ana to Zoe
         2   Zoe accepts g1                    -> Zoe has Ana
         3   Bob joins                         -> place 1 of 1
         4   Zoe transfers Ana                 -> Ana back transferred; g1 free
         # Sent again, it is the same wish.
         4   Zoe transfers Ana
         5   line                              -> Ana Bob
         6   Zoe granted g2                    -> g2 offers Bob to Zoe
         7   Yan granted g3                    -> g3 offers Ana to Yan",
    );
}

#[test]
fn a_call_kept_for_an_agent_is_his_before_all_that_waits_and_nobody_elses() {
    tell(
        "0   Ana joins                         -> place 1 of 1
         1   Bob joins needs english           -> place 2 of 2
         1   demand                            -> [] x1; [\"english\"] x1
         2   Sue moves Bob for Zoe
         2   demand                            -> [] x1; for Zoe x1
         # Others are offered what is not kept.
         3   Yan granted g1 skilled english    -> g1 offers Ana to Yan
         4   Xav granted g2 skilled english    -> g2 handed back for nobody
         5   Yan declines g1                   -> g1 declined
         # His own comes first, whatever another queue has for him, and his skills were known.
         6   Zoe granted g3 alternative 0      -> g3 offers Bob to Zoe
         7   Zoe accepts g3                    -> Zoe has Bob past Ana picked",
    );
}

#[test]
fn a_call_kept_for_an_agent_is_everybodys_once_he_had_his_turn() {
    tell(
        "0   Ana joins                         -> place 1 of 1
         0   Ana attaches
         1   Sue moves Ana for Zoe
         1   demand                            -> for Zoe x1
         # Nobody came for it in the time of an offer.
         22  time passes
         22  demand                            -> [] x1
         23  Sue moves Ana for Yan
         24  Yan granted g1                    -> g1 offers Ana to Yan
         25  Yan declines g1                   -> g1 declined
         25  demand                            -> [] x1
         # The name is kept over a restart, and the time nobody served does not count.
         26  Sue moves Ana for Xav
         27  queue restarts after 100
         128 Ana attaches                      -> Ana here
         128 demand                            -> for Xav x1
         # Whoever is asked by name is asked although he refused before.
         129 Sue moves Ana for Yan
         130 Yan granted g2                    -> g2 offers Ana to Yan",
    );
}

#[test]
fn a_department_that_is_pulled_from_offers_nothing() {
    tell(
        "0   Ana joins                         -> place 1 of 1
         0   Ana attaches
         0   Bob joins                         -> place 2 of 2
         0   Bob attaches
         1   Zoe granted g1                    -> g1 offers Ana to Zoe
         2   set mode pull                     -> g1 withdrawn withdrawn
         2   demand
         # One that was on its way goes back.
         3   Yan granted g2                    -> g2 handed back for nobody
         4   Yan picks Bob as p1               -> p1 asks for Yan
         4   Yan granted g3 for p1             -> Yan has Bob past Ana picked; p1 gets Bob
         5   line                              -> Ana
         6   set mode push
         6   demand                            -> [] x1
         7   Zoe granted g4                    -> g4 offers Ana to Zoe",
    );
}

#[test]
fn who_joins_again_with_the_key_of_a_call_that_went_elsewhere_makes_no_second_one() {
    tell(
        "0   Ana joins key k                   -> place 1 of 1
         1   Sue moves Ana to billing          -> Ana goes to billing
         2   Ana joins as Ana2 key k           -> no: moved
         3   queue adopts                      -> Ana comes
         4   Ana joins as Ana3 key k           -> place 1 of 1 again",
    );
}

#[test]
fn a_call_whose_link_was_cancelled_on_its_way_ends_where_it_comes() {
    tell(
        "0   Ana joins                         -> place 1 of 1
         1   Sue moves Ana to billing          -> Ana goes to billing
         2   link cancelled
         3   queue adopts                      -> Ana comes; Ana ended link_cancelled cancelled",
    );
}
