//! One thing that is measured.

use std::sync::Arc;

/// Whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The engine.
    Ours,
    /// The least any implementation could do on this machine.
    Floor,
    /// Somebody else's.
    Peer,
}

impl Kind {
    /// As it stands in the output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Floor => "floor",
            Self::Peer => "peer",
        }
    }
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds a call.
    Nanoseconds,
    /// Milliseconds a call.
    Milliseconds,
}

impl Unit {
    /// As it stands in the output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Milliseconds => "ms",
        }
    }

    /// How many nanoseconds it is.
    pub fn nanoseconds(self) -> f64 {
        match self {
            Self::Nanoseconds => 1.0,
            Self::Milliseconds => 1e6,
        }
    }
}

/// A loop of so many calls. Loops of handles that threads may share can be run by several at once.
pub enum Work {
    /// For one thread.
    Own(Box<dyn FnMut(usize)>),
    /// For any number of threads at once.
    Shared(Arc<dyn Fn(usize) + Send + Sync>),
}

impl Work {
    /// Makes `calls` calls.
    pub fn run(&mut self, calls: usize) {
        match self {
            Self::Own(work) => work(calls),
            Self::Shared(work) => work(calls),
        }
    }
}

/// Something that does what a row asks for.
pub struct Candidate {
    /// The row it stands in.
    pub row: &'static str,
    /// The row of its two-thread ratio.
    pub threaded_row: Option<&'static str>,
    /// Its name.
    pub name: &'static str,
    /// Whose it is.
    pub kind: Kind,
    /// What its figure counts.
    pub unit: Unit,
    /// Calls in a round: few enough to fit rings and queues, so that none is dropped.
    pub calls: usize,
    /// What a reader should know.
    pub note: Option<&'static str>,
    /// The loop.
    pub work: Work,
    /// Brings everything into the state that is to be measured; not timed.
    pub before: Box<dyn FnMut()>,
    /// Looks whether that state lasted to the end, and empties what the round has filled; not
    /// timed. The round is measured anew if it did not last.
    pub after: Box<dyn FnMut() -> bool>,
    /// What was lost so far.
    pub dropped: Box<dyn FnMut() -> u64>,
}

impl Candidate {
    fn of(row: &'static str, kind: Kind, name: &'static str, calls: usize, work: Work) -> Self {
        Self {
            row,
            threaded_row: None,
            name,
            kind,
            unit: Unit::Nanoseconds,
            calls,
            note: None,
            work,
            before: Box::new(|| {}),
            after: Box::new(|| true),
            dropped: Box::new(|| 0),
        }
    }

    /// One that a single thread runs.
    pub fn new(
        row: &'static str,
        kind: Kind,
        name: &'static str,
        calls: usize,
        work: impl FnMut(usize) + 'static,
    ) -> Self {
        Self::of(row, kind, name, calls, Work::Own(Box::new(work)))
    }

    /// One that threads may share; its two-thread ratio stands in `threaded_row`.
    pub fn shared(
        row: &'static str,
        threaded_row: &'static str,
        kind: Kind,
        name: &'static str,
        work: impl Fn(usize) + Send + Sync + 'static,
    ) -> Self {
        let work = Work::Shared(Arc::new(work));
        Self { threaded_row: Some(threaded_row), ..Self::of(row, kind, name, 1 << 16, work) }
    }

    /// Sets the unit.
    pub fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    /// Sets the note.
    pub fn note(mut self, note: &'static str) -> Self {
        self.note = Some(note);
        self
    }

    /// Sets what happens before a round.
    pub fn before(mut self, before: impl FnMut() + 'static) -> Self {
        self.before = Box::new(before);
        self
    }

    /// Sets what happens after a round.
    pub fn after(mut self, mut after: impl FnMut() + 'static) -> Self {
        self.after = Box::new(move || {
            after();
            true
        });
        self
    }

    /// Sets what happens after a round, and says whether the round was what it should be.
    pub fn after_if(mut self, after: impl FnMut() -> bool + 'static) -> Self {
        self.after = Box::new(after);
        self
    }

    /// Sets what counts losses.
    pub fn dropped(mut self, dropped: impl FnMut() -> u64 + 'static) -> Self {
        self.dropped = Box::new(dropped);
        self
    }
}
