//! Handles over `init`, shutdown and restart.

use coati_core::hub::Hub;
use coati_core::instrument::Instrument;
use coati_core::metrics::{Descriptor, Kind, LabelValue, Number};
use coati_core::pipeline::{Pipeline, PipelineConfig};

#[test]
fn a_bound_handle_made_before_init_counts_in_each_pipeline_from_zero() {
    let hub = Hub::new();
    let counter = Descriptor::new("runs", Kind::Counter, "1", "");
    let counter = Instrument::new(hub.clone(), counter).unwrap();
    let bound = counter.bind(&[("ok", LabelValue::Bool(true))]);
    bound.add_int(5);
    assert!(bound.series().is_none());
    for expected in [3, 4] {
        hub.install(Pipeline::new(PipelineConfig::default(), hub.live().clone()));
        (0..expected).for_each(|_| bound.add_int(1));
        std::thread::scope(|scope| scope.spawn(|| bound.add_int(1)).join().unwrap());
        assert_eq!(bound.series().unwrap().value(), Number::Int(expected + 1));
        hub.uninstall();
        bound.add_int(1);
    }
}
