//! A flush is answered when what was recorded before it is delivered, whatever others go on
//! recording.

use std::sync::Arc;

use coati_core::flush::{Gate, Ticket};
use coati_core::ledger::Counts;
use coati_core::thread::registry::{Drains, Registry};
use loom::thread::{self, JoinHandle};

use crate::explore::{Witness, explore};
use crate::records::{SIGNAL, drain, record, registry};

struct Engine {
    registry: Registry,
    gate: Gate,
    books: Counts,
}

impl Engine {
    fn new(rings: usize) -> Arc<Self> {
        let registry = registry(32, rings);
        Arc::new(Self { registry, gate: Gate::default(), books: Counts::default() })
    }

    fn start<R: 'static>(self: &Arc<Self>, work: fn(&Self) -> R) -> JoinHandle<R> {
        let engine = self.clone();
        thread::spawn(move || work(&engine))
    }

    fn record(&self, number: u64) {
        let (channel, mut producer) = self.registry.attach().unwrap();
        record(&channel, &mut producer, number, 8);
        channel.exit();
    }

    fn delivered(&self) -> u64 {
        self.books.delivered(SIGNAL).get()
    }

    /// One round of the drain: first the request, then the positions.
    fn turn(&self, drains: &mut Drains) {
        let request = self.gate.pending();
        drain(drains, &self.registry, &self.books, |_| {});
        if let Some(ticket) = request {
            self.gate.complete(ticket);
        }
    }

    /// The drain thread, which a model gives two turns.
    fn drain(&self) -> Drains {
        let mut drains = Drains::default();
        self.turn(&mut drains);
        self.turn(&mut drains);
        drains
    }

    /// Looks once whether the drain has answered; if so, `at_least` records are delivered.
    fn poll(&self, ticket: Ticket, at_least: u64) -> bool {
        let done = self.gate.is_done(ticket);
        assert!(!done || self.delivered() >= at_least, "answered and not delivered");
        done
    }
}

#[test]
fn flush_is_answered_after_what_came_before_it() {
    static IN_TIME: Witness = Witness::new();
    explore(400, None, || {
        let engine = Engine::new(1);
        let drainer = engine.start(Engine::drain);
        engine.record(1);
        let ticket = engine.gate.request();
        IN_TIME.note(engine.poll(ticket, 1));
        let mut drains = drainer.join().unwrap();
        engine.turn(&mut drains);
        assert!(engine.poll(ticket, 1));
    });
    IN_TIME.require("the drain answers while it is at work");
}

#[test]
fn flush_answers_each_request_apart() {
    static ONE: Witness = Witness::new();
    static BOTH: Witness = Witness::new();
    explore(1400, Some(3), || {
        let engine = Engine::new(1);
        let (channel, mut producer) = engine.registry.attach().unwrap();
        let drainer = engine.start(Engine::drain);
        record(&channel, &mut producer, 1, 8);
        let first = engine.gate.request();
        record(&channel, &mut producer, 2, 8);
        let second = engine.gate.request();
        let both = engine.poll(second, 2);
        let one = engine.poll(first, 1);
        BOTH.note(both);
        ONE.note(one && !both);
        let mut drains = drainer.join().unwrap();
        engine.turn(&mut drains);
        assert!(engine.poll(second, 2));
    });
    ONE.require("only the first request is answered");
    BOTH.require("both are answered while the drain is at work");
}

#[test]
fn flush_covers_other_threads_and_waits_for_none() {
    static LATER_TOO: Witness = Witness::new();
    static NOT_LATER: Witness = Witness::new();
    explore(16_000, Some(4), || {
        let engine = Engine::new(2);
        let drainer = engine.start(Engine::drain);
        engine.start(|engine| engine.record(1)).join().unwrap();
        let racing = engine.start(|engine| engine.record(2));
        let ticket = engine.gate.request();
        if engine.poll(ticket, 1) {
            LATER_TOO.note(engine.delivered() == 2);
            NOT_LATER.note(engine.delivered() == 1);
        }
        let mut drains = drainer.join().unwrap();
        racing.join().unwrap();
        engine.turn(&mut drains);
        assert!(engine.poll(ticket, 1));
    });
    LATER_TOO.require("the racing record is delivered with the flush");
    NOT_LATER.require("the flush is answered before the racing record is drained");
}

#[test]
fn flush_of_two_threads_is_answered_for_both() {
    static BOTH: Witness = Witness::new();
    static ONE: Witness = Witness::new();
    explore(48_000, Some(3), || {
        let engine = Engine::new(2);
        let drainer = engine.start(Engine::drain);
        let other = engine.start(|engine| {
            engine.record(1);
            let ticket = engine.gate.request();
            (ticket, engine.poll(ticket, 1))
        });
        engine.record(2);
        let ticket = engine.gate.request();
        let done = engine.poll(ticket, 1);
        let mut drains = drainer.join().unwrap();
        let (others, others_done) = other.join().unwrap();
        BOTH.note(done && others_done);
        ONE.note(done != others_done);
        engine.turn(&mut drains);
        assert!(engine.poll(ticket, 2) && engine.poll(others, 2));
    });
    BOTH.require("both are answered while the drain is at work");
    ONE.require("one is answered before the other asks");
}
