//! Stories of grants and offers: one offer, one outcome. RULES.md, "Demand, grants, offers".

use super::desk::tell;

#[test]
fn an_offer_times_out_and_its_agent_is_excluded_for_half_a_minute() {
    tell(
        "0   Ana joins            -> place 1 of 1
         0   Ana attaches
         1   Zoe granted g1       -> g1 offers Ana to Zoe
         21  time passes          -> @21 g1 timed out
         22  Zoe granted g2       -> g2 handed back for nobody
         50  Zoe granted g3       -> g3 handed back for nobody
         51  Zoe granted g4       -> g4 offers Ana to Zoe",
    );
}

#[test]
fn when_nobody_else_may_take_it_the_exclusion_is_five_seconds() {
    tell(
        "0   Ana joins              -> place 1 of 1
         0   Ana attaches
         1   Zoe granted g1 alone   -> g1 offers Ana to Zoe
         2   Zoe declines g1        -> g1 declined
         6   Zoe granted g2 alone   -> g2 handed back for nobody
         7   Zoe granted g3 alone   -> g3 offers Ana to Zoe",
    );
}

#[test]
fn an_offer_has_one_outcome_however_often_it_is_answered() {
    tell(
        "0   Ana joins            -> place 1 of 1
         0   Ana attaches
         1   Zoe granted g1       -> g1 offers Ana to Zoe
         2   Yan accepts g1       -> no: not_your_call
         2   Yan declines g1      -> no: not_your_call
         3   Zoe declines g1      -> g1 declined
         4   Zoe declines g1
         4   Zoe accepts g1       -> no: offer_expired
         5   Yan granted g2       -> g2 offers Ana to Yan
         6   Yan accepts g2       -> Yan has Ana
         7   Yan accepts g2
         7   Yan declines g2      -> no: offer_expired
         8   Zoe accepts g9       -> no: offer_expired",
    );
}

#[test]
fn an_accept_after_the_deadline_is_too_late() {
    tell(
        "0     Ana joins            -> place 1 of 1
         0     Ana attaches
         1     Zoe granted g1       -> g1 offers Ana to Zoe
         20.9  Yan accepts g1       -> no: not_your_call
         21    Zoe accepts g1       -> @21 g1 timed out; no: offer_expired",
    );
}

#[test]
fn a_better_call_elsewhere_sends_the_grant_back_with_our_rank() {
    tell(
        "0   Ana joins                       -> place 1 of 1
         5   Bob joins                       -> place 2 of 2
         6   Zoe granted g1 alternative 3    -> g1 offers Ana to Zoe
         7   Yan granted g2 alternative 3    -> g2 handed back for Bob
         8   Yan granted g3 alternative 5.1  -> g3 offers Bob to Yan",
    );
}

#[test]
fn a_paused_or_lost_agent_loses_the_offer_without_a_miss() {
    tell(
        "0   Ana joins            -> place 1 of 1
         0   Ana attaches
         1   Zoe granted g1       -> g1 offers Ana to Zoe
         2   roster pauses g1     -> g1 withdrawn agent_paused
         # No exclusion: he did not refuse it.
         3   Zoe granted g2       -> g2 offers Ana to Zoe
         4   roster revokes g2    -> g2 agent lost
         5   Zoe granted g3       -> g3 offers Ana to Zoe
         6   Zoe accepts g3       -> Zoe has Ana
         # Too late: it is a running call now.
         7   roster pauses g3",
    );
}

#[test]
fn a_customer_who_goes_away_ends_the_offer_without_a_miss() {
    tell(
        "0   Ana joins            -> place 1 of 1
         0   Ana attaches
         0   Bob joins            -> place 2 of 2
         0   Bob attaches
         12  Zoe granted g1       -> g1 offers Ana to Zoe
         13  Ana detaches         -> Ana away; g1 customer left
         14  Zoe granted g2       -> g2 offers Bob to Zoe
         14  line                 -> Ana Bob
         15  Ana attaches         -> Ana here
         16  Yan granted g3       -> g3 offers Ana to Yan",
    );
}

#[test]
fn whoever_leaves_while_offered_takes_the_offer_along() {
    tell(
        "0   Ana joins            -> place 1 of 1
         1   Zoe granted g1       -> g1 offers Ana to Zoe
         2   Ana leaves           -> g1 customer left; Ana ended left missed
         3   Zoe accepts g1       -> no: offer_expired
         4   Bob joins            -> place 1 of 1
         5   Zoe granted g2       -> g2 offers Bob to Zoe
         6   staff withdraw Bob   -> g2 withdrawn withdrawn; Bob ended withdrawn cancelled",
    );
}
