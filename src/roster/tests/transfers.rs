//! Stories of calls that go from one department or agent to another, of departments that are pulled from, and of weights.

use super::company::tell;

#[test]
fn a_transferred_call_meets_the_free_agent_of_the_other_department() {
    tell(
        "0    department sales wrap_up 10
         0    department billing
         0    Zoe serves sales
         0    Yan serves billing
         0    Zoe comes
         0    Yan comes
         1    Ana joins sales             -> Zoe is offered Ana
         2    Zoe accepts                 -> Zoe has Ana
         3    Zoe starts Ana
         9    Zoe transfers Ana to billing -> Ana goes to billing; Zoe wraps up until 19; Yan is offered Ana
         10   Yan accepts                 -> Yan has Ana
         11   Zoe does?                   -> wrap_up
         19   Zoe may?                    -> yes",
    );
}

#[test]
fn the_wrap_up_of_who_gave_a_call_away_is_his_own_also_after_a_restart() {
    tell(
        "0    department sales wrap_up 60
         0    department billing
         0    Zoe serves sales
         0    Zoe comes
         1    Ana joins sales             -> Zoe is offered Ana
         2    Zoe accepts                 -> Zoe has Ana
         3    Zoe starts Ana
         9    Zoe transfers Ana to billing -> Ana goes to billing; Zoe wraps up until 69
         20   everything restarts after 5
         25   queue starts sales
         25   queue starts billing
         25   Zoe attaches
         26   Zoe does?                   -> wrap_up
         # The time nobody served does not count.
         73   Zoe does?                   -> wrap_up
         75   Zoe does?                   -> idle",
    );
}

#[test]
fn a_call_kept_for_an_agent_comes_to_him_when_he_is_free_and_before_what_is_older() {
    tell(
        "0    department sales wrap_up 0
         0    department billing wrap_up 0
         0    Zoe serves sales,billing
         0    Yan serves sales
         0    Zoe comes
         1    Bob joins billing           -> Zoe is offered Bob
         2    Zoe accepts                 -> Zoe has Bob
         2    Zoe starts Bob
         3    Cid joins billing
         4    Ana joins sales
         # Yan comes to work, and Ana is not his: she is kept for Zoe.
         5    Sue moves Ana for Zoe
         6    Yan comes
         # Zoe is free: Cid waits longer, Ana is meant for her.
         7    Zoe completes Bob           -> Bob ended completed; Zoe is offered Ana",
    );
}

#[test]
fn a_call_kept_in_vain_is_everybodys() {
    tell(
        "0    department sales offer_timeout 10
         0    Zoe serves sales
         0    Yan serves sales
         1    Ana joins sales
         2    Sue moves Ana for Zoe
         3    Yan comes
         12   time passes                 -> @12 Yan is offered Ana",
    );
}

#[test]
fn a_department_that_is_pulled_from_rings_nobody() {
    tell(
        "0    department sales mode pull wrap_up 0
         0    Zoe serves sales
         0    Zoe comes
         1    Ana joins sales
         2    Bob joins sales
         3    Zoe picks Bob               -> Zoe has Bob
         4    Zoe starts Bob
         5    Zoe completes Bob           -> Bob ended completed
         6    department sales mode push  -> Zoe is offered Ana
         7    department sales mode pull  -> Zoe loses Ana withdrawn
         8    Zoe may?                    -> yes",
    );
}

#[test]
fn a_step_of_weight_is_a_minute_between_departments() {
    tell(
        "0    department sales
         0    department billing weighs 1
         0    Zoe serves sales,billing
         1    Ana joins sales
         40   Bob joins billing
         # Bob came later, and less than a minute.
         50   Zoe comes                   -> Zoe is offered Bob
         51   Zoe accepts                 -> Zoe has Bob",
    );
}

#[test]
fn a_weight_puts_no_department_before_one_that_waits_longer_than_its_bound() {
    tell(
        "0    department sales
         0    department billing weighs 1
         0    Zoe serves sales,billing
         1    Ana joins sales
         62   Bob joins billing
         63   Zoe comes                   -> Zoe is offered Ana",
    );
}
