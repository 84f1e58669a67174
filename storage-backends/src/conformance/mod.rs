//! The conformance suite: what the contract states, as tests that every backend runs.
//!
//! [`conformance_suite!`](crate::conformance_suite) makes one named `#[test]` per case about blocks,
//! [`table_conformance_suite!`](crate::table_conformance_suite) one per case about tables. A backend brings a
//! [`Fixture`]. Cases use only the contract, so they hold for any backend; what is particular to one (its files, its
//! damage, its crashes) is tested beside it.
//!
//! Exclusions: a fixture that can't make writes fail returns `None` from [`Fixture::break_appends`] or
//! [`Fixture::break_table_commits`], and the case about poisoning then ends early. Those are the memory backend,
//! `rocksdb:`, and `log:` in one large segment; in small segments it runs the case.

#![allow(clippy::unwrap_used)]

mod append;
mod lifetime;
mod replace;
mod sample;
mod shrink;
mod table_history;
mod table_lifetime;
mod table_sample;
mod table_undo;
mod tables;

use crate::{Result, Store};

/// One store of a backend, empty at first, removed when the fixture is dropped.
pub trait Fixture {
    /// Opens the store, the first time by creating it.
    ///
    /// # Errors
    /// Those of the backend; [`Error::InUse`](crate::Error::InUse) while an earlier writer lives.
    fn open(&self) -> Result<Store>;

    /// Makes each append fail from now on, in the open store too, until the function that it returns is
    /// called. `None` if nothing can make this backend fail.
    fn break_appends(&self) -> Option<Box<dyn FnOnce()>>;

    /// Makes each commit to tables fail from now on, as [`break_appends`](Self::break_appends) does with appends.
    fn break_table_commits(&self) -> Option<Box<dyn FnOnce()>>;
}

macro_rules! suite {
    ($dollar:tt $(#[doc = $doc:literal])+ $suite:ident: $($file:ident: $($case:ident)+;)+) => {
        $($(
            #[doc(hidden)]
            pub fn $case(fixture: &dyn Fixture) {
                $file::$case(fixture);
            }
        )+)+

        $(#[doc = $doc])+
        #[macro_export]
        macro_rules! $suite {
            ($dollar module:ident, $dollar factory:expr) => {
                mod $dollar module {
                    #[allow(unused_imports)]
                    use super::*;
                    $($(
                        #[test]
                        fn $case() {
                            $crate::conformance::$case(&($dollar factory)());
                        }
                    )+)+
                }
            };
        }
    };
}

suite! { $
    /// Makes a module of tests, one per case about blocks: `conformance_suite!(name, factory)`, where
    /// `factory` is called for each case and returns a [`Fixture`](crate::conformance::Fixture).
    conformance_suite:
    append:
        an_empty_store_answers
        what_was_appended_reads_back
        an_empty_run_changes_nothing
        empty_and_large_bodies_read_back
        wrong_heights_are_refused
        held_ids_are_refused
        oversized_blocks_are_refused
        a_refused_run_leaves_nothing
        the_first_place_of_a_key_wins
        absent_ids_and_keys_are_absent
        ranges_end_at_the_tip
        usage_counts_bodies_and_keys;
    shrink:
        truncate_removes_blocks_ids_and_keys
        truncate_keeps_keys_of_earlier_blocks
        other_blocks_follow_a_truncation
        truncate_at_the_tip_does_nothing
        truncate_below_the_floor_is_refused
        prune_makes_the_floor_exact
        prune_keeps_headers_and_keys
        prune_resumes_after_its_limit
        prune_of_what_is_pruned_does_nothing
        prune_beyond_the_end_is_refused
        a_store_pruned_to_its_end_continues
        each_part_is_pruned_by_itself
        a_pruned_index_forgets_keys_and_keeps_ids
        parts_are_pruned_only_below_the_floor
        pruned_parts_stay_pruned
        a_long_chain_is_pruned_and_truncated;
    replace:
        a_run_takes_the_place_of_the_top
        all_but_the_first_block_may_be_replaced
        at_the_tip_a_replacement_appends
        an_empty_replacement_truncates
        a_replacement_is_durable_at_once
        ids_and_keys_of_replaced_blocks_come_again
        keys_keep_their_first_place_among_what_stays
        pruned_blocks_are_not_replaced
        wrong_replacements_are_refused
        a_long_chain_is_replaced_and_pruned;
    lifetime:
        named_values_read_back
        oversized_named_values_are_refused
        reopening_sees_everything
        reopening_continues_after_truncate_and_prune
        a_reader_outlives_its_writer
        a_second_writer_is_refused
        receipts_reach_what_the_backend_can
        sync_covers_what_came_before
        readers_never_see_part_of_a_run
        readers_never_see_part_of_a_truncation
        readers_never_see_part_of_a_replacement
        a_failed_append_poisons_the_writer
        a_failed_replacement_poisons_the_writer;
}

suite! { $
    /// Makes a module of tests, one per case about tables: `table_conformance_suite!(name, factory)`, as
    /// [`conformance_suite!`](crate::conformance_suite) does about blocks.
    table_conformance_suite:
    tables:
        an_unknown_set_is_empty
        committed_rows_read_back
        rows_at_the_limits_read_back
        wrong_commits_are_refused
        so_many_sets_and_no_more
        ranges_are_ordered_bounded_and_limited
        tables_and_sets_are_apart
        a_view_never_changes
        a_set_that_is_being_loaded_has_no_position
        a_removed_set_is_gone_and_begins_anew;
    table_lifetime:
        reopening_sees_every_table_commit
        table_receipts_state_what_was_reached
        both_writers_write_at_once
        others_wait_for_both_writers
        readers_never_see_part_of_a_table_commit
        a_failed_table_commit_poisons_the_writer;
    table_undo:
        undo_gives_contents_and_position_back
        all_of_a_set_may_be_undone
        undo_ends_at_its_floor
        undo_reaches_over_reopening
        large_commits_are_undone
        a_load_is_not_undone;
    table_history:
        random_histories_give_what_a_map_gives;
}
