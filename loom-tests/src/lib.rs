//! Loom models of the code that ships in `coati-core`, not of a copy of it.
//!
//! Built with `--cfg coati_loom`, the core's ring, registry, ledger, flush gate and metric store
//! run on loom's types, and each test here runs all interleavings of a few threads over them.
//! Without it there is nothing here. `mutants.sh` weakens one ordering at a time and requires the
//! model that stands for it to fail.
#![cfg(coati_loom)]
#![cfg(test)]
// Loom's threads take turns on one: what they share need not be `Sync`.
#![allow(clippy::arc_with_non_send_sync)]

mod explore;
mod flush;
mod ledger;
mod metrics;
mod records;
mod registry;
mod ring;
mod shutdown;
mod thread_exit;
