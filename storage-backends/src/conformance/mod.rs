//! The conformance suite: what the contract states, as tests that every backend runs.
//!
//! [`conformance_suite!`](crate::conformance_suite) makes one named `#[test]` per case. A backend brings a
//! [`Fixture`]. Cases use only the contract, so they hold for any backend; what is particular to one
//! (its files, its damage, its crashes) is tested beside it.
//!
//! Exclusions: a fixture that can't make writes fail returns `None` from [`Fixture::break_appends`], and
//! the case about poisoning then ends early. Those are the memory backend, `rocksdb:`, and `log:` in one large
//! segment; in small segments it runs the case.

#![allow(clippy::unwrap_used)]

mod append;
mod lifetime;
mod replace;
mod sample;
mod shrink;

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
}

macro_rules! suite {
    ($dollar:tt $($file:ident: $($case:ident)+;)+) => {
        $($(
            #[doc(hidden)]
            pub fn $case(fixture: &dyn Fixture) {
                $file::$case(fixture);
            }
        )+)+

        /// Makes a module of tests, one per case of the suite: `conformance_suite!(name, factory)`, where
        /// `factory` is called for each case and returns a [`Fixture`](crate::conformance::Fixture).
        #[macro_export]
        macro_rules! conformance_suite {
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
