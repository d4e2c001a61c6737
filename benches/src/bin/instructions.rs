//! The hottest operations, each in a function of its own that callgrind counts the instructions of;
//! `instructions.py` runs this. Input is the same every time, and no other thread runs.
//!
//! `instructions CALLS` makes so many calls of each.

use std::hint::black_box;
use std::sync::Arc;

use coati_benches::ours::ring::Alone;
use coati_benches::ours::{self, metrics::labels};
use coati_benches::workload::{value, values};
use coati_core::clock::{self, Timeline};
use coati_core::hub::Hub;
use coati_core::instrument::{Bound, Instrument};
use coati_core::log::Logger;
use coati_core::metrics::{Descriptor, Kind};
use coati_core::propagate::traceparent;
use coati_core::record::Level;
use coati_core::record::read::{self, Record};
use coati_core::span::{SpanContext, Start, Tracer};
use coati_export::encode::Clock;
use coati_export::encode::json::JsonEncoder;
use coati_export::redact::Redactor;
use coati_export::redact::keys::KeyRules;

const INCOMING: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

struct Subjects {
    logger: Logger,
    tracer: Tracer,
    unsampled: Start<'static>,
    counters: Instrument,
    counter: Bound,
    histogram: Bound,
    context: SpanContext,
    drained: Drained,
}

/// What the drain does with a record.
struct Drained {
    records: [Vec<u64>; 2],
    redactor: Redactor,
    json: JsonEncoder,
    timeline: Timeline,
    line: Vec<u8>,
}

impl Drained {
    /// Takes the record apart, applies the rules and encodes it.
    #[inline(always)]
    fn encode(&mut self, which: usize) {
        let bytes: &[u8] = bytemuck::cast_slice(&self.records[which]);
        let record = Record::parse(black_box(bytes)).expect("a record");
        let ticks = read::header(bytes).expect("a header").ticks;
        let clock = Clock { timeline: &self.timeline };
        self.line.clear();
        self.json.line(&self.redactor.apply(record), ticks, &clock, &mut self.line);
        black_box(&self.line);
    }
}

/// Each operation as a function with a name that callgrind finds, and all of them in a list.
macro_rules! operations {
    ($($name:ident: |$subjects:ident, $i:ident| $call:expr;)*) => {
        $(
            #[unsafe(no_mangle)]
            #[inline(never)]
            fn $name($subjects: &mut Subjects, calls: usize) {
                for $i in 0..calls {
                    $call;
                }
            }
        )*
        const OPERATIONS: &[fn(&mut Subjects, usize)] = &[$($name),*];
    };
}

operations! {
    coati_op_log_3_fields: |s, i| ours::log(&s.logger, i);
    coati_op_log_off: |s, _i| s.logger.log(Level::Debug, "no", &[]);
    coati_op_span_4_attributes: |s, i| ours::span(&s.tracer, Start::default(), i);
    coati_op_span_unsampled: |s, i| ours::span(&s.tracer, s.unsampled, i);
    coati_op_counter_bound: |s, _i| s.counter.add_int(1);
    coati_op_counter_4_labels: |s, _i| {
        s.counters.with(black_box(&labels()), |series, shard| series.add_int(shard, 1));
    };
    coati_op_histogram_bound: |s, i| s.histogram.record(value(values(), i));
    coati_op_traceparent_parse: |_s, _i| black_box(traceparent::parse(black_box(INCOMING)));
    coati_op_traceparent_format: |s, _i| black_box(traceparent::format(black_box(&s.context)));
    coati_op_json_log_line: |s, _i| s.drained.encode(0);
    coati_op_json_span_line: |s, _i| s.drained.encode(1);
}

fn subjects(hub: &Arc<Hub>, alone: &mut Alone) -> Subjects {
    let instrument = |name: &str, kind| {
        let descriptor = Descriptor::new(name, kind, "", "");
        Instrument::new(hub.clone(), descriptor).expect("a free name")
    };
    let (logger, tracer) = (Logger::new(hub.clone(), "bench"), Tracer::new(hub.clone(), "bench"));
    ours::log(&logger, 4);
    // At given times: how many digits there are to write is the same in every run.
    let start = Start { start_time: Some(1_700_000_000_123_456_789), ..Start::default() };
    let mut span = ours::started(&tracer, start, 4);
    span.end(hub, Some(1_700_000_000_124_691_356));
    let mut records = Vec::new();
    alone.each(|record| {
        // In words: a record begins at a multiple of eight.
        let mut words = vec![0u64; record.len() / 8];
        bytemuck::cast_slice_mut::<u64, u8>(&mut words).copy_from_slice(record);
        records.push(words);
    });
    let counters = instrument("bench.counter", Kind::Counter);
    Subjects {
        unsampled: Start { parent: traceparent::parse(UNSAMPLED), ..Start::default() },
        counter: counters.bind(&labels()),
        counters,
        histogram: instrument("bench.histogram", Kind::Histogram).bind(&labels()),
        context: traceparent::parse(INCOMING).expect("a header"),
        drained: Drained {
            records: records.try_into().expect("a log line and a span"),
            redactor: Redactor::new(Some(Arc::new(KeyRules::new(&[])))),
            json: JsonEncoder::new("bench"),
            timeline: Timeline::start(),
            line: Vec::new(),
        },
        logger,
        tracer,
    }
}

fn main() {
    let calls = std::env::args().nth(1).map_or(1000, |calls| calls.parse().expect("a number"));
    // Another way to the time has other instructions.
    assert_eq!(clock::source(), "tsc", "the clock is not the one that is counted");
    let mut alone = Alone::default();
    let hub = alone.hub.clone();
    let mut subjects = subjects(&hub, &mut alone);
    for operation in OPERATIONS {
        // First uses make rings, names, series and cells; the second run is the one that counts.
        for calls in [calls.min(100), calls] {
            operation(&mut subjects, calls);
            alone.empty();
        }
    }
}
