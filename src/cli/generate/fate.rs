//! Owns what becomes of calls: how long people wait, how agents answer, how talks go, what is said afterwards. The numbers
//! are of the kind that call centres report; each says what it is.

use super::chance::Chance;
use super::{Desk, Plan};
use crate::domain::call::{EndReason, OfferOutcome};

/// Median and spread of a talk in seconds; the mean is some five minutes.
const TALK_MEDIAN: f64 = 240.0;
const TALK_SIGMA: f64 = 0.65;
const TALK_MIN: f64 = 8.0;
/// Nobody talks longer: it bounds how long after midnight the last day may go on.
const TALK_MAX: f64 = 3_600.0;
/// Mean patience in seconds, and its bound.
const PATIENCE_MEAN: f64 = 420.0;
const PATIENCE_MAX: f64 = 1_200.0;
/// People who look in and go.
const HASTY: f64 = 0.03;
/// Joins nobody ever came for.
const GHOSTS: f64 = 0.006;
/// Calls that staff take out of the line unless they are answered before.
const WITHDRAWN: f64 = 0.015;
/// Personal links that are cancelled while somebody waits by them.
const LINKS_CANCELLED: f64 = 0.01;
/// Of those who give up: the browser is just closed, instead of the place given back.
const CLOSES: f64 = 0.3;
/// Seconds that a join counts as present without a device (RULES.md).
const JOIN_PRESENCE: f64 = 10.0;

/// What a customer does who is not answered in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patience {
    /// Seconds until the device is gone, if it goes before the end.
    pub away_after: Option<f64>,
    /// Seconds until the call ends, and how.
    pub ends_after: f64,
    pub reason: EndReason,
}

impl Patience {
    /// Of somebody who just joined.
    pub fn of_join(chance: &mut Chance, desk: &Desk, personal_link: bool) -> Self {
        let grace = f64::from(desk.grace_seconds);
        let kind = chance.unit();
        if kind < GHOSTS {
            let away = JOIN_PRESENCE;
            return Self { away_after: Some(away), ends_after: away + grace, reason: EndReason::NeverConnected };
        }
        if kind < GHOSTS + WITHDRAWN {
            return Self { away_after: None, ends_after: chance.between(3.0, 150.0), reason: EndReason::Withdrawn };
        }
        if personal_link && chance.happens(LINKS_CANCELLED) {
            return Self { away_after: None, ends_after: chance.between(2.0, 120.0), reason: EndReason::LinkCancelled };
        }
        Self::of_waiting(chance, desk)
    }

    /// Of somebody who goes on waiting.
    pub fn of_waiting(chance: &mut Chance, desk: &Desk) -> Self {
        let grace = f64::from(desk.grace_seconds);
        let patience = if chance.happens(HASTY) {
            chance.between(1.5, 10.0)
        } else {
            chance.exponential(PATIENCE_MEAN).clamp(10.0, PATIENCE_MAX)
        };
        if chance.happens(CLOSES) {
            Self { away_after: Some(patience), ends_after: patience + grace, reason: EndReason::Abandoned }
        } else {
            Self { away_after: None, ends_after: patience, reason: EndReason::Left }
        }
    }

    /// Whether no device ever comes.
    pub fn is_ghost(&self) -> bool {
        self.reason == EndReason::NeverConnected
    }
}

/// How an agent answers an offer, and after how many seconds.
pub fn answer(chance: &mut Chance, desk: &Desk, ghost: bool) -> (f64, OfferOutcome) {
    let timeout = f64::from(desk.offer_timeout_seconds);
    match chance.unit() {
        kind if kind < 0.015 => (timeout, OfferOutcome::TimedOut),
        kind if kind < 0.025 => (chance.between(1.0, timeout.max(2.0)), OfferOutcome::Declined),
        // An agent sees that nobody is there yet, and waits for it.
        _ if ghost => ((JOIN_PRESENCE * 1.5).min(timeout), OfferOutcome::Accepted),
        _ => (chance.lognormal(2.8, 0.5).clamp(0.6, timeout * 0.9), OfferOutcome::Accepted),
    }
}

/// Seconds from acceptance to start; `Err` when the customer leaves before.
pub fn start(chance: &mut Chance) -> Result<f64, f64> {
    let after = chance.between(0.4, 4.0);
    if chance.happens(0.004) { Err(after) } else { Ok(after) }
}

/// How a talk goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TalkEnd {
    Ends(EndReason),
    Transferred,
}

/// Seconds of a talk, and how it ends.
pub fn talk(chance: &mut Chance, desk: &Desk, may_transfer: bool) -> (f64, TalkEnd) {
    let seconds = chance.lognormal(TALK_MEDIAN, TALK_SIGMA).clamp(TALK_MIN, TALK_MAX);
    let kind = chance.unit();
    if kind < 0.025 {
        // Away past the grace.
        let lost = seconds * 0.7 + f64::from(desk.grace_seconds);
        (lost, TalkEnd::Ends(EndReason::CustomerLost))
    } else if kind < 0.027 {
        (seconds, TalkEnd::Ends(EndReason::AgentLost))
    } else if kind < 0.067 && may_transfer {
        (seconds * 0.6, TalkEnd::Transferred)
    } else {
        (seconds, TalkEnd::Ends(EndReason::Completed))
    }
}

/// Seconds an agent is busy with a call on average: answer, start, talk, wrap-up. What staffing reckons with.
pub fn handle_seconds(desk: &Desk) -> f64 {
    TALK_MEDIAN * (TALK_SIGMA * TALK_SIGMA / 2.0).exp() + 6.0 + f64::from(desk.wrap_up_seconds)
}

/// Seconds until the rating, its stars, a comment, whether it came with the call's own token; most people give none.
pub fn rating(chance: &mut Chance) -> Option<(f64, i16, Option<&'static str>, bool)> {
    if !chance.happens(0.34) {
        return None;
    }
    let stars = match chance.unit() {
        kind if kind < 0.58 => 5,
        kind if kind < 0.81 => 4,
        kind if kind < 0.90 => 3,
        kind if kind < 0.94 => 2,
        _ => 1,
    };
    let comments: &[&str] = if stars >= 4 { &PRAISE } else { &BLAME };
    let comment = if chance.happens(0.2) { chance.pick(comments) } else { None };
    Some((chance.between(5.0, 900.0), stars, comment, chance.happens(0.7)))
}

/// Seconds that a lost connection keeps an agent away.
pub fn reconnects_after(chance: &mut Chance) -> u64 {
    chance.between(60.0, 600.0) as u64
}

/// Which desk a call goes on to.
pub fn destination(chance: &mut Chance, plan: &Plan, from: usize) -> usize {
    let others = plan.desks.len().saturating_sub(1);
    if others == 0 { from } else { (from + 1 + chance.below(others)) % plan.desks.len() }
}

const PRAISE: [&str; 4] = ["Atendimento excelente!", "Resolveu rápido, obrigada.", "Muito atenciosa", "Ótimo 👏"];
const BLAME: [&str; 4] = [
    "Demorou demais",
    "Não resolveu; vou ligar de novo",
    "Caiu a ligação \"duas vezes\"",
    "Esperava mais, sinceramente",
];
/// Why people call; no reason at all is the most frequent.
pub const REASONS: [&str; 8] = [
    "Segunda via de boleto",
    "Dúvida sobre a fatura",
    "Internet lenta",
    "Troca de plano",
    "Cancelamento",
    "Suporte técnico",
    "Agendar visita, período da manhã",
    "Outros",
];
/// What agents note.
pub const NOTES: [&str; 4] = [
    "Cliente orientado.",
    "Retornar amanhã, 10h",
    "Enviado e-mail com a segunda via",
    "Reiniciou o roteador; normalizou",
];
/// Why staff take a call out of the line.
pub const CANCEL_REASONS: [&str; 3] = ["Chamada duplicada", "Atendido por telefone", "Fora do horário"];
/// Why a call goes on to another department.
pub const TRANSFER_REASONS: [&str; 3] = ["Assunto de outro setor", "Cliente pediu", "Precisa de suporte técnico"];
