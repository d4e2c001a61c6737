//! The metric store.
//!
//! A handle resolves once to a [`Series`]. Each thread alone writes the cells of its [`Shard`], by
//! plain load and store; a snapshot sums shards without stopping anyone. A thread that exits gives
//! its shard back with what it counted, and the next one goes on from there: nothing is folded, so
//! nothing is counted twice or lost. Nobody but the owner writes a cell: a reset or a delta is a
//! baseline of the reader's.
//!
//! ```
//! use coati_core::metrics::{Descriptor, Kind, LabelValue, Number, Store, StoreConfig};
//!
//! let store = Store::new(StoreConfig::default());
//! let runs = store.instrument(Descriptor::new("runs", Kind::Counter, "1", "Runs"))?;
//! let ok = runs.series(&[("ok", LabelValue::Bool(true))]);
//! let shard = store.acquire_shard();
//! ok.add_int(&shard, 1);
//! assert_eq!(ok.value(), Number::Int(1));
//! store.release_shard(shard);
//! # Ok::<(), coati_core::metrics::MetricError>(())
//! ```

mod boundaries;
mod buckets;
mod budget;
mod cache;
mod cells;
mod descriptor;
mod exemplar;
mod histogram;
mod index;
mod instrument;
mod label;
mod lazy;
mod read;
mod reader;
mod registry;
mod series;
mod shard;
mod snapshot;
mod store;
mod view;
mod windows;

pub use buckets::SCALE;
pub use cache::SeriesCache;
#[cfg(not(coati_loom))]
pub(crate) use cells::HistogramCells;
pub use descriptor::{Buckets, Descriptor, Kind, MetricError, Scope};
pub use exemplar::Exemplar;
pub use histogram::{Bucket, Exponential, HistogramBuckets, HistogramSnapshot};
pub use instrument::Instrument;
pub use label::{Label, LabelPolicy, LabelValue, OwnedLabel, OwnedValue};
pub use reader::{Reader, Temporality};
pub use series::Series;
pub use shard::Shard;
pub use snapshot::{MetricSnapshot, Number, SeriesSnapshot, Stats, Value};
pub use store::{Refused, Store, StoreConfig};
pub use view::{Aggregation, LabelFilter, View};
