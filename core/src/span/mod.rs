//! Spans: they live in their caller's handle and become one record when they end.

pub(crate) mod body;
mod bucket;
pub mod rules;
pub mod sampler;
pub mod watch;

use std::sync::Arc;

pub use body::Body;
use sampler::Candidate;

use crate::fork;
use crate::hub::Hub;
use crate::ids::{SpanId, TraceId};
use crate::intern::Id;
use crate::ledger::{Reason, Signal};
use crate::log::name_id;
use crate::record::value::Field;
use crate::record::{Header, Kind, Level, SpanFixed, SpanIds, VERSION, flags};
use crate::scope::{self, Scope};
use crate::thread::Recorder;

/// W3C trace flag: the trace is sampled.
pub const SAMPLED: u8 = 1;

/// What of a span crosses process boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpanContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// W3C trace flags.
    pub trace_flags: u8,
    /// Whether it came from another process.
    pub remote: bool,
}

impl SpanContext {
    /// Whether both ids are real.
    pub fn is_valid(&self) -> bool {
        self.trace_id.is_valid() && self.span_id.is_valid()
    }

    /// Whether its trace is sampled.
    pub fn is_sampled(&self) -> bool {
        self.trace_flags & SAMPLED != 0
    }

    /// The flags that go onto log lines, as [`flags::TRACE_FLAGS`] says.
    #[inline(always)]
    pub fn log_flags(&self) -> u8 {
        (self.trace_flags & 3) * flags::TRACE_FLAGS
    }

    /// The ids that go onto log lines; `None` outside any span.
    #[inline]
    pub fn ids(&self) -> Option<SpanIds> {
        self.is_valid().then_some(SpanIds { trace_id: self.trace_id, span_id: self.span_id })
    }
}

/// What a span stands for, as in OpenTelemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum SpanKind {
    /// Work inside this process.
    #[default]
    Internal = 0,
    /// The handling of a remote request.
    Server = 1,
    /// A request to a remote service.
    Client = 2,
    /// A message sent.
    Producer = 3,
    /// A message taken.
    Consumer = 4,
}

impl SpanKind {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Internal, Self::Server, Self::Client, Self::Producer, Self::Consumer];

    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }

    /// The kind with this number, `Internal` for any other.
    pub fn from_u8(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or_default()
    }

    /// The kind called `name`, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }
}

/// How a span went, as in OpenTelemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Status {
    /// Nobody said.
    #[default]
    Unset = 0,
    /// Well, and somebody said so: final.
    Ok = 1,
    /// Badly.
    Error = 2,
}

impl Status {
    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }

    /// The status with this number, `Unset` for any other.
    pub fn from_u8(number: u8) -> Self {
        match number {
            1 => Self::Ok,
            2 => Self::Error,
            _ => Self::Unset,
        }
    }

    /// The status called `name`, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Unset, Self::Ok, Self::Error];
        all.into_iter().find(|status| status.name().eq_ignore_ascii_case(name))
    }
}

/// A named source of spans.
#[derive(Debug)]
pub struct Tracer {
    hub: Arc<Hub>,
    name: Box<str>,
    /// What stands for it in records: see [`crate::scope`].
    word: Id,
}

/// What a span begins with.
pub trait Begin {
    /// Sets the attributes. Runs no foreign code, and may run although the span is not sampled.
    fn set(&self, body: &mut Body);
}

impl<F: Fn(&mut Body)> Begin for F {
    fn set(&self, body: &mut Body) {
        self(body);
    }
}

impl<const N: usize> Begin for [Field<'_>; N] {
    fn set(&self, body: &mut Body) {
        self.iter().for_each(|field| body.set_attribute(*field));
    }
}

impl Begin for &[Field<'_>] {
    fn set(&self, body: &mut Body) {
        self.iter().for_each(|field| body.set_attribute(*field));
    }
}

/// How a span starts.
#[derive(Clone, Copy, Default)]
pub struct Start<'a> {
    /// The parent; none makes a root.
    pub parent: Option<SpanContext>,
    /// What it stands for.
    pub kind: SpanKind,
    /// Nanoseconds since the epoch where it did not start now.
    pub start_time: Option<u64>,
    /// Nanoseconds after which it is late while it is open; 0 for the setting's.
    pub timeout: u64,
    /// Its first attributes, which rules of sampling can see.
    pub attributes: Option<&'a dyn Begin>,
}

/// What is otherwise the engine's to decide when a span starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// The trace.
    pub trace_id: TraceId,
    /// The span's id; none leaves it to the engine.
    pub span_id: Option<SpanId>,
    /// Whether it is sampled; none leaves it to the engine's sampler.
    pub sampled: Option<bool>,
}

impl Tracer {
    /// The tracer called `name`.
    pub fn new(hub: Arc<Hub>, name: &str) -> Self {
        Self { hub, name: name.into(), word: name_id(name) }
    }

    /// The same of an instrumentation scope.
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.word = Id(scope::word(name_id(&self.name), scope));
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The place of its pipeline.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Starts a span. It is recorded when [`Span::end`] is called with the same hub.
    #[inline]
    pub fn start(&self, name: &str, start: Start<'_>) -> Span {
        match self.hub.turn().recorder() {
            Some(recorder) => self.start_on::<false>(recorder, name, start, None),
            None => Span::passing(start.parent.unwrap_or_default()),
        }
    }

    /// The same with what somebody else has decided.
    #[cold]
    #[inline(never)]
    pub fn start_decided(&self, name: &str, start: Start<'_>, decided: &Decided) -> Span {
        match self.hub.turn().recorder() {
            Some(recorder) => self.start_on::<true>(recorder, name, start, Some(decided)),
            None => Span::passing(start.parent.unwrap_or_default()),
        }
    }

    /// A function of its own where nothing has been decided, which is then not asked for.
    fn start_on<const DECIDED: bool>(
        &self,
        recorder: &mut Recorder,
        name: &str,
        start: Start<'_>,
        given: Option<&Decided>,
    ) -> Span {
        let given = if DECIDED { given } else { None };
        let pipeline = recorder.pipeline();
        let parent = start.parent.filter(SpanContext::is_valid);
        let live = pipeline.live();
        if live.is_disabled(&self.name) {
            return Span::passing(parent.unwrap_or_default());
        }
        let head = live.head();
        let trace_id = match given {
            Some(given) => given.trace_id,
            None => parent.map_or_else(|| recorder.ids.trace_id(), |parent| parent.trace_id),
        };
        let followed = parent.filter(|parent| head.follows(parent));
        let decided = match (given.and_then(|given| given.sampled), followed) {
            (Some(sampled), _) => Some(sampled),
            (None, Some(parent)) => Some(parent.is_sampled()),
            (None, None) => head.by_id(trace_id),
        };
        let (sampled, begun) = match decided {
            Some(sampled) => (sampled, None),
            None => self.decide(recorder, name, trace_id, &start),
        };
        // Bit 0x02: the id is random (W3C trace context, level 2); of a child it is inherited.
        let inherited = parent.map_or(2, |parent| parent.trace_flags & 2);
        let context = SpanContext {
            trace_id,
            span_id: match given.and_then(|given| given.span_id) {
                None => recorder.ids.span_id(),
                Some(span_id) => span_id,
            },
            trace_flags: inherited | u8::from(sampled),
            remote: false,
        };
        if !sampled {
            recorder.count_unsampled();
            return Span::passing(context);
        }
        if !recorder.open_span() {
            recorder.pipeline().lose(Signal::Spans, Reason::OpenSpans);
            begun.into_iter().for_each(|body| recorder.give_body(body));
            return Span::passing(context);
        }
        recorder.pipeline().live().wake_exemplars();
        let (start_at, wall_start) = match start.start_time {
            Some(wall) => (wall, true),
            None => (crate::clock::now(), false),
        };
        let mut slot = watch::NONE;
        if recorder.pipeline().live().is_watching() || start.timeout > 0 {
            slot = recorder.watch(&watch::Begun {
                context: &context,
                parent: parent.map_or(SpanId::NONE, |parent| parent.span_id),
                tracer: self.word,
                kind: start.kind,
                start: if wall_start { crate::clock::now() } else { start_at },
                timeout: start.timeout,
                name,
            });
        }
        let pipeline = recorder.pipeline().key();
        let body = match begun {
            Some(body) => body,
            None => begin(recorder, name, start.attributes),
        };
        Span {
            context,
            parent: parent.map_or(SpanId::NONE, |parent| parent.span_id),
            tracer: self.word,
            kind: start.kind,
            status: Status::Unset,
            wall_start,
            abandoned: false,
            remote_parent: parent.is_some_and(|parent| parent.remote),
            has_state: false,
            start: start_at,
            pipeline,
            fork_generation: fork::generation(),
            slot,
            body: Some(body),
        }
    }

    /// Decides on a trace for which its id is not enough. A span that is kept may have begun.
    #[cold]
    #[inline(never)]
    fn decide(
        &self,
        recorder: &mut Recorder,
        name: &str,
        trace_id: TraceId,
        start: &Start<'_>,
    ) -> (bool, Option<Box<Body>>) {
        let pipeline = recorder.pipeline().clone();
        let head = pipeline.live().head();
        let seen = start.attributes.filter(|_| head.has_rules());
        let begun = seen.map(|_| begin(recorder, name, seen));
        let attribute = |key: &str| rules::plain(begun.as_ref()?.attributes(), key);
        let tracer = &self.name;
        if head.with_care(&Candidate { trace_id, name, tracer, attribute: &attribute }) {
            return (true, begun);
        }
        begun.into_iter().for_each(|body| recorder.give_body(body));
        (false, None)
    }
}

#[inline(always)]
fn begin(recorder: &mut Recorder, name: &str, attributes: Option<&dyn Begin>) -> Box<Body> {
    let mut body = recorder.take_body();
    body.set_name(name);
    if let Some(attributes) = attributes {
        attributes.set(&mut body);
    }
    body
}

/// A started span. It does nothing by itself: whoever owns it ends it through its hub.
#[derive(Debug)]
pub struct Span {
    context: SpanContext,
    parent: SpanId,
    tracer: Id,
    kind: SpanKind,
    status: Status,
    wall_start: bool,
    abandoned: bool,
    remote_parent: bool,
    has_state: bool,
    start: u64,
    pipeline: u64,
    fork_generation: u32,
    /// Where it is watched.
    slot: u32,
    /// What is being recorded; none in a span that is not recording or has ended.
    body: Option<Box<Body>>,
}

/// What [`Span::end`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It is recorded, or was never to be.
    Now,
    /// It had been ended before.
    Before,
}

impl Span {
    /// A span that records nothing and stands for `context`.
    pub fn passing(context: SpanContext) -> Self {
        Self {
            context,
            parent: SpanId::NONE,
            tracer: Id(0),
            kind: SpanKind::Internal,
            status: Status::Unset,
            wall_start: false,
            abandoned: false,
            remote_parent: false,
            has_state: false,
            start: 0,
            pipeline: 0,
            fork_generation: 0,
            slot: watch::NONE,
            body: None,
        }
    }

    /// Its ids and flags.
    #[inline(always)]
    pub fn context(&self) -> &SpanContext {
        &self.context
    }

    /// Whether what is set on it will be kept.
    #[inline(always)]
    pub fn is_recording(&self) -> bool {
        self.body.is_some()
    }

    /// What it stands for.
    pub fn kind(&self) -> SpanKind {
        self.kind
    }

    /// The parent, if it has one.
    pub fn parent(&self) -> Option<SpanContext> {
        let Self { context, remote_parent, .. } = self;
        let parent = SpanContext { span_id: self.parent, remote: *remote_parent, ..*context };
        parent.is_valid().then_some(parent)
    }

    /// What is left of it once it has ended: a span that records nothing.
    #[inline(always)]
    pub fn remains(&self) -> Self {
        Self {
            parent: self.parent,
            kind: self.kind,
            status: self.status,
            remote_parent: self.remote_parent,
            ..Self::passing(self.context)
        }
    }

    /// What is being recorded.
    #[inline(always)]
    pub fn body(&mut self) -> Option<&mut Body> {
        self.body.as_deref_mut()
    }

    /// Replaces the name.
    pub fn update_name(&mut self, name: &str) {
        if let Some(body) = self.body() {
            body.set_name(name);
        }
    }

    /// Sets an attribute; one with the same key is replaced.
    #[inline(always)]
    pub fn set_attribute(&mut self, field: Field<'_>) {
        if let Some(body) = self.body() {
            body.set_attribute(field);
        }
    }

    /// Adds an event that happens now.
    pub fn add_event(&mut self, name: &str, fields: &[Field<'_>]) {
        if let Some(body) = self.body() {
            body.add_event(name, None, |encoder, limit| {
                crate::log::encode_fields(encoder, fields, limit)
            });
        }
    }

    /// Adds a link to another span.
    pub fn add_link(&mut self, context: &SpanContext, fields: &[Field<'_>]) {
        if let Some(body) = self.body() {
            body.add_link(context, "", |encoder, limit| {
                crate::log::encode_fields(encoder, fields, limit)
            });
        }
    }

    /// Keeps the `tracestate` of its trace; to be called before anything is linked.
    pub fn set_trace_state(&mut self, state: &str) {
        if let (false, Some(body)) = (self.has_state, self.body.as_deref_mut()) {
            self.has_state = body.set_state(state);
        }
    }

    /// Sets the status. `Ok` is final and `Unset` changes nothing, as in OpenTelemetry; only an
    /// error has a description.
    pub fn set_status(&mut self, status: Status, description: &str) {
        if self.status == Status::Ok || status == Status::Unset {
            return;
        }
        if let Some(body) = self.body.as_deref_mut() {
            self.status = status;
            body.set_description(if status == Status::Error { description } else { "" });
        }
    }

    /// The status set so far.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Marks the span as ended by the garbage collector.
    pub fn abandon(&mut self) {
        self.abandoned = true;
    }

    /// Ends the span and records it, unless another process started it or its engine has stopped.
    /// `end_time` is in nanoseconds since the epoch.
    #[inline]
    pub fn end(&mut self, hub: &Hub, end_time: Option<u64>) -> Ended {
        let Some(mut body) = self.body.take() else {
            return if self.pipeline == 0 { Ended::Now } else { Ended::Before };
        };
        if self.fork_generation != fork::generation() {
            // The parent process records it. Its buffers are plain memory of ours by now.
            return Ended::Now;
        }
        match hub.turn().recorder() {
            Some(recorder) if recorder.pipeline().key() == self.pipeline => {
                if self.slot != watch::NONE {
                    // Before its end is read from the clock: no heartbeat comes after that.
                    self.unwatch(recorder.unwatch(self.slot), &mut body);
                }
                recorder.close_span();
                self.record(recorder, &body, end_time.unwrap_or(0));
                recorder.give_body(body);
            }
            Some(_) => {}
            None => self.end_without_recorder(hub),
        }
        Ended::Now
    }

    /// Tells that the span was found late at `late`, in nanoseconds since the epoch, if it was.
    #[cold]
    fn unwatch(&mut self, late: Option<u64>, body: &mut Body) {
        let Some(late) = late else { return };
        body.add_event("span.timeout", Some(late), |_, _| (0, 0));
        if self.status == Status::Unset {
            self.status = Status::Error;
            body.set_description("timed out");
        }
    }

    #[cold]
    fn end_without_recorder(&self, hub: &Hub) {
        if let Some(pipeline) = hub.pipeline().filter(|pipeline| pipeline.key() == self.pipeline) {
            if self.slot != watch::NONE {
                let mut own = Vec::new();
                pipeline.watch().end(&mut own, self.slot);
                pipeline.watch().give(own);
            }
            pipeline.close_spans(1);
            pipeline.lose(Signal::Spans, Reason::ThreadExited);
        }
    }

    #[inline(always)]
    fn record(&self, recorder: &mut Recorder, body: &Body, wall_end: u64) {
        let level = if self.status == Status::Error { Level::Error } else { Level::Info };
        let bits = u8::from(self.wall_start) * flags::WALL_START
            + u8::from(self.abandoned) * flags::ABANDONED
            + u8::from(self.remote_parent) * flags::REMOTE_PARENT
            + u8::from(self.has_state) * flags::TRACE_STATE;
        let fixed = |ticks| SpanFixed {
            header: Header {
                size: 0,
                kind: Kind::Span as u8,
                version: VERSION,
                level: level as u8,
                flags: bits,
                ticks,
            },
            start: self.start,
            wall_end,
            ids: SpanIds { trace_id: self.context.trace_id, span_id: self.context.span_id },
            parent: self.parent,
            tracer: self.tracer.0,
            span_kind: self.kind as u8,
            status: self.status as u8,
            trace_flags: self.context.trace_flags,
            reserved: 0,
            ..body.fixed()
        };
        recorder.span(level, body, fixed);
    }
}
