//! Owns what each of Voki's plans includes: the only place where a limit of a plan is a number. Who counts what is used,
//! and who refuses what is over, stand elsewhere.

use std::fmt;

use super::words::words;

words! {
    /// Voki's plans.
    Plan {
        Free = "free",
        Basic = "basic",
        Advanced = "advanced",
        Professional = "professional",
        Enterprise = "enterprise",
    }
}

/// What a plan includes (Voki's table of plans); `None` is without limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls with an agent at once.
    pub concurrent_calls: Option<u32>,
    /// Active users.
    pub users: Option<u32>,
    /// Active departments.
    pub departments: Option<u32>,
    pub recording: bool,
    pub transcription: bool,
    /// The full analytics; the basic ones are in every plan.
    pub analytics: bool,
    pub webhooks: bool,
}

impl Plan {
    /// What it includes.
    pub const fn limits(self) -> Limits {
        let (concurrent_calls, users, departments) = match self {
            Plan::Free => (Some(1), Some(2), Some(1)),
            Plan::Basic => (Some(3), Some(10), Some(3)),
            Plan::Advanced => (Some(5), Some(25), Some(10)),
            Plan::Professional => (Some(10), Some(50), Some(20)),
            Plan::Enterprise => (None, None, None),
        };
        let beyond_basic = !matches!(self, Plan::Free | Plan::Basic);
        Limits {
            concurrent_calls,
            users,
            departments,
            recording: !matches!(self, Plan::Free),
            transcription: beyond_basic,
            analytics: beyond_basic,
            webhooks: beyond_basic,
        }
    }

    /// Days for which recordings are kept. Voki says only that it depends on the plan. Free plans make none; what a company
    /// recorded before it changed to one is kept as on the smallest that does. Five years is how long a Brazilian consumer
    /// may claim damages (Código de Defesa do Consumidor, art. 27).
    pub const fn recording_days(self) -> u32 {
        match self {
            Plan::Free | Plan::Basic => 30,
            Plan::Advanced => 90,
            Plan::Professional => 365,
            Plan::Enterprise => 5 * 365,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a plan may not reach to. Concurrent calls are missing: they are bounded by the roster, which makes calls wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanLimit {
    /// One more active user.
    Users,
    /// One more active department.
    Departments,
    /// Any webhook.
    Webhooks,
    Recording,
    Transcription,
    /// The full analytics.
    Analytics,
}

/// Why something was refused: the plan does not include it, or not more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanExceeded {
    pub plan: Plan,
    pub limit: PlanLimit,
}

impl fmt::Display for PlanExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = self.plan.limits();
        write!(f, "Plan limit reached: the {} plan ", self.plan)?;
        let allows = |f: &mut fmt::Formatter<'_>, most: Option<u32>, what: &str| {
            let most = most.unwrap_or(u32::MAX);
            write!(f, "allows {most} {what}{}", if most == 1 { "" } else { "s" })
        };
        match self.limit {
            PlanLimit::Users => allows(f, limits.users, "user"),
            PlanLimit::Departments => allows(f, limits.departments, "department"),
            PlanLimit::Webhooks => f.write_str("does not include webhooks"),
            PlanLimit::Recording => f.write_str("does not include recording"),
            PlanLimit::Transcription => f.write_str("does not include transcription"),
            PlanLimit::Analytics => f.write_str("includes only the basic analytics"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plans_are_vokis() {
        let table = Plan::ALL.iter().map(|plan| {
            let limits = plan.limits();
            let number = |most: Option<u32>| most.map_or("unlimited".to_owned(), |most| most.to_string());
            let yes = |included| if included { "yes" } else { "no" };
            format!(
                "{plan}: {} calls, {} users, {} departments, recording {}, transcription {}, analytics {}, webhooks {}",
                number(limits.concurrent_calls),
                number(limits.users),
                number(limits.departments),
                yes(limits.recording),
                yes(limits.transcription),
                if limits.analytics { "full" } else { "basic" },
                yes(limits.webhooks),
            )
        });
        assert_eq!(
            table.collect::<Vec<_>>(),
            [
                "free: 1 calls, 2 users, 1 departments, recording no, transcription no, analytics basic, webhooks no",
                "basic: 3 calls, 10 users, 3 departments, recording yes, transcription no, analytics basic, webhooks no",
                "advanced: 5 calls, 25 users, 10 departments, recording yes, transcription yes, analytics full, webhooks yes",
                "professional: 10 calls, 50 users, 20 departments, recording yes, transcription yes, analytics full, \
                 webhooks yes",
                "enterprise: unlimited calls, unlimited users, unlimited departments, recording yes, transcription yes, \
                 analytics full, webhooks yes",
            ]
        );
    }

    #[test]
    fn a_refusal_names_the_limit() {
        let said = |plan, limit| PlanExceeded { plan, limit }.to_string();
        assert_eq!(said(Plan::Free, PlanLimit::Users), "Plan limit reached: the free plan allows 2 users");
        assert_eq!(said(Plan::Free, PlanLimit::Departments), "Plan limit reached: the free plan allows 1 department");
        assert_eq!(
            said(Plan::Basic, PlanLimit::Webhooks),
            "Plan limit reached: the basic plan does not include webhooks"
        );
    }
}
