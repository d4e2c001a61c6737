//! Who waits for the drain, and what the drain has done for them.
//!
//! Requests have numbers. The drain answers one once everything published before it was made has
//! reached its sinks: it takes [`Gate::pending`], notes every ring's position with
//! [`crate::thread::registry::Drains::marks`], drains to there, and then says [`Gate::complete`].
//! How a caller sleeps meanwhile is its own business.
//!
//! SYNC POINT E, `requested`: what happened before a request is seen by the drain that answers it.
//! SYNC POINT F, `completed`: what the drain did for a request is seen by whom it has answered.

use crate::sync::atomic::AtomicU64;
use crate::sync::{mutant, order, own};

/// Number of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// Between those who flush and the drain.
#[derive(Debug, Default)]
pub struct Gate {
    requested: AtomicU64,
    completed: AtomicU64,
}

impl Gate {
    /// Asks for everything recorded before this call. The drain may have to be woken.
    pub fn request(&self) -> Ticket {
        // SYNC POINT E (release): an increment, so that who reads a later number sees what came
        // before the earlier ones too.
        Ticket(self.requested.fetch_add(1, order!(Release, "flush_request")) + 1)
    }

    /// The latest request, unless it has been answered. Only the drain calls it, before it looks
    /// for new rings and for their positions.
    pub fn pending(&self) -> Option<Ticket> {
        // SYNC POINT E (acquire): positions looked at after this include what came before it.
        let latest = self.requested.load(order!(Acquire, "flush_pending"));
        (latest > own(&self.completed)).then_some(Ticket(latest))
    }

    /// Answers `upto` and all requests before it. Only the drain calls it.
    pub fn complete(&self, upto: Ticket) {
        // SYNC POINT F (release): deliveries and their counts come before the answer.
        self.completed.store(upto.0, order!(Release, "flush_complete"));
    }

    /// Whether `ticket` has been answered.
    pub fn is_done(&self, ticket: Ticket) -> bool {
        // SYNC POINT F (acquire): who sees the answer sees the deliveries counted.
        let wanted = if mutant!("flush_any") { 1 } else { ticket.0 };
        self.completed.load(order!(Acquire, "flush_is_done")) >= wanted
    }
}
