//! What the tester knows of its own agents: who is free, for which department, and how many customers have had
//! no offer yet. It decides which customers count for "an agent was free"; it must not know the server's view.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// One department's counters.
#[derive(Debug, Default)]
struct Department {
    free_agents: AtomicI64,
    without_offer: AtomicI64,
}

/// Counters over a fixed set of departments and agents.
#[derive(Debug)]
pub struct Fleet {
    departments: HashMap<Arc<str>, Department>,
    /// Per agent: free or not, and the departments served.
    agents: Vec<(AtomicBool, Vec<Arc<str>>)>,
}

impl Fleet {
    /// `agents[i]` lists the departments of agent `i`; everybody starts busy.
    #[must_use]
    pub fn new(departments: impl IntoIterator<Item = Arc<str>>, agents: Vec<Vec<Arc<str>>>) -> Self {
        Self {
            departments: departments.into_iter().map(|id| (id, Department::default())).collect(),
            agents: agents.into_iter().map(|served| (AtomicBool::new(false), served)).collect(),
        }
    }

    /// Notes that an agent can take a call, or cannot. Telling it twice changes nothing.
    pub fn set_free(&self, agent: usize, free: bool) {
        let Some((flag, served)) = self.agents.get(agent) else { return };
        if flag.swap(free, Ordering::Relaxed) != free {
            for id in served {
                if let Some(department) = self.departments.get(id) {
                    department.free_agents.fetch_add(if free { 1 } else { -1 }, Ordering::Relaxed);
                }
            }
        }
    }

    /// A customer comes; true when an agent of the department was free beyond those whom earlier customers without
    /// an offer need. Agents who serve several departments count in each, so it errs towards counting a customer.
    pub fn arrive(&self, department_id: &str) -> bool {
        let Some(department) = self.departments.get(department_id) else { return false };
        let ahead = department.without_offer.fetch_add(1, Ordering::Relaxed);
        department.free_agents.load(Ordering::Relaxed) > ahead
    }

    /// The customer got a first offer, or never joined.
    pub fn settle(&self, department_id: &str) {
        if let Some(department) = self.departments.get(department_id) {
            department.without_offer.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How many agents are free now.
    #[must_use]
    pub fn free_count(&self) -> usize {
        self.agents.iter().filter(|(free, _)| free.load(Ordering::Relaxed)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_counts_only_when_somebody_was_left_for_him() {
        let sales: Arc<str> = Arc::from("sales");
        let fleet = Fleet::new([Arc::clone(&sales)], vec![vec![Arc::clone(&sales)]]);
        assert!(!fleet.arrive("sales"));
        fleet.settle("sales");
        fleet.set_free(0, true);
        fleet.set_free(0, true);
        assert!(fleet.arrive("sales"));
        assert!(!fleet.arrive("sales"), "the only free agent is the first customer's");
        fleet.set_free(0, false);
        assert_eq!(fleet.free_count(), 0);
    }
}
