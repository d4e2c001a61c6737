#!/bin/sh
# Takes one ordering or guard away at a time and requires what stands for it to fail: a loom model,
# or a test of the core where no other thread is needed to see the harm (test binary:test).
# Usage: loom-tests/mutants.sh [mutant...]; without names, all that core/src has.
#
# All mutants are in one build; the variable COATI_MUTANT chooses.
set -eu
cd "$(dirname "$0")/.."

# Mutant and what kills it. Every order!(…, "name") and mutant!("name") in core/src must stand here.
killers='
exemplar_again           metrics_exemplars_are_read_whole
exemplar_alone           metrics_exemplars_of_two_threads_do_not_mix
exemplar_even            metrics_exemplars_are_read_whole
exemplar_odd             metrics_exemplars_of_two_threads_do_not_mix
exemplar_publish         metrics_exemplars_are_read_whole
exemplar_read            metrics_exemplars_are_read_whole
exemplar_read_fence      metrics_exemplars_are_read_whole
exemplar_write_fence     metrics_exemplars_are_read_whole
flush_any                flush_answers_each_request_apart
flush_complete           flush_is_answered_after_what_came_before_it
flush_is_done            flush_is_answered_after_what_came_before_it
flush_pending            flush_is_answered_after_what_came_before_it
flush_refresh            flush_of_two_threads_is_answered_for_both
flush_request            flush_is_answered_after_what_came_before_it
fork_cached              fork:a_childs_first_record_goes_into_a_pipeline_of_its_own
fork_generation          fork:a_childs_first_record_goes_into_a_pipeline_of_its_own
found_clear              fork:a_childs_bound_handle_counts_in_a_pipeline_of_its_own
ledger_add               ledger_never_settles_more_than_was_recorded
ledger_add_shared        ledger_counts_losses_of_threads_without_a_ring
ledger_get               ledger_never_settles_more_than_was_recorded
ledger_order             ledger_never_settles_more_than_was_recorded
ledger_published         ledger_counts_a_record_as_published_before_it_is_taken
metrics_adopt            metrics_extremes_never_mix_eras
metrics_budget           metrics_beyond_the_budget_lose_nothing
metrics_ever             metrics_first_delta_sees_extremes_whole
metrics_extremes         metrics_extremes_never_mix_eras
metrics_fast_stamp       metrics_store:reset_starts_from_zero_and_handles_go_on
metrics_foreign_shard    metrics_threads:a_shard_in_wrong_hands_miscounts_and_stays_sound
metrics_known            metrics_survive_thread_exit_under_a_reader
metrics_new_era          metrics_extremes_never_mix_eras
metrics_new_window       metrics_deltas_report_each_value_once
metrics_no_era           metrics_first_delta_sees_extremes_whole
metrics_other_era        metrics_extremes_never_mix_eras
metrics_other_window     metrics_deltas_report_each_value_once
metrics_page_get         metrics_page_is_seen_whole
metrics_page_lost        metrics_shared_cells_are_made_once
metrics_page_make        metrics_page_is_seen_whole
metrics_page_twice       metrics_shared_cells_are_made_once
metrics_window           metrics_deltas_report_each_value_once
open_spans               pipeline:open_spans_are_bounded_and_the_excess_is_counted
registry_exit            exit_hands_the_ring_to_the_drain_and_the_next_thread
registry_known           growth_of_the_registry_is_seen_by_the_drain
registry_recycle         exit_hands_the_ring_to_the_drain_and_the_next_thread
registry_recycle_active  exit_hands_the_ring_to_the_drain_and_the_next_thread
registry_take_over       exit_hands_the_ring_to_a_thread_that_does_not_wait_for_the_drain
registry_take_over_active exit_hands_the_ring_to_a_thread_that_does_not_wait_for_the_drain
registry_total           growth_of_the_registry_is_seen_by_the_drain
restart_key              instrument:a_bound_handle_made_before_init_counts_in_each_pipeline_from_zero
ring_filler              ring_wraps_around_with_a_filler
ring_full                ring_oracle:a_record_is_placed_where_it_fits
ring_full_behind_filler  ring_oracle:a_record_is_placed_where_it_fits
ring_look                ring_refuses_when_full_and_takes_again
ring_publish             ring_passes_records_of_any_size
ring_published           ring_passes_records_of_any_size
ring_release             ring_refuses_when_full_and_takes_again
ring_skip                ring_wraps_around_with_a_filler
ring_spare               ring_oracle:spare_room_is_for_severe_records
ring_stretch_end         ring_oracle:what_goes_in_comes_out_in_order
ring_stretch_free        ring_oracle:what_goes_in_comes_out_in_order
ring_too_large           ring_oracle:a_record_is_placed_where_it_fits
ring_until               ring_passes_records_of_any_size
ring_wrap                ring_oracle:a_record_is_placed_where_it_fits
shutdown_key             pipeline:off_before_install_and_after_uninstall
shutdown_refresh         shutdown_sweeps_what_came_after_the_last_drain
'

target=${CARGO_TARGET_DIR:-$PWD/target}/mutants
mkdir -p "$target"
export RUST_BACKTRACE=0

known=$(printf '%s' "$killers" | awk 'NF { print $1 }' | sort)
found=$(cat $(find core/src -name '*.rs' ! -name sync.rs) | tr -d '\n' |
    grep -oE '(order!\( *[A-Za-z]+, *|mutant!\( *)"[a-z_]+"' | sed 's/.*"\(.*\)"/\1/' | sort -u)
if [ "$known" != "$found" ]; then
    echo "mutants in core/src and in this script differ:"
    printf 'core/src: %s\n' $found
    printf 'here:     %s\n' $known
    exit 1
fi

# Builds test binaries and lists them, one "name path" in a line.
build() { # directory, rustc flags, cargo arguments…
    directory=$target/$1
    flags=$2
    shift 2
    RUSTFLAGS="$flags" CARGO_TARGET_DIR=$directory cargo test --no-run "$@" >"$target/log" 2>&1 || {
        cat "$target/log" >&2
        exit 1
    }
    sed -n 's/^ *Executable .*(\(.*\))$/\1/p' "$target/log" | while read -r path; do
        # Cargo shows the path from where it runs, if it is below.
        printf '%s %s\n' "$(basename "$path" | sed 's/-[0-9a-f]*$//')" "$path"
    done
}
loom=$(build loom '--cfg coati_loom --cfg coati_mutant' -p coati-loom-tests --profile loom)
core=$(build core '--cfg coati_mutant' -p coati-core --tests)

survivors=0
printf '%-26s %-72s %s\n' mutant killer result
for mutant in ${*:-$known}; do
    killer=$(printf '%s' "$killers" | awk -v mutant="$mutant" '$1 == mutant { print $2 }')
    case $killer in
    *:*) name=${killer#*:} binary=$(printf '%s\n' "$core" | awk -v name="${killer%%:*}" '$1 == name { print $2 }') ;;
    *) name=$killer binary=$(printf '%s\n' "$loom" | awk '{ print $2 }') ;;
    esac
    log=$target/$mutant.log
    if COATI_MUTANT=$mutant "$binary" --nocapture "$name" >"$log" 2>&1; then
        survivors=$((survivors + 1))
        result=SURVIVED
    elif ! grep -q '^running 1 test' "$log"; then
        survivors=$((survivors + 1))
        result="no such test"
    elif grep -q 'no execution in which' "$log"; then
        survivors=$((survivors + 1))
        result="failed, but not by what the mutant breaks"
    else
        said=$(sed -n '/panicked at/{n;p;q;}' "$log" | cut -c1-60)
        result="killed: ${said:-$(tail -n 1 "$log")}"
    fi
    printf '%-26s %-72s %s\n' "$mutant" "$killer" "$result"
done
[ "$survivors" -eq 0 ] || { echo "$survivors survived"; exit 1; }
