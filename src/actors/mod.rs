//! The shells around the pure core: take a message, apply, perform the effects, arm one timer. No rule of the queue lives
//! here, and no `ActorRef` leaves this folder: `handle::Queues` is the only door.
//!
//! ```text
//!   Root                         restarts a tenant that died while it still had open calls
//!    `- TenantActor              one roster; owns `notification:`, `presence:`, `tenant:`
//!        `- QueueActor           one per department; owns `queue:` and the state events of `call:`
//!   PersistenceActor (shards)    the group commit; tells each owner what is settled
//! ```
//!
//! A queue that panics is restarted by its tenant from the settled record; a tenant that dies takes its queues with it and
//! is restarted by the root. Mailboxes are unbounded in ractor, so what enters is bounded at the door: commands in flight
//! per tenant, pending writes per server, devices per call and agent.
//!
//! Beside them, two followers of committed rows: `mail` delivers the outbox, `appointments` reminds and completes.
//!
//! Every actor file has the same order: messages, arguments, state, the actor, its handlers.

pub mod appointments;
pub mod directory;
mod error;
pub mod handle;
pub mod health;
pub mod housekeeping;
mod load;
pub mod mail;
mod numbers;
pub mod persistence;
mod queue;
pub mod recounting;
mod release;
mod settlement;
mod staff_topics;
mod tenant;
mod timer;
pub mod webhooks;
pub mod wire;

pub use directory::{Parts, Probes, System};
