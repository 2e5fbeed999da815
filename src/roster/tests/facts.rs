//! Stories of the five facts: intent, held, lease, slots, profile. RULES.md, "Agents: five facts".

use super::company::tell;

#[test]
fn why_an_agent_may_not_be_offered_a_call() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Zoe may?                  -> Offline
         1    Zoe sets available        -> Zoe is available
         1    Zoe may?                  -> NotConnected
         2    Zoe attaches
         2    Zoe may?                  -> yes
         3    Zoe sets paused           -> Zoe is paused
         3    Zoe may?                  -> Paused
         4    Zoe sets available        -> Zoe is available
         5    Ana joins sales           -> Zoe is offered Ana
         5    Zoe may?                  -> NoFreeSlot
         6    Zoe accepts               -> Zoe has Ana
         7    Zoe sets paused after_call -> Zoe is available
         7    Zoe may?                  -> AfterCall",
    );
}

#[test]
fn three_misses_in_a_row_hold_until_the_next_set_status() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Zoe comes
         0    Ana joins sales           -> Zoe is offered Ana
         26   time passes               -> @20 Zoe loses Ana timed_out; @25 Zoe is offered Ana
         51   time passes               -> @45 Zoe loses Ana timed_out; @50 Zoe is offered Ana
         71   time passes               -> @70 Zoe loses Ana timed_out; @70 Zoe is available held missed_offers
         72   Zoe may?                  -> Held
         80   Zoe sets available        -> Zoe is available; Zoe is offered Ana
         # One more miss is the first of the next three.
         101  time passes               -> @100 Zoe loses Ana timed_out
         101  Zoe may?                  -> yes",
    );
}

#[test]
fn a_decline_or_an_accept_ends_the_row_of_misses() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Zoe comes
         0    Ana joins sales           -> Zoe is offered Ana
         26   time passes               -> @20 Zoe loses Ana timed_out; @25 Zoe is offered Ana
         51   time passes               -> @45 Zoe loses Ana timed_out; @50 Zoe is offered Ana
         52   Zoe declines              -> Zoe loses Ana withdrawn
         78   time passes               -> @57 Zoe is offered Ana; @77 Zoe loses Ana timed_out
         78   Zoe may?                  -> yes",
    );
}

#[test]
fn a_status_chosen_for_later_ends_the_hold_as_well() {
    tell(
        "0    department sales
         0    Zoe serves sales slots 2
         0    Zoe comes
         0    Bob joins sales           -> Zoe is offered Bob
         1    Zoe accepts               -> Zoe has Bob
         1    Zoe starts Bob
         2    Ana joins sales           -> Zoe is offered Ana
         80   time passes               -> @22 Zoe loses Ana timed_out; @27 Zoe is offered Ana; @47 Zoe loses Ana timed_out; @52 Zoe is offered Ana; @72 Zoe loses Ana timed_out; @72 Zoe is available held missed_offers
         81   Zoe sets available after_call -> Zoe is available; Zoe is offered Ana
         82   Zoe completes Bob         -> Bob ended completed; Zoe wraps up until 97
         83   Zoe declines              -> Zoe loses Ana withdrawn
         98   time passes               -> @88 Zoe is offered Ana; @97 Zoe is available after_call",
    );
}

#[test]
fn a_pause_withdraws_what_stands_and_no_miss_is_counted() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Zoe comes
         0    Ana joins sales           -> Zoe is offered Ana
         1    Zoe sets paused           -> Zoe is paused; Zoe loses Ana agent_paused
         2    Zoe sets available        -> Zoe is available; Zoe is offered Ana
         3    Zoe sets offline          -> Zoe is offline; Zoe loses Ana agent_paused
         4    Zoe sets available by Sue -> Zoe is available by Sue; Zoe is offered Ana",
    );
}

#[test]
fn whoever_leaves_a_department_or_the_company_loses_its_offers() {
    tell(
        "0    department sales
         0    department support
         0    Zoe serves sales,support
         0    Zoe comes
         0    Ana joins sales           -> Zoe is offered Ana
         1    Zoe serves support        -> Zoe loses Ana agent_paused
         2    Bob joins support         -> Zoe is offered Bob
         3    Zoe accepts               -> Zoe has Bob
         4    Zoe removed               -> Bob waits for his agent until 19
         5    Zoe sets available        -> no: unknown_agent
         20   time passes               -> @19 Bob back agent_lost",
    );
}

#[test]
fn whoever_comes_back_is_as_he_was() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Zoe comes
         1    Zoe removed
         2    Ana joins sales
         3    Zoe serves sales
         3    Zoe may?                  -> NotConnected
         4    Zoe attaches              -> Zoe is offered Ana
         5    Zoe accepts               -> Zoe has Ana
         6    Zoe removed               -> Ana waits for his agent until 21
         7    Zoe serves sales
         8    Zoe may?                  -> NotConnected
         9    Zoe attaches              -> Ana has his agent back",
    );
}
