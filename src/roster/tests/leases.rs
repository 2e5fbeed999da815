//! Stories of leases: what a lost connection costs, and what not. RULES.md, "Agents: five facts".

use super::company::tell;

#[test]
fn an_offer_is_withdrawn_when_the_lease_is_lost_without_a_miss() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Zoe attaches phone
         0    Zoe attaches laptop
         0    Zoe sets available        -> Zoe is available
         0    Ana joins sales           -> Zoe is offered Ana
         1    Zoe detaches phone
         2    Zoe detaches laptop
         # What stands before him stays for the lease's grace; nothing new is offered.
         16   Zoe accepts               -> Zoe has Ana
         # The lease was not lost yet when he accepted, so it binds this call.
         33   time passes               -> @17 Ana waits for his agent until 32; @32 Ana back agent_lost",
    );
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Zoe attaches phone
         0    Zoe sets available        -> Zoe is available
         0    Ana joins sales           -> Zoe is offered Ana
         1    Zoe detaches phone
         17   time passes               -> @16 Zoe loses Ana withdrawn
         # As he was, without a click.
         18   Zoe attaches phone        -> Zoe is offered Ana",
    );
}

#[test]
fn a_running_call_waits_for_its_agent_and_he_resumes() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Zoe attaches phone
         0    Zoe sets available        -> Zoe is available
         0    Ana joins sales           -> Zoe is offered Ana
         1    Zoe accepts               -> Zoe has Ana
         2    Zoe starts Ana
         10   Zoe detaches phone
         20   Zoe attaches phone
         30   Zoe detaches phone
         46   time passes               -> @45 Ana waits for his agent until 165
         60   Zoe attaches phone        -> Ana has his agent back
         70   Zoe detaches phone
         206  time passes               -> @85 Ana waits for his agent until 205; @205 Ana back agent_lost
         207  Zoe may?                  -> NotConnected",
    );
}

#[test]
fn an_assigned_call_goes_back_fifteen_seconds_after_the_lease() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Yan serves sales
         0    Zoe attaches phone
         0    Zoe sets available        -> Zoe is available
         0    Ana joins sales           -> Zoe is offered Ana
         0    Yan comes
         1    Zoe accepts               -> Zoe has Ana
         2    Zoe detaches phone
         33   time passes               -> @17 Ana waits for his agent until 32; @32 Ana back agent_lost; @32 Yan is offered Ana",
    );
}

#[test]
fn an_accept_that_crosses_the_loss_of_the_lease_is_bound_by_it() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Zoe attaches phone
         0    Zoe sets available        -> Zoe is available
         0    Ana joins sales           -> Zoe is offered Ana
         1    Zoe detaches phone
         2    mail waits
         # At 16 the roster asks for the offer back; the queue has not heard it when he accepts.
         17   Zoe accepts               -> Zoe has Ana
         18   mail comes                -> Ana waits for his agent until 33
         34   time passes               -> @33 Ana back agent_lost",
    );
}

#[test]
fn the_customer_may_ask_for_another_agent() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Yan serves sales
         0    Zoe attaches phone
         0    Zoe sets available        -> Zoe is available
         0    Ana joins sales           -> Zoe is offered Ana
         0    Yan comes
         1    Zoe accepts               -> Zoe has Ana
         2    Zoe starts Ana
         3    Zoe detaches phone
         20   Ana leaves                -> @18 Ana waits for his agent until 138; Ana back customer_asked; Yan is offered Ana",
    );
}

#[test]
fn work_taken_without_a_socket_is_not_bound_by_a_lease() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Ana joins sales
         1    Zoe picks Ana             -> Zoe has Ana
         2    Zoe starts Ana
         500  Zoe completes Ana         -> Ana ended completed; Zoe wraps up until 515",
    );
}

#[test]
fn an_offer_that_nobody_could_hear_is_no_miss() {
    tell(
        "0    department sales offer_timeout 5
         0    Zoe serves sales
         0    Zoe attaches phone
         0    Zoe sets available        -> Zoe is available
         0    Ana joins sales           -> Zoe is offered Ana
         1    Zoe detaches phone
         6    Zoe attaches phone        -> @5 Zoe loses Ana timed_out
         11   Zoe detaches phone        -> @10 Zoe is offered Ana
         16   Zoe attaches phone        -> @15 Zoe loses Ana timed_out
         21   Zoe detaches phone        -> @20 Zoe is offered Ana
         26   Zoe attaches phone        -> @25 Zoe loses Ana timed_out
         27   Zoe may?                  -> yes",
    );
}
