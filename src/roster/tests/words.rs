//! Owns the words a company's stories may use, and what each makes happen.

use super::company::Company;
use crate::domain::agent::{AgentStatus, Intent};
use crate::domain::ids::{DepartmentId, PickId};
use crate::domain::transfer::Destination;
use crate::queue;
use crate::queue::command::Transferring;
use crate::queue::tests::story::{Stage, after, at, id, seconds};
use crate::roster::Command;

impl Stage for Company {
    fn pass(&mut self, until: f64) -> Vec<String> {
        let until = at(until);
        let mut seen = Vec::new();
        loop {
            let queues = self.desks.iter().map(|(id, desk)| (desk.queue.next_deadline(), Some(*id)));
            let all = queues.chain([(self.roster.next_deadline(), None)]);
            let due = all.filter_map(|(due, who)| Some((due?, who))).min().filter(|(due, _)| *due <= until);
            let Some((due, who)) = due else { break };
            self.now = self.now.max(due);
            match who {
                Some(department) => self.queue(department, queue::Command::Tick),
                None => self.roster(Command::Tick),
            }
            seen.extend(self.seen.drain(..).map(|text| format!("@{} {text}", seconds(self.now))));
        }
        self.now = self.now.max(until);
        seen
    }

    fn act(&mut self, words: &[&str]) -> Vec<String> {
        let (who, verb, what) = (words[0], *words.get(1).unwrap_or(&""), *words.get(2).unwrap_or(&""));
        let home = |company: &Company, name: &str| company.homes[&id(name)];
        match (who, verb) {
            ("department", _) => self.department(words),
            ("plan", bound) => {
                self.plan = bound.parse().ok();
                self.roster(Command::PlanLimit(self.plan));
            }
            ("midnight", _) => self.roster(Command::DayStarted),
            ("roster", "freezes") => self.roster(Command::Freeze),
            ("roster", "thaws") => self.roster(Command::Thaw),
            ("queue", "freezes") => self.queue(id(what), queue::Command::Freeze),
            ("queue", "thaws") => self.queue(id(what), queue::Command::Thaw),
            // Its last words are on their way, and may be lost.
            ("mail", "waits") => self.holds_mail = true,
            ("mail", "comes") => {
                self.holds_mail = false;
                self.deliver();
            }
            ("mail", "is_lost") => {
                self.mail.clear();
                self.holds_mail = false;
            }
            ("queue", "dies") => {
                let department: DepartmentId = id(what);
                let incarnation = self.desks.remove(&department).unwrap().incarnation;
                self.roster(Command::QueueStopped { department, incarnation });
            }
            ("queue", "starts") => self.start_queue(id(what), Some(self.now)),
            ("everything", "restarts") => self.restart(after(words, "after").unwrap().parse().unwrap()),
            (_, "joins") => self.join(words),
            (name, "gone") => self.queue(home(self, name), queue::Command::Detach { call: id(name), device: id(name) }),
            (name, "back") => self.queue(home(self, name), queue::Command::Attach { call: id(name), device: id(name) }),
            (name, "leaves") => self.queue(home(self, name), queue::Command::Leave { call: id(name) }),
            (name, "serves") => self.profile(&[&[name], &words[1..]].concat()),
            (name, "removed") => self.roster(Command::Configure { user: id(name), profile: None, snapshot: None }),
            (_, "sets") => self.status(words),
            (name, "attaches") => {
                let device = id(&format!("{name} {what}"));
                self.roster(Command::Attach { user: id(name), device });
            }
            (name, "detaches") => {
                let device = id(&format!("{name} {what}"));
                self.roster(Command::Detach { user: id(name), device });
            }
            (name, "comes") => {
                let user = id(name);
                self.roster(Command::Attach { user, device: id(name) });
                let intent = Intent::plain(AgentStatus::Available);
                self.roster(Command::SetStatus { user, by: None, intent, after_call: false });
                self.seen.retain(|text| !text.ends_with("is available"));
            }
            (name, "accepts") => {
                let (grant, department) = self.standing(id(name));
                self.queue(department, queue::Command::Accept { grant, user: id(name) });
            }
            (name, "declines") => {
                let (grant, department) = self.standing(id(name));
                self.queue(department, queue::Command::Decline { grant, user: id(name) });
            }
            (name, "starts") => self.queue(home(self, what), queue::Command::Start { call: id(what), user: id(name) }),
            (name, "completes") => {
                let command = queue::Command::Complete { call: id(what), user: id(name), supervisor: false };
                self.queue(home(self, what), command);
            }
            (name, "transfers" | "moves") => {
                let here = home(self, what);
                let department_id: DepartmentId = after(words, "to").map_or(here, id);
                let settings = self.desks[&department_id].queue.settings();
                let pushes = settings.mode == crate::domain::department::Mode::Push;
                let wish = Transferring {
                    call: id(what),
                    to: Destination { department_id, user_id: after(words, "for").map(id) },
                    by: id(name),
                    supervisor: verb == "moves",
                    keep_seconds: pushes.then_some(settings.offer_timeout_seconds),
                    reason: None,
                };
                self.queue(here, queue::Command::Transfer(wish));
            }
            (name, "picks") => {
                self.number += 1;
                let pick: PickId = id(&format!("pick {}", self.number));
                let command = queue::Command::Pick { pick, call: id(what), user: id(name), by: id(name) };
                self.queue(home(self, what), command);
            }
            (name, "ends_wrap_up") => {
                self.roster(Command::WrapUpEnd { user: id(name), call: (!what.is_empty()).then(|| id(what)) })
            }
            (name, "extends") => {
                self.roster(Command::WrapUpExtend { user: id(name), call: None, seconds: what.parse().unwrap() });
            }
            (name, "may?") => {
                let agent = self.roster.agent(id(name)).unwrap();
                return vec![match agent.may_be_offered() {
                    Ok(()) => "yes".into(),
                    Err(why) => format!("{why:?}"),
                }];
            }
            (name, "does?") => {
                let agent = self.roster.agent(id(name)).unwrap();
                return vec![agent.activity().as_str().into()];
            }
            _ => panic!("what does {words:?} mean?"),
        }
        std::mem::take(&mut self.seen)
    }
}
