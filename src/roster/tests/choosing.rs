//! Stories of who gets the next call: strategies, skills, several departments, several slots, the plan's bound.

use super::company::tell;

#[test]
fn the_longest_idle_is_served_first_and_a_pause_gains_nothing() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Yan serves sales
         0    Xia serves sales
         0    Zoe comes
         10   Yan comes
         20   Xia comes
         # Zoe's clock stands at 30 s, Yan's runs on.
         30   Zoe sets paused           -> Zoe is paused
         70   Zoe sets available        -> Zoe is available
         100  Ana joins sales           -> Yan is offered Ana
         101  Bob joins sales           -> Xia is offered Bob
         102  Cid joins sales           -> Zoe is offered Cid",
    );
}

#[test]
fn toggling_gains_nothing() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Yan serves sales
         0    Zoe comes
         1    Yan comes
         10   Yan sets paused           -> Yan is paused
         10   Yan sets available        -> Yan is available
         11   Yan sets paused           -> Yan is paused
         11   Yan sets available        -> Yan is available
         20   Ana joins sales           -> Zoe is offered Ana",
    );
}

#[test]
fn round_robin_serves_whose_last_offer_is_furthest_back() {
    tell(
        "0    department sales by round_robin wrap_up 0
         0    Zoe serves sales
         0    Yan serves sales
         0    Zoe comes
         1    Yan comes
         10   Ana joins sales           -> Zoe is offered Ana
         11   Zoe declines              -> Zoe loses Ana withdrawn; Yan is offered Ana
         12   Yan accepts               -> Yan has Ana
         13   Yan starts Ana
         14   Yan completes Ana         -> Ana ended completed
         # Zoe declined, which counts as an offer; his is further back than Yan's.
         20   Bob joins sales           -> Zoe is offered Bob
         21   Cid joins sales           -> Yan is offered Cid",
    );
}

#[test]
fn fewest_calls_counts_todays_and_forgets_at_midnight() {
    tell(
        "0    department sales by fewest_calls wrap_up 0
         0    Zoe serves sales
         0    Yan serves sales
         0    Zoe comes
         1    Yan comes
         10   Ana joins sales           -> Zoe is offered Ana
         11   Zoe accepts               -> Zoe has Ana
         12   Zoe starts Ana
         13   Zoe completes Ana         -> Ana ended completed
         100  Bob joins sales           -> Yan is offered Bob
         101  Yan accepts               -> Yan has Bob
         102  Yan starts Bob
         103  Yan completes Bob         -> Bob ended completed
         # Both have one: the one idle longer.
         104  Cid joins sales           -> Zoe is offered Cid
         105  Zoe accepts               -> Zoe has Cid
         106  Zoe starts Cid
         107  Zoe completes Cid         -> Cid ended completed
         108  midnight
         # Nobody has any: the one idle longer.
         109  Dan joins sales           -> Yan is offered Dan",
    );
}

#[test]
fn an_agent_of_two_departments_gets_the_oldest_call() {
    tell(
        "0    department sales
         0    department support
         0    Zoe serves sales,support
         1    Ana joins support
         2    Bob joins sales
         3    Cid joins sales priority 1
         10   Zoe comes                 -> Zoe is offered Cid
         11   Zoe accepts               -> Zoe has Cid
         12   Zoe starts Cid
         13   Zoe completes Cid         -> Cid ended completed; Zoe wraps up until 28
         30   time passes               -> @28 Zoe is offered Ana",
    );
}

#[test]
fn skills_decide_who_may_have_which() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Yan serves sales skilled english
         0    Zoe comes
         0    Yan comes
         1    Ana joins sales needs english    -> Yan is offered Ana
         2    Bob joins sales needs english
         3    Cid joins sales                  -> Zoe is offered Cid
         4    Zoe declines                     -> Zoe loses Cid withdrawn
         # A change of skills makes an old hand-back worthless.
         5    Zoe serves sales skilled english -> Zoe is offered Bob",
    );
}

#[test]
fn an_agent_with_two_slots_gets_two_calls() {
    tell(
        "0    department sales wrap_up 0
         0    Zoe serves sales slots 2
         0    Ana joins sales
         1    Bob joins sales
         2    Cid joins sales
         10   Zoe comes                 -> Zoe is offered Ana; Zoe is offered Bob
         11   Zoe accepts               -> Zoe has Ana
         12   Zoe accepts               -> Zoe has Bob
         12   Zoe may?                  -> NoFreeSlot
         13   Zoe starts Ana
         14   Zoe completes Ana         -> Ana ended completed; Zoe is offered Cid
         15   Zoe does?                 -> in_call",
    );
}

#[test]
fn the_plan_bounds_offers_and_not_joins() {
    tell(
        "0    department sales wrap_up 0
         0    department support wrap_up 0
         0    Zoe serves sales
         0    Yan serves support
         0    Zoe comes
         0    Yan comes
         0    plan 1
         1    Ana joins sales           -> Zoe is offered Ana
         2    Bob joins support
         3    Yan picks Bob             -> no: plan_limit
         4    Zoe accepts               -> Zoe has Ana
         5    Zoe starts Ana
         # Once a slot is free, every department is looked at again.
         6    Zoe completes Ana         -> Ana ended completed; Yan is offered Bob
         7    Cid joins sales
         8    plan none                 -> Zoe is offered Cid",
    );
}
