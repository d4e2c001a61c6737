//! Metrics of this process and its host, read when metrics are read. Linux tells them in `/proc`;
//! elsewhere there are none.

mod host;
mod process;

use std::sync::Arc;

use coati_core::metrics::{Descriptor, Instrument, Kind, LabelValue, MetricError, Store};

/// A read that shows what it finds.
type Read = Box<dyn Fn() + Send + Sync>;

/// Has `store` show the metrics of the process, of the host, or of both.
///
/// # Errors
/// If the program uses one of their names for something else; the others are shown then.
pub fn observe(store: &Store, process: bool, host: bool) -> Result<(), MetricError> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    let wanted = [
        process.then(|| process::cpu(store)),
        process.then(|| process::memory(store)),
        process.then(|| process::threads(store)),
        process.then(|| process::descriptors(store)),
        host.then(|| host::cpu(store)),
        host.then(|| host::memory(store)),
    ];
    let mut failed = Ok(());
    for read in wanted.into_iter().flatten() {
        match read {
            Ok(read) => store.observe(read),
            Err(error) => failed = Err(error),
        }
    }
    failed
}

fn instrument(
    store: &Store,
    name: &str,
    kind: Kind,
    unit: &str,
    description: &str,
) -> Result<Arc<Instrument>, MetricError> {
    store.instrument(Descriptor::new(name, kind, unit, description))
}

/// Ticks of a processor's time as seconds.
fn seconds(ticks: u64) -> f64 {
    // SAFETY: without preconditions.
    #[cfg(unix)]
    let each = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as f64;
    #[cfg(not(unix))]
    let each = 100.0;
    ticks as f64 / each
}

/// Shows `total` under one label.
fn show(instrument: &Instrument, key: &str, value: &str, total: f64) {
    instrument.series(&[(key, LabelValue::Str(value))]).observe_float(total);
}
