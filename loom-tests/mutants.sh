#!/bin/sh
# Weakens one ordering at a time to Relaxed and requires the model that stands for it to fail.
# Usage: loom-tests/mutants.sh [mutant...]; without names, all that core/src has.
set -eu
cd "$(dirname "$0")/.."

# Mutant and its model. Every order!(…, "name") in core/src must stand here.
models='
flush_complete       flush_is_answered_after_what_came_before_it
flush_is_done        flush_is_answered_after_what_came_before_it
flush_pending        flush_is_answered_after_what_came_before_it
flush_request        flush_is_answered_after_what_came_before_it
ledger_add           ledger_never_settles_more_than_was_recorded
ledger_add_shared    ledger_counts_losses_of_threads_without_a_ring
ledger_get           ledger_never_settles_more_than_was_recorded
metrics_adopt        metrics_extremes_never_mix_eras
metrics_ever         metrics_first_delta_sees_extremes_whole
metrics_extremes     metrics_extremes_never_mix_eras
metrics_page_get     metrics_page_is_seen_whole
metrics_page_lost    metrics_shared_cells_are_made_once
metrics_page_make    metrics_page_is_seen_whole
metrics_window       metrics_deltas_report_each_value_once
registry_exit        exit_hands_the_ring_to_the_drain_and_the_next_thread
registry_recycle     exit_hands_the_ring_to_the_drain_and_the_next_thread
registry_take_over   exit_hands_the_ring_to_a_thread_that_does_not_wait_for_the_drain
ring_filler          ring_wraps_around_with_a_filler
ring_look            ring_refuses_when_full_and_takes_again
ring_publish         ring_passes_records_of_any_size
ring_published       ring_passes_records_of_any_size
ring_release         ring_refuses_when_full_and_takes_again
'

target=${CARGO_TARGET_DIR:-$PWD/target}/mutants
mkdir -p "$target"
export CARGO_TARGET_DIR="$target" RUSTFLAGS='--cfg coati_loom' RUST_BACKTRACE=0

known=$(printf '%s' "$models" | awk 'NF { print $1 }' | sort)
found=$(grep -rhoE 'order!\([^)]*"[a-z_]+"' core/src | sed 's/.*"\(.*\)"/\1/' | sort -u)
if [ "$known" != "$found" ]; then
    echo "mutants in core/src and in this script differ:"
    printf 'core/src: %s\n' $found
    printf 'here:     %s\n' $known
    exit 1
fi

survivors=0
printf '%-20s %-55s %s\n' mutant model result
for mutant in ${*:-$known}; do
    model=$(printf '%s' "$models" | awk -v mutant="$mutant" '$1 == mutant { print $2 }')
    # Cargo keeps what a workspace wrapper builds apart by the wrapper's path, so that only this
    # workspace's crates are built again for each mutant.
    wrapper=$target/$mutant.rustc
    printf '#!/bin/sh\nexec "$@" --cfg coati_mutant --cfg %s\n' "'coati_mutant=\"$mutant\"'" >"$wrapper"
    chmod +x "$wrapper"
    export RUSTC_WORKSPACE_WRAPPER="$wrapper"
    log=$target/$mutant.log
    cargo test --quiet -p coati-loom-tests --profile loom --no-run >"$log" 2>&1 || {
        cat "$log"
        exit 1
    }
    if cargo test --quiet -p coati-loom-tests --profile loom --lib -- --nocapture "$model" \
        >"$log" 2>&1; then
        survivors=$((survivors + 1))
        result=SURVIVED
    elif ! grep -q '^running 1 test' "$log"; then
        survivors=$((survivors + 1))
        result="no such model"
    elif grep -q 'no execution in which' "$log"; then
        survivors=$((survivors + 1))
        result="failed, but not by what the mutant breaks"
    else
        result="killed: $(sed -n '/panicked at/{n;p;q;}' "$log" | cut -c1-90)"
    fi
    printf '%-20s %-55s %s\n' "$mutant" "$model" "$result"
done
[ "$survivors" -eq 0 ] || { echo "$survivors survived"; exit 1; }
