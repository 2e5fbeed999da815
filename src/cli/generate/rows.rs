//! Owns the rows of a call that ended: its own, its personal link's, what its customer said of it.

use super::people::{Customer, describe};
use super::simulation::{Simulation, What};
use super::{Sink, fate};
use crate::domain::call::EndReason;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, LinkId};
use crate::store::generated::{CallRow, LinkRow, Rating};

/// Calls whose agent notes something.
const NOTED: f64 = 0.06;
/// How long personal links may be used.
const LINK_SECONDS: u64 = 7 * 24 * 60 * 60;

impl<S: Sink> Simulation<'_, S> {
    /// Writes the row of a call that ends now, its link's, and plans its rating.
    pub(super) fn write(&mut self, place: usize, end_reason: EndReason, wrap_up_ends_at: Option<Timestamp>) {
        let now = self.now;
        let mut rated = None;
        let (mut notes, mut cancel_reason) = (None, None);
        match end_reason {
            EndReason::Completed => {
                rated = fate::rating(&mut self.chance);
                if self.chance.happens(NOTED) {
                    notes = self.chance.pick(&fate::NOTES);
                }
            }
            EndReason::Withdrawn => cancel_reason = self.chance.pick(&fate::CANCEL_REASONS),
            _ => {}
        }
        let rating = rated.map(|(after, stars, comment, verified)| Rating {
            stars,
            comment,
            verified,
            at: Timestamp::from_micros(now.micros() + (after * 1e6) as i64),
        });
        let call = &self.calls[place];
        let (desk, agent, id, customer) = (call.desk, call.agent, call.id, call.customer);
        describe(customer, &mut self.contact);
        self.sink.call(&CallRow {
            id,
            number: call.number,
            department_id: self.plan.desks[desk].department,
            link_id: call.link,
            customer_id: customer.id,
            customer: &self.contact,
            reason: call.reason,
            priority: call.priority,
            joined_at: call.joined_at,
            ranked_at: call.ranked_at,
            end_reason,
            user_id: agent.map(|agent| self.plan.workers[agent].user),
            grant_id: call.grant,
            assigned_at: call.assigned_at,
            accepted_at: call.accepted_at,
            started_at: call.started_at,
            ended_at: now,
            wrap_up_ends_at,
            last_offer: call.last_offer,
            transfer: call.transfer.as_deref(),
            connected: end_reason != EndReason::NeverConnected,
            service_level_seconds: call.service_level_seconds,
            estimate: (call.estimate.p50_seconds, call.estimate.p90_seconds),
            version: call.version,
            rating,
            notes,
            cancel_reason,
        });
        if let (Some(link), Some(since)) = (call.link, call.personal_since) {
            let used = Some((call.joined_at, id));
            let cancelled = (end_reason == EndReason::LinkCancelled).then_some(now);
            self.write_link(link, desk, customer, since, used, cancelled);
        }
        if let Some(rating) = rating {
            self.at(rating.at, What::Rated { call: id, desk, agent, stars: rating.stars, verified: rating.verified });
        }
    }

    /// Writes a link for the person described last.
    pub(super) fn write_link(
        &mut self,
        id: LinkId,
        desk: usize,
        customer: Customer,
        inserted_at: Timestamp,
        used: Option<(Timestamp, CallId)>,
        cancelled_at: Option<Timestamp>,
    ) {
        // A used or old link opens nothing, so its token need not be a secret; it must only be nobody else's.
        self.token.clear();
        let _ = std::fmt::Write::write_fmt(&mut self.token, format_args!("g{}", id.0.simple()));
        // Half of the links are made for somebody the company knows by then.
        let known = used.is_some() && customer.number.is_multiple_of(2);
        self.sink.link(&LinkRow {
            id,
            token: &self.token,
            department_id: self.plan.desks[desk].department,
            customer_id: known.then_some(customer.id),
            contact: &self.contact,
            inserted_at,
            expires_at: inserted_at.plus_seconds(LINK_SECONDS),
            used,
            cancelled_at,
        });
    }
}
