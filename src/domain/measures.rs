//! Owns what the service measures: each figure's population, formula and unit, in this one place. Wallboards, analytics,
//! reports and their documents use these; how the sums are kept and read is for `store::rollups` and `reports`.
//!
//! A call belongs to the day and hour, on the clocks of its company, at which it joined the line, and to the department where
//! it is (so that a transferred call counts once, where it went). It stays there when it is answered or ends after midnight.

/// Whoever gave up sooner than this did not really wait: he counts for no rate but that of the short abandons.
pub const SHORT_ABANDON_SECONDS: i64 = 5;
/// From this rating on, of 5, a customer counts as satisfied.
pub const SATISFIED_FROM: i64 = 4;

/// Sums over the calls of a department, a day, an hour: what a wallboard needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Started (connected to an agent), each call once, however often it was given back or transferred later.
    pub answered: u64,
    /// Of the answered, those accepted within the department's `service_level_seconds` of the join.
    pub answered_in_time: u64,
    /// Whole seconds from the join to the acceptance, summed over the answered.
    pub wait_seconds: u64,
    /// Ended unanswered because the customer left, was away too long, never came, or waited out the longest wait. Taken out by
    /// staff is not abandoned. Short ones are included.
    pub abandoned: u64,
    /// Of these, those that ended sooner than [`SHORT_ABANDON_SECONDS`] after the join.
    pub abandoned_short: u64,
}

impl Answers {
    /// Service level: answered in time, over answered plus abandoned, short abandons excluded. 0 to 1; `None` while nobody
    /// counts.
    pub fn service_level(&self) -> Option<f64> {
        share(self.answered_in_time, self.answered + self.abandoned_long())
    }

    /// Abandonment rate: abandoned over answered plus abandoned, short abandons excluded on both sides. 0 to 1.
    pub fn abandonment_rate(&self) -> Option<f64> {
        share(self.abandoned_long(), self.answered + self.abandoned_long())
    }

    /// Short abandons over answered plus all abandoned. 0 to 1.
    pub fn short_abandonment_rate(&self) -> Option<f64> {
        share(self.abandoned_short, self.answered + self.abandoned)
    }

    /// Average speed of answer: seconds of wait of the answered over their number.
    pub fn average_speed_of_answer_seconds(&self) -> Option<f64> {
        share(self.wait_seconds, self.answered)
    }

    /// Abandoned, less the short ones.
    pub fn abandoned_long(&self) -> u64 {
        self.abandoned.saturating_sub(self.abandoned_short)
    }

    /// Without a part that was counted before.
    #[must_use]
    pub fn less(&self, other: &Self) -> Self {
        Self {
            answered: self.answered.saturating_sub(other.answered),
            answered_in_time: self.answered_in_time.saturating_sub(other.answered_in_time),
            wait_seconds: self.wait_seconds.saturating_sub(other.wait_seconds),
            abandoned: self.abandoned.saturating_sub(other.abandoned),
            abandoned_short: self.abandoned_short.saturating_sub(other.abandoned_short),
        }
    }

    /// The sum of two parts of a day or of a company.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            answered: self.answered + other.answered,
            answered_in_time: self.answered_in_time + other.answered_in_time,
            wait_seconds: self.wait_seconds + other.wait_seconds,
            abandoned: self.abandoned + other.abandoned,
            abandoned_short: self.abandoned_short + other.abandoned_short,
        }
    }
}

/// All sums that analytics are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub answers: Answers,
    /// Ended as completed.
    pub completed: u64,
    /// Ended as missed.
    pub missed: u64,
    /// Ended as cancelled.
    pub cancelled: u64,
    /// Ended after they were started: those that have a talk time.
    pub handled: u64,
    /// Whole seconds from the first start to the end, summed over the handled.
    pub talk_seconds: u64,
    /// Whole seconds of wrap-up after the handled, as it really was.
    pub wrap_up_seconds: u64,
    /// Rated by their customers.
    pub rated: u64,
    /// The sum of these ratings, each 1 to 5.
    pub rating_total: u64,
    /// Rated [`SATISFIED_FROM`] or better.
    pub satisfied: u64,
    /// Of the answered, those who were told at the join how long nine of ten wait, and more than "not at all".
    pub estimated: u64,
    /// Of these, those who waited no longer than that.
    pub estimate_kept: u64,
    /// How often a call was given on to a department or an agent, by the hour in which that happened.
    pub transfers: u64,
    /// Offers that nobody answered in time, by the hour in which they ran out.
    pub offers_missed: u64,
    /// Offers that were declined, likewise.
    pub offers_declined: u64,
}

impl Figures {
    /// Ended calls.
    pub fn total(&self) -> u64 {
        self.completed + self.missed + self.cancelled
    }

    /// Completed over all that ended. 0 to 1.
    pub fn completion_rate(&self) -> Option<f64> {
        share(self.completed, self.total())
    }

    /// Mean talk time of the handled, in seconds.
    pub fn average_talk_seconds(&self) -> Option<f64> {
        share(self.talk_seconds, self.handled)
    }

    /// Mean wrap-up of the handled, in seconds.
    pub fn average_wrap_up_seconds(&self) -> Option<f64> {
        share(self.wrap_up_seconds, self.handled)
    }

    /// Average handle time: talk and wrap-up of the handled over their number, in seconds.
    pub fn average_handle_seconds(&self) -> Option<f64> {
        share(self.talk_seconds + self.wrap_up_seconds, self.handled)
    }

    /// Mean of the ratings.
    pub fn average_rating(&self) -> Option<f64> {
        share(self.rating_total, self.rated)
    }

    /// The satisfied over the rated. 0 to 1.
    pub fn satisfaction_rate(&self) -> Option<f64> {
        share(self.satisfied, self.rated)
    }

    /// Coverage of the wait estimates: how many of the answered who were told a 90th percentile waited no longer. 0 to 1; good
    /// estimates come to 0.9.
    pub fn estimate_coverage(&self) -> Option<f64> {
        share(self.estimate_kept, self.estimated)
    }
}

/// How an agent's time was spent, in whole seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentTime {
    /// Available with a device connected, calls and wrap-ups included.
    pub available_seconds: u64,
    /// The same times the calls he may have at once: what he could have worked.
    pub capacity_seconds: u64,
    pub paused_seconds: u64,
    /// Held back by the system after missed offers.
    pub held_seconds: u64,
    /// Available, but without any device.
    pub disconnected_seconds: u64,
    /// Speaking with customers, each from the later of the call's start and his acceptance to its end or its transfer. Summed
    /// over his calls, so that two at once count twice.
    pub talk_seconds: u64,
    /// Wrapping up.
    pub wrap_up_seconds: u64,
}

impl AgentTime {
    /// Occupancy: talk and wrap-up over the time available times the calls he may have at once. Calls outlast the end of an
    /// availability, so what is worked counts as available at least. 0 to 1; `None` for who neither worked nor was there.
    pub fn occupancy(&self) -> Option<f64> {
        let worked = self.talk_seconds + self.wrap_up_seconds;
        share(worked, self.capacity_seconds.max(worked))
    }
}

/// `part` over `whole`; `None` when there is nothing to divide by.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// A rate as the reports show it: percent, to one decimal.
pub fn percent(rate: f64) -> f64 {
    tenths(rate * 100.0)
}

/// A mean of seconds as it is shown everywhere: in whole ones.
pub fn whole(seconds: f64) -> u64 {
    seconds.round() as u64
}

/// Rounded to one decimal, halves away from zero.
pub fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_of_nobody() {
        let none = Figures::default();
        assert_eq!((none.answers.service_level(), none.answers.abandonment_rate()), (None, None));
        assert_eq!((none.completion_rate(), none.average_handle_seconds(), none.average_rating()), (None, None, None));
        assert_eq!(AgentTime::default().occupancy(), None);
    }

    #[test]
    fn short_abandons_count_for_no_rate_but_their_own() {
        let answers = Answers { answered: 6, answered_in_time: 4, wait_seconds: 90, abandoned: 4, abandoned_short: 2 };
        assert_eq!(answers.service_level(), Some(0.5));
        assert_eq!(answers.abandonment_rate(), Some(0.25));
        assert_eq!(answers.short_abandonment_rate(), Some(0.2));
        assert_eq!(answers.average_speed_of_answer_seconds(), Some(15.0));
    }

    #[test]
    fn the_published_sample_comes_out() {
        // Voki's page on analytics: 342 calls, of which 298 completed, are 87.1 percent.
        let figures = Figures { completed: 298, missed: 28, cancelled: 16, ..Figures::default() };
        assert_eq!((figures.total(), figures.completion_rate().map(percent)), (342, Some(87.1)));
    }

    #[test]
    fn nobody_is_more_than_fully_occupied() {
        let time = AgentTime { capacity_seconds: 100, talk_seconds: 30, wrap_up_seconds: 20, ..AgentTime::default() };
        assert_eq!(time.occupancy(), Some(0.5));
        assert_eq!(AgentTime { talk_seconds: 200, ..time }.occupancy(), Some(1.0));
    }
}
