//! Owns what staff hear from their tenant: `notification:`, `presence:` and `tenant:`, their sequences and snapshots. It
//! reads the roster and changes nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;

use super::queue::STATS_PERIOD_MS;
use super::wire::{
    self, ActiveCall, Dashboard, DashboardState, DepartmentFigures, DepartmentName, Notice, NotificationState,
    OfferWithdrawn, PresenceState, Presences, Shown, WrapUpState,
};
use crate::domain::clock::Timestamp;
use crate::domain::department::Settings;
use crate::domain::ids::{CallId, DepartmentId, TenantId, UserId};
use crate::domain::measures::whole;
use crate::live::hub::Hub;
use crate::live::presence::Presence;
use crate::live::topic::Topic;
use crate::queue::view::Today;
use crate::roster::Roster;
use crate::roster::effect::{Said, StatusCause, StatusChanged};
use crate::roster::state::{Agent, Slot};

/// `presence_diff` is merged for so long.
const PRESENCE_PERIOD_MS: i64 = 250;

/// One department's part of the wallboard.
#[derive(Clone, Debug)]
struct Desk {
    figures: DepartmentFigures,
    active: u32,
    today: Today,
}

/// The state of a tenant's staff topics.
pub(super) struct StaffTopics {
    tenant: TenantId,
    epoch: u64,
    presences: Presences,
    presence_changed: bool,
    presence_due: Timestamp,
    /// The last number pushed to each agent; one entry per agent who was ever told something.
    notified: HashMap<UserId, u64>,
    calls: HashMap<CallId, ActiveCall>,
    desks: BTreeMap<DepartmentId, Desk>,
    dashboard: Dashboard,
    dashboard_changed: bool,
    dashboard_due: Timestamp,
    dashboard_seq: u64,
}

impl StaffTopics {
    /// Topics whose wallboard shows `today` of each department until its queue tells more.
    pub fn new(tenant: TenantId, epoch: u64, departments: &[Settings], today: &HashMap<DepartmentId, Today>) -> Self {
        let mut topics = Self {
            tenant,
            epoch,
            presences: BTreeMap::new(),
            presence_changed: false,
            presence_due: Timestamp::default(),
            notified: HashMap::new(),
            calls: HashMap::new(),
            desks: BTreeMap::new(),
            dashboard: Dashboard::default(),
            dashboard_changed: true,
            dashboard_due: Timestamp::default(),
            dashboard_seq: 0,
        };
        for settings in departments {
            topics.department(settings);
        }
        for (department, today) in today {
            topics.desks.entry(*department).and_modify(|desk| desk.today = *today);
        }
        topics
    }

    /// A department was made or renamed.
    pub fn department(&mut self, settings: &Settings) {
        let epoch = self.epoch;
        self.presences.entry(settings.department_id).or_insert_with(|| Presence::new(epoch));
        let desk = self.desks.entry(settings.department_id).or_insert_with(|| Desk {
            figures: DepartmentFigures {
                id: settings.department_id,
                name: settings.name.clone(),
                queue_size: 0,
                longest_wait: None,
                available_agents: 0,
            },
            active: 0,
            today: Today::default(),
        });
        desk.figures.name = settings.name.clone();
        self.dashboard_changed = true;
    }

    /// A department was deleted.
    pub fn remove_department(&mut self, department: DepartmentId) {
        self.presences.remove(&department);
        self.desks.remove(&department);
        self.dashboard_changed = true;
    }

    /// A queue's numbers changed.
    pub fn figures(&mut self, figures: DepartmentFigures, active: u32, today: Today) {
        // Of a deleted department nothing is shown.
        if let Some(desk) = self.desks.get_mut(&figures.id) {
            *desk = Desk { figures, active, today };
            self.dashboard_changed = true;
        }
    }

    /// The company's midnight. Queues that run say so of themselves; those that do not have nothing to say.
    pub fn start_day(&mut self) {
        self.desks.values_mut().for_each(|desk| desk.today = Today::default());
        self.dashboard_changed = true;
    }

    /// What a call of an agent looks like now, or that it is over.
    pub fn call(&mut self, call: CallId, view: Option<ActiveCall>) {
        match view {
            Some(view) => {
                self.calls.insert(call, view);
            }
            None => {
                self.calls.remove(&call);
            }
        }
    }

    fn notify(&mut self, hub: &Hub, user: UserId, event: &'static str, payload: &impl Serialize) {
        let seq = self.notified.entry(user).or_insert(0);
        *seq += 1;
        hub.publish_sequenced(self.tenant, Topic::Notification(user), self.epoch, *seq, event, payload);
    }

    /// Says what was kept for a user, after its commit.
    pub fn notices(&mut self, hub: &Hub, user: UserId, notices: &[Notice]) {
        for notice in notices {
            match notice {
                Notice::Notification(notification) => self.notify(hub, user, "new_notification", notification),
                Notice::AppointmentReminder(reminder) => self.notify(hub, user, "appointment_reminder", reminder),
            }
        }
    }

    /// Says what promises nothing.
    pub fn say(&mut self, roster: &Roster, hub: &Hub, said: Said) {
        match said {
            Said::Offered(offer) => self.notify(hub, offer.user, "call_offered", &*offer),
            Said::OfferWithdrawn { user, offer, reason } => {
                let payload = OfferWithdrawn { offer_id: offer.grant, call_id: offer.call_id, reason: reason.as_str() };
                self.notify(hub, user, "offer_withdrawn", &payload);
            }
            Said::WrapUp { user, call, ends_at } => {
                self.notify(hub, user, "wrap_up", &WrapUpState { call_id: call, ends_at });
            }
            Said::Presence { user } => self.present(roster, user),
        }
    }

    fn present(&mut self, roster: &Roster, user: UserId) {
        let agent = roster.agent(user);
        for (department, presence) in &mut self.presences {
            let shown =
                agent.filter(|agent| agent.is_online() && agent.profile().departments.contains(department)).map(shown);
            self.presence_changed |= match shown {
                Some(shown) => presence.track(user, shown),
                None => presence.untrack(user),
            };
        }
        self.dashboard_changed = true;
    }

    /// `status_changed`, after its commit.
    pub fn status_changed(&mut self, roster: &Roster, hub: &Hub, changed: &StatusChanged) {
        let Some(agent) = roster.agent(changed.user) else { return };
        let (intent, _) = agent.intent();
        let (cause, by) = match &changed.cause {
            StatusCause::You | StatusCause::AfterCall => ("you", None),
            StatusCause::MissedOffers => ("missed_offers", None),
            StatusCause::Supervisor(name) => ("supervisor", Some(name.clone())),
        };
        let payload = wire::StatusChanged {
            status: intent.status,
            held: agent.held(),
            activity: agent.activity(),
            pause_reason: intent.reason.clone(),
            cause,
            by,
        };
        self.notify(hub, changed.user, "status_changed", &payload);
    }

    /// A new life begins with whole states: what clients held came from another.
    pub fn begin(&mut self, hub: &Hub) {
        for (department, presence) in &mut self.presences {
            let _ = presence.take_diff();
            hub.publish(self.tenant, Topic::Presence(*department), "presence_state", presence.state());
        }
    }

    /// When something merged is due to be told.
    pub fn next_flush(&self) -> Option<Timestamp> {
        let presence = self.presence_changed.then_some(self.presence_due);
        let dashboard = self.dashboard_changed.then_some(self.dashboard_due);
        [presence, dashboard].into_iter().flatten().min()
    }

    /// Tells what was merged and is due.
    pub fn flush(&mut self, roster: &Roster, hub: &Hub, now: Timestamp) {
        if self.presence_changed && now >= self.presence_due {
            self.presence_changed = false;
            self.presence_due = Timestamp::from_micros(now.micros() + PRESENCE_PERIOD_MS * 1_000);
            for (department, presence) in &mut self.presences {
                if let Some(diff) = presence.take_diff() {
                    hub.publish(self.tenant, Topic::Presence(*department), "presence_diff", &diff);
                }
            }
        }
        if self.dashboard_changed && now >= self.dashboard_due {
            self.dashboard_changed = false;
            self.dashboard_due = Timestamp::from_micros(now.micros() + STATS_PERIOD_MS * 1_000);
            let dashboard = self.compute(roster);
            if dashboard != self.dashboard {
                self.dashboard = dashboard;
                self.dashboard_seq += 1;
                let topic = Topic::Tenant(self.tenant);
                let state = self.dashboard_state();
                hub.publish_sequenced(self.tenant, topic, self.epoch, self.dashboard_seq, "dashboard", &state);
            }
        }
    }

    fn compute(&self, roster: &Roster) -> Dashboard {
        let today = self.desks.values().fold(Today::default(), |sum, desk| sum.plus(&desk.today));
        Dashboard {
            active_calls: self.desks.values().map(|desk| desk.active).sum(),
            online_agents: roster.agents().filter(|agent| agent.is_online()).count() as u32,
            queue_size: self.desks.values().map(|desk| desk.figures.queue_size).sum(),
            average_wait_time: today.average_speed_of_answer_seconds().map(whole),
            abandonment_rate: today.abandonment_rate(),
            departments: self.desks.values().map(|desk| desk.figures.clone()).collect(),
        }
    }

    fn dashboard_state(&self) -> DashboardPush<'_> {
        DashboardPush { epoch: self.epoch, dashboard: &self.dashboard }
    }

    /// The join reply of `tenant:`.
    pub fn dashboard(&self, roster: &Roster) -> DashboardState {
        DashboardState { epoch: self.epoch, seq: self.dashboard_seq, dashboard: self.compute(roster) }
    }

    /// `presence_state` of a department.
    pub fn presence(&self, department: DepartmentId) -> PresenceState {
        self.presences.get(&department).map(|presence| presence.state().clone()).unwrap_or_default()
    }

    /// The join reply of `notification:`.
    pub fn notification(&self, roster: &Roster, user: UserId) -> Option<NotificationState> {
        let agent = roster.agent(user)?;
        let (intent, _) = agent.intent();
        let mut offers = Vec::new();
        let mut calls = Vec::new();
        let mut wrap_ups = Vec::new();
        for slot in agent.slots() {
            match slot {
                Slot::Granted { offer: Some(offer), .. } => offers.push(Arc::clone(offer)),
                Slot::Granted { .. } => {}
                Slot::Running { call, .. } => calls.extend(self.calls.get(call).cloned()),
                Slot::WrapUp { call, ends_at, .. } => {
                    wrap_ups.push(WrapUpState { call_id: *call, ends_at: *ends_at });
                }
            }
        }
        let departments = agent
            .profile()
            .departments
            .iter()
            .filter_map(|id| self.desks.get(id))
            .map(|desk| DepartmentName { id: desk.figures.id, name: desk.figures.name.clone() })
            .collect();
        Some(NotificationState {
            epoch: self.epoch,
            seq: self.notified.get(&user).copied().unwrap_or(0),
            status: intent.status,
            pause_reason: intent.reason.clone(),
            after_call: agent.after_call().map(|intent| intent.status),
            held: agent.held(),
            activity: agent.activity(),
            departments,
            offers,
            calls,
            wrap_ups,
        })
    }
}

/// The `dashboard` push; the hub adds `seq`.
#[derive(Serialize)]
struct DashboardPush<'a> {
    epoch: u64,
    #[serde(flatten)]
    dashboard: &'a Dashboard,
}

fn shown(agent: &Agent) -> Shown {
    let (intent, since) = agent.intent();
    Shown {
        name: agent.profile().name.clone(),
        status: intent.status,
        activity: agent.activity(),
        pause_reason: intent.reason.clone(),
        held: agent.held(),
        since,
    }
}
