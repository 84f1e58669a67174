//! The ratios of importing, admitting, producing, and of what the original gives figures for.

use super::original::Line;
use crate::ratios::{Kind, Ratio};

/// What a ratio compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    /// Importing into a backend against the signatures alone.
    OverSignatures(&'static str),
    /// Importing into a backend against the smaller of 0.70 of the signatures' rate and the backend's own.
    OverBound(&'static str),
    /// Two threads against one.
    TwoThreads(&'static str),
    /// Two threads on two cores against one thread on one core.
    TwoCores(&'static str),
    /// Everything admitted before against nothing.
    Admitted(&'static str),
    /// Latency of admission below the highest rate.
    AdmissionLatency,
    /// Blocks produced into a backend.
    Produce(&'static str),
    /// Memory of an import into a backend.
    Memory(&'static str),
    /// Verifying what MPREG wrote.
    Mpreg,
    /// A line of the original's table.
    Original(Line),
}

/// A ratio and what it compares.
pub(super) struct Entry {
    pub(super) ratio: Ratio,
    pub(super) test: Test,
}

const fn entry(
    key: &'static str,
    kind: Kind,
    goal: Option<f64>,
    test: Test,
    meaning: &'static str,
) -> Entry {
    Entry {
        ratio: Ratio {
            key,
            kind,
            goal,
            meaning,
        },
        test,
    }
}

/// All of them.
pub(super) static ENTRIES: [Entry; 16] = [
    entry(
        "import_log_over_S",
        Kind::Speed,
        Some(0.55),
        Test::OverSignatures("log"),
        "Importing the hub workload (64 senders, payloads of 200 bytes, blocks of 1,000, durable group commits as large as \
         the engine makes them) into log: against S, the signature engine alone over the same signatures on the same \
         threads.",
    ),
    entry(
        "import_log_over_bound",
        Kind::Speed,
        Some(0.8),
        Test::OverBound("log"),
        "The same into log: against the smaller of 0.70 S and B, the rate at which the backend alone appends the same \
         records, durable, in commits of as many blocks as the engine's had on average in the import before.",
    ),
    entry(
        "import_sqlite_over_bound",
        Kind::Speed,
        Some(0.8),
        Test::OverBound("sqlite"),
        "The same for sqlite:.",
    ),
    entry(
        "import_rocksdb_over_bound",
        Kind::Speed,
        Some(0.8),
        Test::OverBound("rocksdb"),
        "The same for rocksdb:.",
    ),
    entry(
        "import_two_threads_over_one",
        Kind::Speed,
        Some(1.7),
        Test::TwoThreads("log"),
        "Importing into log: with two worker threads against one, by the wall clock; with one, the thread that commits \
         works on another core, so that cores_busy and the processor time of both stand beside it.",
    ),
    entry(
        "import_two_cores_over_one",
        Kind::Speed,
        Some(1.7),
        Test::TwoCores("log"),
        "The same with two cores and two worker threads against one of each: with one, the thread that commits has no \
         other core to work on.",
    ),
    entry(
        "import_admitted_over_not",
        Kind::Speed,
        Some(2.0),
        Test::Admitted("log"),
        "Importing into log: with two threads, durable, when every transaction was admitted through Engine::submit before, \
         against the same import when none was.",
    ),
    entry(
        "admission_p99_ms",
        Kind::Milliseconds,
        Some(10.0),
        Test::AdmissionLatency,
        "The 99th percentile of the time from when a transaction is due by an even schedule, at 80 % of the highest rate of \
         the same round, to its verdict through Engine::submit; median of the rounds.",
    ),
    entry(
        "produce_block_ms",
        Kind::Milliseconds,
        Some(20.0),
        Test::Produce("log"),
        "Engine::produce of a block of 1,000 into log:, from the choice among what waits to the durable commit, with \
         signatures checked at admission before; median of the blocks.",
    ),
    entry(
        "import_memory_long_over_short",
        Kind::Cost,
        Some(1.1),
        Test::Memory("log"),
        "The peak of resident memory, files excluded, of a process that imports a block file into log: by that for the \
         file's first quarter, with payloads of 4,000 bytes, so that the short one too fills whatever has a bound, such as \
         a segment of the store.",
    ),
    entry(
        "mpreg_verify_over_validate_chain",
        Kind::Speed,
        Some(100.0),
        Test::Mpreg,
        "Verifying an MPREG store of 10,000 signed transactions in 101 blocks (one like it is made up, --mpreg names \
         another), opening the file and reading its JSON included, against MPREG's validate_chain at the 150 µs a \
         transaction that are stated of it, not measured beside ours.",
    ),
    entry(
        "blocks_built_over_original",
        Kind::Speed,
        Some(50.0),
        Test::Original(Line::BlocksBuilt),
        "Building blocks of 100 transactions without a seal, as MPREG's are, in one thread against the 1,000 a second that \
         MPREG states.",
    ),
    entry(
        "blocks_sealed_over_original",
        Kind::Speed,
        None,
        Test::Original(Line::BlocksSealed),
        "Building blocks of 100 transactions and sealing them against the same.",
    ),
    entry(
        "merkle_proofs_over_original",
        Kind::Speed,
        Some(100.0),
        Test::Original(Line::MerkleProofs),
        "All 1,000 inclusion proofs from a Merkle tree of 1,000 leaves, making the tree included, in one thread against \
         the 10,000 proofs a second that MPREG states.",
    ),
    entry(
        "transactions_created_over_original",
        Kind::Speed,
        Some(50.0),
        Test::Original(Line::TransactionsCreated),
        "Creating unsigned transactions with payloads of 100 bytes in one thread against the 50,000 a second that MPREG \
         states for its own, unsigned ones.",
    ),
    entry(
        "empty_chains_over_original",
        Kind::Speed,
        Some(5.0),
        Test::Original(Line::EmptyChainsValidated),
        "Reading and validating chains of 1,000 empty blocks, each sealed, a chain on every core, against the 100 chains a \
         second that MPREG states for its own, which have no seals.",
    ),
];

/// The ratios of this area.
pub(crate) fn ratios() -> impl Iterator<Item = &'static Ratio> {
    ENTRIES.iter().map(|entry| &entry.ratio)
}
