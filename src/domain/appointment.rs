//! Owns the words of appointments: their statuses, which may follow which, and the bounds of their times. Rows, mails and
//! reminders are elsewhere.

use super::words::words;

words! {
    /// Voki's appointment statuses.
    AppointmentStatus {
        /// Made, and not confirmed yet.
        Scheduled = "scheduled",
        /// Confirmed by staff or by the customer.
        Confirmed = "confirmed",
        Completed = "completed",
        Cancelled = "cancelled",
        /// The customer did not come.
        NoShow = "no_show",
    }
}

/// Minutes of an appointment when nobody says how many (Voki's default).
pub const DURATION_MINUTES: u32 = 30;
/// The longest appointment: a day. Looking for conflicts reaches back no further than this.
pub const DURATION_MINUTES_MAX: u32 = 24 * 60;

impl AppointmentStatus {
    /// Whether the time is taken: only such an appointment conflicts, moves, is reminded of and joined.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Scheduled | Self::Confirmed)
    }

    /// Whether `next` may follow. What is over stays what it is; an open appointment may become anything but unmade.
    pub const fn can_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Scheduled, Self::Confirmed | Self::Completed | Self::Cancelled | Self::NoShow)
                | (Self::Confirmed, Self::Completed | Self::Cancelled | Self::NoShow)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::AppointmentStatus::{self, Cancelled, Completed, Confirmed, NoShow, Scheduled};

    #[test]
    fn what_is_over_stays_over() {
        for from in [Scheduled, Confirmed, Completed, Cancelled, NoShow] {
            let next: Vec<_> = AppointmentStatus::ALL.iter().copied().filter(|next| from.can_become(*next)).collect();
            let expected: &[AppointmentStatus] = match from {
                Scheduled => &[Confirmed, Completed, Cancelled, NoShow],
                Confirmed => &[Completed, Cancelled, NoShow],
                Completed | Cancelled | NoShow => &[],
            };
            assert_eq!(next, expected, "{from:?}");
            assert_eq!(from.is_open(), !expected.is_empty());
        }
    }
}
