//! Which traces are recorded: the rules, and what children do.

use std::sync::Arc;

use coati_core::hub::Hub;
use coati_core::ids::{SpanId, TraceId};
use coati_core::key;
use coati_core::pipeline::{Pipeline, PipelineConfig};
use coati_core::record::value::Field;
use coati_core::span::rules::{Matcher, Pattern, Rule, Wanted};
use coati_core::span::sampler::{Root, Sampler};
use coati_core::span::{Body, SpanContext, Start, Tracer};

fn start(sampler: &str, arg: f64, rules: Vec<Rule>) -> Arc<Hub> {
    let hub = Hub::new();
    hub.install(Pipeline::new(PipelineConfig::default(), hub.live().clone()));
    hub.live().head().set(Sampler::from_name(sampler, arg).unwrap(), rules);
    hub
}

fn rule(name: &str, attributes: &[(&str, Wanted)], root: Root) -> Rule {
    let attributes = attributes.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
    Rule {
        matcher: Matcher {
            name: Pattern::new(name),
            attributes: attributes.collect(),
            ..Matcher::default()
        },
        root,
    }
}

fn is_kept(tracer: &Tracer, name: &str, attributes: &[Field<'_>]) -> bool {
    let start = Start { attributes: Some(&attributes), ..Start::default() };
    let mut span = tracer.start(name, start);
    let kept = span.is_recording();
    span.end(tracer.hub(), None);
    kept
}

#[test]
fn the_first_rule_that_fits_decides_else_the_sampler() {
    let live = Wanted::Text(Pattern::new("/live"));
    let hub = start(
        "always_off",
        1.0,
        vec![
            rule("GET", &[("http.route", live)], Root::Off),
            rule("GET", &[], Root::On),
            rule("job.*", &[("retry", Wanted::Number(2.0))], Root::Ratio(1.0)),
        ],
    );
    let tracer = Tracer::new(hub.clone(), "rules");
    let route = key!("http.route");
    assert!(!is_kept(&tracer, "GET", &[(route, "/live".into())]));
    assert!(is_kept(&tracer, "GET", &[(route, "/items".into())]));
    assert!(is_kept(&tracer, "GET", &[]));
    assert!(is_kept(&tracer, "job.mail", &[(key!("retry"), 2.into())]));
    assert!(!is_kept(&tracer, "job.mail", &[(key!("retry"), 1.into())]));
    assert!(!is_kept(&tracer, "POST", &[]));
    // While running.
    hub.live().head().set(Sampler { root: Root::Off, parent_based: true }, Vec::new());
    assert!(!is_kept(&tracer, "GET", &[]));
    let books = hub.pipeline().unwrap().ledger();
    assert_eq!((books.unsampled, books.open), (4, 0));
}

#[test]
fn a_rule_sees_the_tracer_and_what_it_saw_is_recorded_once() {
    let mut only = rule("*", &[("a", Wanted::Number(1.0))], Root::On);
    only.matcher.tracer = Pattern::new("plan*");
    let hub = start("always_off", 1.0, vec![only]);
    let begin = [(key!("a"), 1.into()), (key!("b"), "two".into())];
    let start = Start { attributes: Some(&begin), ..Start::default() };
    assert!(!Tracer::new(hub.clone(), "other").start("n", start).is_recording());
    let mut span = Tracer::new(hub.clone(), "planner").start("n", start);
    let body: &mut Body = span.body().expect("kept by the rule");
    assert_eq!(body.attributes().count(), 2);
    span.end(&hub, None);
}

#[test]
fn children_do_as_their_parent_whatever_changes_meanwhile() {
    for sampler in ["always_on", "parentbased_always_on", "traceidratio", "rate_limited"] {
        let hub = start(sampler, 1.0, Vec::new());
        let tracer = Tracer::new(hub.clone(), "family");
        let root = tracer.start("root", Start::default());
        assert!(root.is_recording(), "{sampler}");
        let never = vec![rule("*", &[], Root::Off)];
        hub.live().head().set(Sampler::from_name("always_off", 1.0).unwrap(), never);
        let child = Start { parent: Some(*root.context()), ..Start::default() };
        assert!(tracer.start("child", child).is_recording(), "{sampler}");
        let unsampled = tracer.start("another", Start::default());
        hub.live().head().set(Sampler::from_name("always_on", 1.0).unwrap(), Vec::new());
        let child = Start { parent: Some(*unsampled.context()), ..Start::default() };
        assert!(!tracer.start("child", child).is_recording(), "{sampler}");
    }
}

#[test]
fn a_parent_elsewhere_decides_where_the_sampler_is_parent_based() {
    let parent = |trace_flags| SpanContext {
        trace_id: TraceId([7; 16]),
        span_id: SpanId([9; 8]),
        trace_flags,
        remote: true,
    };
    let never = || vec![rule("*", &[], Root::Off)];
    for (sampler, rules, sampled, unsampled) in [
        ("parentbased_always_off", Vec::new(), true, false),
        ("parentbased_rate_limited", never(), true, false),
        ("always_on", Vec::new(), true, true),
        ("always_on", never(), false, false),
        ("always_off", Vec::new(), false, false),
    ] {
        let hub = start(sampler, 1.0, rules);
        let tracer = Tracer::new(hub.clone(), "remote");
        let kept = |flags| {
            let start = Start { parent: Some(parent(flags)), ..Start::default() };
            tracer.start("entry", start).is_recording()
        };
        assert_eq!((kept(1), kept(0)), (sampled, unsampled), "{sampler}");
    }
}

#[test]
fn a_rate_counts_roots_alone() {
    let hub = start("rate_limited", 3.0, vec![rule("free", &[], Root::On)]);
    let tracer = Tracer::new(hub.clone(), "rate");
    let mut kept = 0;
    // However slow the machine: what it is asked in no time gets at least the burst, and one more
    // for each third of a second.
    let begun = std::time::Instant::now();
    for _ in 0..1000 {
        let root = tracer.start("root", Start::default());
        kept += u64::from(root.is_recording());
        let child = Start { parent: Some(*root.context()), ..Start::default() };
        assert_eq!(tracer.start("child", child).is_recording(), root.is_recording());
    }
    assert!(tracer.start("free", Start::default()).is_recording());
    let most = 4 + (begun.elapsed().as_secs_f64() * 3.1) as u64;
    assert!((3..=most).contains(&kept), "{kept} of at most {most}");
}
