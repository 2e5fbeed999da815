//! Stories of outages and restarts: agents are as they were, and no slot is lent twice.

use super::company::tell;

#[test]
fn a_dead_queue_frees_no_slot_before_its_next_life_speaks() {
    tell(
        "0    department sales
         0    department support
         0    Zoe serves sales,support
         0    Zoe comes
         0    Ana joins sales           -> Zoe is offered Ana
         1    Bob joins support
         # He accepts, it is recorded, and the queue dies before the roster hears of it.
         2    mail waits
         3    Zoe accepts               -> Zoe has Ana
         4    mail is_lost
         5    queue dies sales          -> Zoe loses Ana restarted
         6    Zoe may?                  -> NoFreeSlot
         7    queue starts sales
         8    Zoe does?                 -> in_call
         8    Zoe starts Ana
         9    Zoe completes Ana         -> Ana ended completed; Zoe wraps up until 24
         25   time passes               -> @24 Zoe is offered Bob",
    );
}

#[test]
fn what_a_dead_queue_only_offered_is_free_again() {
    tell(
        "0    department sales
         0    department support
         0    Zoe serves sales,support
         0    Zoe comes
         0    Ana joins sales           -> Zoe is offered Ana
         1    Bob joins support
         2    queue dies sales          -> Zoe loses Ana restarted
         3    queue starts sales        -> Zoe is offered Bob
         4    Zoe may?                  -> NoFreeSlot
         # Ana's device is back; a restart is no refusal, so nothing excludes Zoe.
         5    Ana back
         6    Zoe declines              -> Zoe loses Bob withdrawn; Zoe is offered Ana",
    );
}

#[test]
fn what_ended_with_a_queues_last_words_ends_for_its_agent() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Zoe comes
         0    Ana joins sales           -> Zoe is offered Ana
         1    Zoe accepts               -> Zoe has Ana
         2    Zoe starts Ana
         3    Zoe sets paused after_call -> Zoe is available
         4    mail waits
         5    Zoe completes Ana         -> Ana ended completed
         6    mail is_lost
         7    queue dies sales
         # Otherwise he would wait for the end of a call that is over.
         8    queue starts sales        -> Zoe is paused after_call",
    );
}

#[test]
fn after_a_restart_agents_are_as_they_were() {
    tell(
        "0    department sales
         0    department support
         0    Zoe serves sales,support
         0    Yan serves sales
         0    Xia serves sales
         0    Zoe comes
         0    Ana joins sales           -> Zoe is offered Ana
         1    Zoe accepts               -> Zoe has Ana
         2    Zoe starts Ana
         3    Yan comes
         3    Bob joins sales           -> Yan is offered Bob
         4    Yan accepts               -> Yan has Bob
         5    Yan starts Bob
         6    Yan completes Bob         -> Bob ended completed; Yan wraps up until 21
         7    Xia sets paused           -> Xia is paused
         8    Cid joins support
         10   everything restarts after 100
         # Calls are known before any queue speaks, so nobody is lent twice.
         110  Zoe may?                  -> NotConnected
         110  queue starts support
         111  Zoe attaches
         111  Zoe may?                  -> NoFreeSlot
         112  queue starts sales
         112  Zoe does?                 -> in_call
         # Wrap-ups are moved by the gap, intents stay.
         113  Yan does?                 -> wrap_up
         113  Xia attaches
         113  Xia may?                  -> Paused
         120  Zoe completes Ana         -> Ana ended completed; Zoe wraps up until 135",
    );
}

#[test]
fn whoever_is_not_back_after_a_restart_loses_his_call_in_time() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Zoe comes
         0    Ana joins sales           -> Zoe is offered Ana
         1    Zoe accepts               -> Zoe has Ana
         2    Zoe starts Ana
         10   everything restarts after 100
         111  queue starts sales
         111  Ana back
         250  time passes               -> @125 Ana waits for his agent until 245; @245 Ana back agent_lost",
    );
}

#[test]
fn a_wrap_up_ended_early_stays_ended() {
    tell(
        "0    department sales wrap_up 60
         0    Zoe serves sales
         0    Zoe comes
         0    Ana joins sales           -> Zoe is offered Ana
         1    Zoe accepts               -> Zoe has Ana
         2    Zoe starts Ana
         3    Zoe completes Ana         -> Ana ended completed; Zoe wraps up until 63
         4    Zoe ends_wrap_up
         5    everything restarts after 10
         16   Zoe does?                 -> idle",
    );
}

#[test]
fn during_an_outage_no_lease_and_no_wrap_up_ends() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Yan serves sales
         0    Zoe comes
         0    Ana joins sales           -> Zoe is offered Ana
         1    Zoe accepts               -> Zoe has Ana
         2    Zoe starts Ana
         3    Zoe completes Ana         -> Ana ended completed; Zoe wraps up until 18
         4    Yan attaches phone
         4    Yan sets available        -> Yan is available
         5    Yan detaches phone
         8    roster freezes
         8    queue freezes sales
         9    Yan sets paused           -> no: storage_unavailable
         9    Zoe ends_wrap_up          -> no: storage_unavailable
         108  Zoe does?                 -> wrap_up
         108  roster thaws
         108  queue thaws sales
         117  Zoe does?                 -> wrap_up
         119  Zoe does?                 -> idle
         120  Bob joins sales           -> Zoe is offered Bob",
    );
}

#[test]
fn a_removed_agent_is_forgotten_and_his_call_goes_back() {
    tell(
        "0    department sales
         0    Zoe serves sales
         0    Yan serves sales
         0    Zoe comes
         0    Ana joins sales           -> Zoe is offered Ana
         1    Zoe accepts               -> Zoe has Ana
         2    Zoe removed               -> Ana waits for his agent until 17
         3    queue dies sales
         # The next life does not know who is gone, and is told.
         4    queue starts sales        -> Ana waits for his agent until 19
         5    Ana back
         20   time passes               -> @19 Ana back agent_lost",
    );
}
