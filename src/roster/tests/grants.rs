//! Stories of grants between departments: hand-backs do not spin and starve nobody behind. RULES.md, "Demand", 3.

use super::company::tell;

#[test]
fn a_call_he_may_not_have_starves_nobody_behind_it() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Zoe comes
         1    Ana joins sales           -> Zoe is offered Ana
         2    Bob joins sales
         # Ana is excluded for five seconds, since nobody else may take her.
         3    Zoe declines              -> Zoe loses Ana withdrawn; Zoe is offered Bob
         4    Zoe declines              -> Zoe loses Bob withdrawn
         8    time passes               -> @8 Zoe is offered Ana",
    );
}

#[test]
fn excluded_in_one_department_he_serves_the_other() {
    tell(
        "0    department sales
         0    department support
         0    Zoe serves sales,support
         0    Yan serves sales
         0    Yan comes
         0    Ana joins sales           -> Yan is offered Ana
         1    Bob joins support
         2    Yan accepts               -> Yan has Ana
         3    Zoe comes                 -> Zoe is offered Bob
         4    Cid joins sales
         5    Zoe declines              -> Zoe loses Bob withdrawn; Zoe is offered Cid
         6    Zoe declines              -> Zoe loses Cid withdrawn
         # Bob: alone in support, five seconds. Cid: Yan may take her, thirty.
         40   time passes               -> @10 Zoe is offered Bob; @30 Zoe loses Bob timed_out; @35 Zoe is offered Bob",
    );
}

#[test]
fn of_two_departments_the_older_call_wins_even_when_the_oldest_excludes_him() {
    tell(
        "0    department sales
         0    department support
         0    Zoe serves sales,support
         0    Yan serves sales
         0    Ana joins sales
         1    Bob joins sales
         2    Cid joins support
         3    Dan joins sales
         3    Zoe comes                 -> Zoe is offered Ana
         4    Zoe declines              -> Zoe loses Ana withdrawn; Zoe is offered Bob
         5    Zoe declines              -> Zoe loses Bob withdrawn; Zoe is offered Cid
         6    Zoe declines              -> Zoe loses Cid withdrawn; Zoe is offered Dan",
    );
}

#[test]
fn a_grant_handed_back_leaves_the_idle_clock_alone() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Yan serves sales
         0    Zoe comes
         1    Yan comes
         2    Ana joins sales           -> Zoe is offered Ana
         3    Yan sets paused           -> Yan is paused
         4    Zoe declines              -> Zoe loses Ana withdrawn
         # Zoe was granted and handed back for Ana again and again; her clock runs since her decline at 4, Yan's stood at 2 s.
         5    Yan sets available        -> Yan is available; Yan is offered Ana
         6    Bob joins sales           -> Zoe is offered Bob",
    );
}

#[test]
fn a_customer_who_comes_back_is_demanded_again() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Ana joins sales
         20   Ana gone
         21   Zoe comes
         30   Ana back                  -> Zoe is offered Ana
         31   Ana gone                  -> Zoe loses Ana customer_left
         32   Ana back                  -> Zoe is offered Ana",
    );
}

#[test]
fn a_hand_pick_needs_a_slot_and_not_the_will() {
    tell(
        "0    department sales
         0    department support
         0    Zoe serves sales
         0    Sue serves support supervisor
         0    Ana joins sales
         0    Bob joins sales
         0    Cid joins support
         1    Zoe picks Bob             -> Zoe has Bob
         2    Zoe picks Ana             -> no: no_free_slot
         3    Zoe picks Cid             -> no: not_in_department
         # A supervisor may, and a pause does not take back what he picked.
         4    Sue picks Ana             -> Sue has Ana
         5    Sue sets paused           -> Sue is paused
         6    Sue starts Ana",
    );
}

#[test]
fn a_pick_that_came_too_late_does_not_keep_its_agent_from_others() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Yan serves sales
         0    Yan comes
         1    Ana joins sales           -> Yan is offered Ana
         2    Zoe attaches
         3    Bob joins sales
         4    mail waits
         5    Zoe picks Ana
         6    Yan accepts               -> Yan has Ana; no: already_taken
         7    Zoe sets available        -> Zoe is available
         8    mail comes                -> Zoe is offered Bob",
    );
}

#[test]
fn new_skills_while_a_grant_is_on_its_way_are_not_forgotten() {
    tell(
        "0    department sales
         0    Zoe serves sales slots 2
         0    Yan serves sales skilled english
         0    Ana joins sales needs english
         1    Zoe comes
         2    mail waits
         3    Bob joins sales
         4    mail comes                -> Zoe is offered Bob
         5    Zoe serves sales slots 2 skilled english -> Zoe is offered Ana",
    );
}
