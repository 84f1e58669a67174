//! The registry: every ratio that the project promises, with its goal, what it compares, and what it means.

use crate::consensus::{self, Test as InConsensus};
use crate::engine::{self, Line::*, Test::*};
use crate::ratio::{Kind, Ratio};
use crate::services::{self, Entry::*, Test as InServices};
use crate::signatures::{self, Calls, Case::*, Peer::*, Test::*};
use crate::state::{self, Test as InState};
use crate::storage::{self, Asked::*, Files::*, Size::*, Test::*};
use hubledger::spec::ConsensusName;

/// What a ratio compares, by the area that measures it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Test {
    /// Checking signatures.
    Signatures(signatures::Test),
    /// Keeping blocks.
    Storage(storage::Test),
    /// The way of a block into a store, signatures and all.
    Engine(engine::Test),
    /// The tree over a state.
    State(state::Test),
    /// What a kind of consensus costs.
    Consensus(consensus::Test),
    /// Views over a chain.
    Services(services::Test),
}

/// A ratio and what it compares.
#[derive(Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) ratio: Ratio,
    pub(crate) test: Test,
}

/// The ratio of a key.
pub(crate) fn find(key: &str) -> Option<&'static Ratio> {
    let mut ratios = ENTRIES.iter().map(|entry| &entry.ratio);
    ratios.find(|ratio| ratio.key == key)
}

/// A goal. One that contradicts its kind, such as `Cost >= 2`, doesn't compile.
const fn goal(kind: Kind, least: &[f64], most: &[f64]) -> Option<f64> {
    match (least, most, kind.is_more_better()) {
        ([], [], _) => None,
        ([least], [], true) => Some(*least),
        ([], [most], false) => Some(*most),
        _ => panic!("a goal is `>=` where more is better, and `<=` where less is"),
    }
}

/// What is done and beside whom. Pictures are of speeds alone; anything else doesn't compile.
const fn headline(
    kind: Kind,
    words: &[(&'static str, &'static str)],
) -> Option<(&'static str, &'static str)> {
    match (words, kind) {
        ([], _) => None,
        ([words], Kind::Speed) => Some(*words),
        _ => panic!("only speeds are shown first"),
    }
}

/// Entries of the form `key: kind, goal if there is one, area(test), "meaning";`. What the report shows first has a few words for what is
/// done and beside whom, short enough for a narrow screen.
macro_rules! ratios {
    ($($key:ident: $kind:ident $(>= $least:literal)? $(<= $most:literal)?, $area:ident($test:expr), $meaning:literal
        $(, first $what:literal beside $peer:literal)?;)*) => {
        /// All of them, the most important of each area first.
        pub(crate) static ENTRIES: &[Entry] = &[$(Entry {
            ratio: Ratio {
                key: stringify!($key),
                kind: Kind::$kind,
                goal: const { goal(Kind::$kind, &[$($least)?], &[$($most)?]) },
                meaning: $meaning,
                headline: headline(Kind::$kind, &[$(($what, $peer))?]),
            },
            test: Test::$area($test),
        }),*];
    };
}

const ROCKS: &str = "plain-rocksdb-indexed";

ratios! {
    hub_over_dalek_batch: Speed >= 5.5, Signatures(Batch(Hub, Dalek)),
        "Workload H (64 senders whose keys are known), our batch against ed25519-dalek's, n = 8192.",
        first "A hub's signatures" beside "ed25519-dalek";
    cold_over_dalek_batch: Speed >= 3.6, Signatures(Batch(Cold, Dalek)),
        "Workload D (all keys different, none seen before; both sides decompress them), n = 8192.",
        first "Signatures, keys unknown" beside "ed25519-dalek";
    warm_over_dalek_batch: Speed >= 3.8, Signatures(Batch(Warm, Dalek)),
        "Workload C (all keys different, all seen before; dalek's are decompressed beforehand), n = 8192.";
    hub_over_zebra: Speed >= 3.5, Signatures(Batch(Hub, Zebra)),
        "Workload H against ed25519-zebra's batch, which takes keys as bytes, n = 8192.",
        first "A hub's signatures" beside "ed25519-zebra";
    warm_over_zebra: Speed, Signatures(Batch(Warm, Zebra)),
        "Workload C against ed25519-zebra's batch, which takes keys as bytes, n = 8192.";
    cold_over_zebra: Speed, Signatures(Batch(Cold, Zebra)),
        "Workload D against ed25519-zebra's batch, n = 8192.";
    hub_512_over_dalek_batch: Speed >= 4.5, Signatures(SmallBatch),
        "Workload H in batches of n = 512, both sides.";
    portable_over_dalek_batch: Speed >= 1.3, Signatures(PortablePath),
        "Workload H by the portable path, whatever path is chosen, n = 8192.";
    two_threads_over_one: Speed >= 1.8, Signatures(TwoThreads),
        "Workload H by two threads against one, by the wall clock, n = 8192. Means nothing where other programs \
         want the cores.";
    single_cached_over_dalek_single: Speed >= 1.0, Signatures(Single(Hub, Calls::Single)),
        "One signature at a time under known keys, with the tables that the default settings keep for them, \
         against ed25519-dalek's `verify` with a key that is decompressed beforehand.",
        first "Signatures, one by one" beside "ed25519-dalek";
    single_untabled_over_dalek_single: Speed, Signatures(Single(Hub, Calls::SingleWithoutTables)),
        "The same without tables.";
    single_cold_over_dalek_single: Speed, Signatures(Single(Cold, Calls::SingleWithoutTables)),
        "One signature at a time under keys that were never seen; both sides decompress them.";
    one_percent_bad_over_good: Cost <= 3.0, Signatures(OnePercentBad(Hub)),
        "Workload H, a stream of batches of 8192 in which each has 1 % bad signatures at fresh random positions, \
         against the same without; what the verifier learnt from earlier batches included.";
    one_percent_bad_warm_over_good: Cost <= 3.0, Signatures(OnePercentBad(Warm)),
        "The same for workload C.";
    one_percent_bad_cold_over_good: Cost <= 3.0, Signatures(OnePercentBad(Cold)),
        "The same for workload D.";
    half_bad_over_one_by_one: Cost <= 1.0, Signatures(HalfBad),
        "Workload H with every second signature bad, in batches of 8192, against the same one by one with our \
         single verification without tables.";
    mixed_lengths_over_equal: Cost <= 1.15, Signatures(MixedLengths),
        "64 senders, messages of 0 to 4096 bytes at random against the same bytes in equal lengths, n = 8192.";

    // Those of the same stores stand together, because stores are kept from one ratio to the next.
    log_append_over_plain_file: Speed >= 0.6, Storage(Append("log", "plain-file")),
        "Appending with index, log: against one file with a CRC32C for each block and the same syncs.",
        first "Append to log:, indexed" beside "a plain file";
    log_append_over_plain_rocksdb_indexed: Speed >= 6.0, Storage(Append("log", ROCKS)),
        "Appending with index, log: against RocksDB with its defaults and an index of 32-byte ids.",
        first "Append to log:" beside "RocksDB";
    rocksdb_append_over_plain_rocksdb_indexed: Speed >= 1.5, Storage(Append("rocksdb", ROCKS)),
        "The same, rocksdb: against plain RocksDB.",
        first "Append to rocksdb:" beside "RocksDB";
    sqlite_append_over_plain_sqlite_indexed: Speed >= 2.5, Storage(Append("sqlite", "plain-sqlite-indexed")),
        "The same, sqlite: against plain SQLite in WAL mode.",
        first "Append to sqlite:" beside "SQLite";
    log_append_over_plain_rocksdb: Speed, Storage(Append("log", "plain-rocksdb")),
        "Appending with index, log: against plain RocksDB that keeps no index.";
    log_append_over_plain_sqlite: Speed, Storage(Append("log", "plain-sqlite")),
        "Appending with index, log: against plain SQLite that keeps no index.";
    log_append_over_plain_fjall_indexed: Speed, Storage(Append("log", "plain-fjall-indexed")),
        "Appending with index, log: against plain fjall.";
    log_append_over_plain_redb_indexed: Speed, Storage(Append("log", "plain-redb-indexed")),
        "Appending with index, log: against plain redb.";
    log_append_large_over_small: Speed >= 0.95, Storage(AppendLarge("log")),
        "The append rate of log: over ten times as many transactions as --transactions says against that over so \
         many; index files that are merged meanwhile included.";
    log_lookup_over_plain_rocksdb_indexed: Speed >= 3.0, Storage(LookUpLarge(Present, "log", ROCKS)),
        "Looking up random ids that are there, warm, in the full size (ten times as many with --large), log: \
         against plain RocksDB.",
        first "Look up ids in log:" beside "RocksDB";
    log_miss_over_plain_rocksdb_indexed: Speed >= 1.0, Storage(LookUpLarge(Absent, "log", ROCKS)),
        "The same with ids that are not there; RocksDB has a Bloom filter of ten bits.";
    log_lookup_over_plain_sqlite_indexed: Speed, Storage(LookUp(Present, "log", "plain-sqlite-indexed")),
        "Looking up random ids that are there, log: against plain SQLite.";
    log_lookup_over_plain_fjall_indexed: Speed, Storage(LookUp(Present, "log", "plain-fjall-indexed")),
        "The same against plain fjall.";
    log_lookup_over_plain_redb_indexed: Speed, Storage(LookUp(Present, "log", "plain-redb-indexed")),
        "The same against plain redb.";
    rocksdb_lookup_over_plain_rocksdb_indexed: Speed, Storage(LookUp(Present, "rocksdb", ROCKS)),
        "Looking up random ids that are there, rocksdb: against plain RocksDB.";
    sqlite_lookup_over_plain_sqlite_indexed: Speed, Storage(LookUp(Present, "sqlite", "plain-sqlite-indexed")),
        "Looking up random ids that are there, sqlite: against plain SQLite.";
    log_resident_mib: Mebibytes, Storage(Resident("log", Small)),
        "The most resident memory, files excluded, of a process that fills log:.";
    log_resident_large_mib: Mebibytes, Storage(Resident("log", Large)),
        "The same with ten times as many transactions.";
    log_resident_growth_mib: Mebibytes <= 64.0, Storage(Resident("log", Growth)),
        "How much more the second is.";
    log_open_large_over_small: Cost <= 1.5, Storage(Open("log", InMemory)),
        "Opening log: after SIGKILL in the midst of an append, ten times as many transactions as --transactions \
         says against so many; kills are spread over a segment's length.";
    log_open_cold_large_over_small: Cost <= 1.5, Storage(Open("log", Forgotten)),
        "The same after the system was told to forget the files.";
    log_prune_freed_over_removed: Share >= 0.95, Storage(Prune("log")),
        "Pruning bodies and index of the older half of log:, bytes that the file system got back by the bytes \
         removed.";
    sqlite_prune_freed_over_removed: Share >= 0.95, Storage(Prune("sqlite")),
        "The same for sqlite:.";
    rocksdb_prune_freed_over_removed: Share >= 0.95, Storage(Prune("rocksdb")),
        "The same for rocksdb:.";

    import_log_over_S: Speed >= 0.55, Engine(OverSignatures("log")),
        "Importing the hub workload (64 senders, payloads of 200 bytes, blocks of 1,000, durable group commits as \
         large as the engine makes them) into log: against S, the signature engine alone over the same signatures \
         on the same threads.";
    import_log_over_bound: Speed >= 0.8, Engine(OverBound("log")),
        "The same into log: against the smaller of 0.70 S and B, the rate at which the backend alone appends the \
         same records, durable, in commits of as many blocks as the engine's had on average in the import before.";
    import_sqlite_over_bound: Speed >= 0.8, Engine(OverBound("sqlite")),
        "The same for sqlite:.";
    import_rocksdb_over_bound: Speed >= 0.8, Engine(OverBound("rocksdb")),
        "The same for rocksdb:.";
    import_over_plain_stack: Speed >= 5.0, Engine(OverPlainStack("log", ROCKS)),
        "Importing into log: on all cores, against what an engineer would put together in a day: rayon, sha2, \
         ed25519-dalek's verify_batch over all that a thread has of a commit, and plain RocksDB with an index, on the \
         same blocks, threads and commits, as durable.",
        first "Import signed blocks" beside "a stack of crates";
    import_two_threads_over_one: Speed >= 1.7, Engine(ImportThreads("log")),
        "Importing into log: with two worker threads against one, by the wall clock; with one, the thread that \
         commits works on another core, so that cores_busy and the processor time of both stand beside it.";
    import_two_cores_over_one: Speed >= 1.7, Engine(ImportCores("log")),
        "The same with two cores and two worker threads against one of each: with one, the thread that commits \
         has no other core to work on.";
    import_admitted_over_not: Speed >= 2.0, Engine(Admitted("log")),
        "Importing into log: with two threads, durable, when every transaction was admitted through \
         Engine::submit before, against the same import when none was.";
    import_by_depth_over_immediate: Speed >= 0.98, Engine(ByDepth("log")),
        "Importing the hub workload into log: as a chain whose blocks are final once 100 follow them, no branch beside it, \
         against the same as a chain that is final at once; by the processor time of all threads.";
    reorganisation_over_import: Speed >= 0.5, Engine(Reorganisation("log")),
        "A branch of 101 blocks of 1,000 that takes the place of 100 in log:, block by block through \
         Engine::offer_branch, against importing those 100; by the processor time of all threads.";
    admission_p99_ms: Milliseconds <= 10.0, Engine(AdmissionLatency),
        "The 99th percentile of the time from when a transaction is due by an even schedule, at 80 % of the \
         highest rate of the same round, to its verdict through Engine::submit; median of the rounds.";
    admission_beside_snapshots_ms: Milliseconds, Engine(AdmissionBeside("log")),
        "The 99th percentile of the same at 40 % of the highest rate, while snapshots of a state of 100,000 names are \
         taken into log:, one after the other, and another thread produces blocks of what was admitted; median of the rounds.";
    produce_block_ms: Milliseconds <= 20.0, Engine(Produce("log")),
        "Engine::produce of a block of 1,000 into log:, from the choice among what waits to the durable commit, \
         with signatures checked at admission before; median of the blocks.";
    import_memory_long_over_short: Cost <= 1.1, Engine(Memory("log")),
        "The peak of resident memory, files excluded, of a process that imports a block file into log: by that \
         for the file's first quarter, with payloads of 4,000 bytes, so that the short one too fills whatever has \
         a bound, such as a segment of the store.";
    mpreg_verify_over_validate_chain: Speed >= 100.0, Engine(Mpreg),
        "Verifying an MPREG store of 10,000 signed transactions in 101 blocks (one like it is made up, --mpreg \
         names another), opening the file and reading its JSON included, against MPREG's validate_chain at the \
         150 µs a transaction that are stated of it, not measured beside ours.",
        first "Verify a chain of MPREG" beside "MPREG, as stated";
    blocks_built_over_original: Speed >= 50.0, Engine(Original(BlocksBuilt)),
        "Building blocks of 100 transactions without a seal, as MPREG's are, in one thread against the 1,000 a \
         second that MPREG states.",
        first "Build blocks" beside "MPREG, as stated";
    blocks_sealed_over_original: Speed, Engine(Original(BlocksSealed)),
        "Building blocks of 100 transactions and sealing them against the same.";
    merkle_proofs_over_original: Speed >= 100.0, Engine(Original(MerkleProofs)),
        "All 1,000 inclusion proofs from a Merkle tree of 1,000 leaves, making the tree included, in one thread \
         against the 10,000 proofs a second that MPREG states.",
        first "Make Merkle proofs" beside "MPREG, as stated";
    transactions_created_over_original: Speed >= 50.0, Engine(Original(TransactionsCreated)),
        "Creating unsigned transactions with payloads of 100 bytes in one thread against the 50,000 a second that \
         MPREG states for its own, unsigned ones.",
        first "Create transactions" beside "MPREG, as stated";
    empty_chains_over_original: Speed >= 5.0, Engine(Original(EmptyChainsValidated)),
        "Reading and validating chains of 1,000 empty blocks, each sealed, a chain on every core, against the 100 \
         chains a second that MPREG states for its own, which have no seals.",
        first "Validate empty chains" beside "MPREG, as stated";

    state_roots_over_none: Speed >= 0.93, State(InState::Roots("log")),
        "Importing the hub workload into log: as a chain of version 2, with a state root in every block, against the \
         same recipe as a chain of version 1, which has none.";
    state_cold_over_hub: Speed >= 0.35, State(InState::Cold("log")),
        "Importing into log: when every transaction of a block of 1,000 is by another of --accounts senders (ten times \
         as many with --large), each of which was there before, against 64 senders; both chains go on, a root in \
         every block.";
    state_cold_large_over_small: Speed >= 0.7, State(InState::ColdLarge("log")),
        "The same with ten times --accounts senders against so many.";
    state_registered_over_pinned: Speed >= 0.9, State(InState::Registered("log")),
        "Importing into log: when every transaction of a block of 1,000 is by another of --accounts names (100,000 at most), each of \
         which was registered, against as many that their first keys pinned; a root in every block.";
    state_several_keys_over_one: Speed >= 0.182, State(InState::Several("log")),
        "Importing into log: from 64 registered names for which three of five keys speak and sign, against as many of one key: five \
         signatures and a tenth more would be 0.182.";
    state_memory_mib: Mebibytes <= 1536.0, State(InState::ColdMemory("log")),
        "The most resident memory, files excluded, of a process that imports a block file into log: in which \
         --accounts senders (ten times as many with --large) send one after the other.";
    state_time_over_hashing: Cost <= 1.5, State(InState::OverHashing),
        "Updating 1,000 random ones of --accounts rows (ten times as many with --large) in memory and the root behind \
         them, against reading those rows and hashing, many at a time, as many nodes as that changes, as many leaves \
         and as many values; hashes of keys count on both sides.";
    state_updates_over_nomt: Speed >= 1.0, State(InState::Updates("log", state::Peer::Nomt)),
        "Updates of random ones of as many rows with keys of 32 and values of 49 bytes, in batches of 1,000 with a root \
         behind each, which is written to tables of log: and synced, against nomt with SHA-256, which syncs each, \
         too; by the processor time of all threads.";
    state_updates_over_qmdb: Speed >= 1.0, State(InState::Updates("log", state::Peer::Qmdb)),
        "The same against commonware-storage (qmdb).";
    state_updates_over_rocksdb_tree: Speed >= 1.0, State(InState::Updates("log", state::Peer::RocksDbTree)),
        "The same against jmt with SHA-256 over RocksDB, neither of them synced.";
    state_prove_us: Microseconds <= 50.0, State(InState::Prove),
        "Making the proof of one of as many rows in memory.";
    state_check_us: Microseconds <= 10.0, State(InState::Check),
        "Checking such a proof against the root, the place of its key included.";

    import_stake_over_authority: Speed >= 0.9, Consensus(InConsensus::Import(ConsensusName::ProofOfStake)),
        "Importing blocks of 1,000 into memory: of a chain sealed by stake, in turns by weight, against one of proof of authority; by the processor time of all threads.";
    import_delegated_stake_over_authority: Speed >= 0.9, Consensus(InConsensus::Import(ConsensusName::DelegatedProofOfStake)),
        "Importing blocks of 1,000 into memory: of a chain sealed by delegated stake, against one of proof of authority; by the processor time of all threads.";
    import_work_over_authority: Speed >= 0.9, Consensus(InConsensus::Import(ConsensusName::ProofOfWork)),
        "Importing blocks of 1,000 into memory: of a chain sealed by work of difficulty 1,000, against one of proof of authority; by the processor time of all threads.";
    import_federated_over_authority: Speed >= 0.9, Consensus(InConsensus::Import(ConsensusName::FederatedByzantine)),
        "Importing blocks of 1,000 into memory: of a chain sealed with certificates of 16 members of several weights, against one of proof of authority; by the processor time of all threads.";
    import_pbft_over_authority: Speed >= 0.9, Consensus(InConsensus::Import(ConsensusName::Pbft)),
        "Importing blocks of 1,000 into memory: of a chain sealed with certificates of 16 members, against one of proof of authority; by the processor time of all threads.";
    import_hybrid_over_authority: Speed >= 0.9, Consensus(InConsensus::Import(ConsensusName::Hybrid)),
        "Importing blocks of 1,000 into memory: of a chain sealed by work, with checkpoints, against one of proof of authority; by the processor time of all threads.";
    import_changing_members_over_authority: Speed >= 0.9, Consensus(InConsensus::ImportChanging),
        "Importing blocks of 1,000 into memory: of a chain sealed with certificates of 16 members whose stakes change every 4 blocks, against one of proof of authority; by the processor time of all threads.";
    certificate_batch_over_signatures: Cost <= 1.2, Consensus(InConsensus::Certificates),
        "Gathering certificates of 11 of 16 members and checking them in one large batch, against the same of transactions, 12 for each certificate.";
    light_client_over_single_checks: Speed >= 20.0, Consensus(InConsensus::Light),
        "Following headers with certificates of 16 by a light client, on all cores, against checking each signature by itself with ed25519-dalek.";
    mining_over_bare_sha256: Speed >= 0.95, Consensus(InConsensus::Mining),
        "Trying nonces on one core, one hash after the other, against a loop over sha2's compression function, one block \
         for each nonce.";
    mining_lanes_over_bare: Speed >= 3.0, Consensus(InConsensus::MiningInLanes),
        "Trying nonces on one core in the lanes of vector registers against the same loop, which uses the processor's instructions \
         for SHA if it has some.";

    import_all_views_over_none: Speed >= 0.6, Services(InServices::Import),
        "Importing equal parts queue, registry, route and cache transactions, in blocks of 1,000, while all views follow, until they have \
         committed the last block, against importing without any; by the processor time of all threads.";
    import_plain_all_views_over_none: Speed >= 0.97, Services(InServices::ImportPlain),
        "The same of messages that say nothing to any service (64 senders, payloads of 200 bytes).";
    queue_read_us: Microseconds <= 2.0, Services(InServices::Read),
        "Reading a message of a topic, in pages of 1,000, where views have --entries of each kind: 2 µs are 500,000 messages a second.";
    queue_lookup_us: Microseconds <= 5.0, Services(InServices::LookUp(Offset)),
        "Looking up a message by its topic's name and its offset, at random among --entries in 100 topics, warm.";
    registry_lookup_us: Microseconds <= 5.0, Services(InServices::LookUp(Node)),
        "Looking up a node by its name among so many, profile and all.";
    route_lookup_us: Microseconds <= 5.0, Services(InServices::LookUp(Route)),
        "Looking up the way of a message with one hop by its id among so many.";
    cache_lookup_us: Microseconds <= 5.0, Services(InServices::LookUp(Key)),
        "Looking up a value by namespace and key among so many.";
    queue_delivery_high_over_low: Cost <= 1.1, Services(InServices::Delivery),
        "A message of the queue from being submitted to its acknowledgement in a block, all views on, in a chain of --height light blocks against one of 10; \
         by the processor time of all threads.";
    rebuild_views_over_verify: Speed >= 0.5, Services(InServices::Rebuild),
        "Making all views anew from a store with blocks of the first of these chains against verifying it on all cores, by the wall clock.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_key_is_there_once_and_found_by_its_name() {
        let keys: BTreeSet<&str> = ENTRIES.iter().map(|entry| entry.ratio.key).collect();
        assert_eq!(keys.len(), ENTRIES.len());
        assert!(
            ENTRIES
                .iter()
                .all(|entry| find(entry.ratio.key) == Some(&entry.ratio))
        );
        assert_eq!(find("speed"), None);
    }

    #[test]
    fn a_ratio_says_in_its_name_what_it_is() {
        for Entry { ratio, .. } in ENTRIES {
            let (is_ratio, suffix) = match ratio.kind {
                Kind::Mebibytes => (false, "_mib"),
                Kind::Milliseconds => (false, "_ms"),
                Kind::Microseconds => (false, "_us"),
                Kind::Speed | Kind::Cost | Kind::Share => (true, ""),
            };
            assert_eq!(ratio.key.contains("_over_"), is_ratio, "{}", ratio.key);
            assert!(ratio.key.ends_with(suffix), "{}", ratio.key);
        }
    }
}
