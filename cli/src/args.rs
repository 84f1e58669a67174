//! What can be said on the command line.

mod audit;
mod author;
mod cache;
mod causal;
mod checkpoint;
mod evidence;
mod fork;
mod keys;
mod light;
mod look;
mod params;
mod queue;
mod registry;
mod retention;
mod route;
mod seed;
mod stake;
mod text;
mod time;
mod updates;
mod upgrade;
mod views;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{ArgGroup, Args, Parser, Subcommand};
use hubledger::digest::BlockHash;
use hubledger::spec::ConsensusName;
use hubledger_storage::{Durability, StoreUrl};

pub(crate) use self::audit::{Audit, Records};
pub(crate) use self::author::{Authoring, Mine, Nonce, Produce, Tx};
pub(crate) use self::cache::{CacheCommand, CacheKey, CacheProve, CacheSince, CacheVerify};
pub(crate) use self::causal::{By, CausalCommand, CausalQuery, Onward};
pub(crate) use self::checkpoint::{CheckpointCertify, CheckpointCommand, CheckpointShow};
pub(crate) use self::evidence::{
    EvidenceCommand, EvidenceList, EvidenceMake, EvidenceShow, EvidenceSubmit,
};
pub(crate) use self::fork::{ForkAt, ForkCommand, ForkNew, ForkOffer, ForkResolve, ForkShow};
pub(crate) use self::keys::{
    Attest, Balance, KeyName, KeysCommand, KeysPayload, KeysShow, NewKeys, ProfileFields, Recover,
    RecoveryKeys, Register, Retract, Rotate, Saying,
};
pub(crate) use self::light::{LightCommand, LightFollow, LightHeaders};
pub(crate) use self::look::{
    BlockName, Get, Kind, Prove, Show, SpecCheck, SpecCommand, VerifyProof,
};
pub(crate) use self::params::{Approve, NewValue, ParamsCommand, ParamsShow, Propose};
pub(crate) use self::queue::{
    QueueCommand, QueueDead, QueueGet, QueueGroups, QueueList, QueueLog, QueueProve, QueueTopics,
    QueueVerify,
};
pub(crate) use self::registry::{
    RegistryAt, RegistryCommand, RegistryCompare, RegistryFind, RegistryImport, RegistryList,
    RegistryProve, RegistryShow,
};
pub(crate) use self::retention::{
    Backup, Check, Export, Followers, Migrate, Prune, Restore, SnapshotCommand, SnapshotExport,
};
pub(crate) use self::route::{
    RouteCommand, RoutePath, RouteReceipt, RouteSearch, RouteShow, RouteVerify,
};
pub(crate) use self::seed::{SeedCommand, SeedSaying, SeedShow};
pub(crate) use self::stake::{Members, StakeCommand, StakePut, StakeShow};
use self::text::text;
pub(crate) use self::time::When;
pub(crate) use self::updates::{UpdatesCommand, UpdatesParts, UpdatesSince};
use self::upgrade::UPGRADE_HELP;
pub(crate) use self::upgrade::Upgrade;
pub(crate) use self::views::Viewed;

const EXIT_CODES: &str = "Exit codes: 0 done and valid, 1 failure, 2 usage, 3 the chain or block is invalid, \
4 the store is corrupt or data is lost, 130 and 143 stopped by SIGINT and SIGTERM.\nLogs go to standard error; RUST_LOG chooses how much.";

/// A file to write, where `-` would be taken for standard output, which isn't written to.
fn file() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match path.as_os_str() == "-" {
        true => Err("only a file is written; ./- is one of that name"),
        false => Ok(path),
    })
}

/// Validates, stores, finds and proves chains of signed transactions.
#[derive(Parser)]
#[command(name = "hubledger", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Print JSON, one document, on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Whether these arguments, which may be wrong otherwise, ask for JSON.
pub(crate) fn wants_json(args: impl IntoIterator<Item = OsString>) -> bool {
    args.into_iter()
        .skip(1)
        .take_while(|arg| arg != "--")
        .any(|arg| arg == "--json")
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Create a store from a chain specification
    #[command(
        after_help = "Example:\n  hubledger init --store log:hub --spec examples/messaging.toml"
    )]
    Init(Init),
    /// Generate a block file of signed, sealed blocks
    #[command(
        after_help = "Example:\n  hubledger generate --transactions 10000 --keys 64 --out blocks.hlb"
    )]
    Generate(Generate),
    /// Generate a key pair and write it to a PEM file that only its owner can read
    #[command(after_help = "Example:\n  hubledger keygen --out hub.pem")]
    Keygen(Keygen),
    /// Say what a chain specification means, and everything that is wrong with it
    #[command(subcommand)]
    Spec(SpecCommand),
    /// Make and sign a transaction, from options, from JSON, or both
    #[command(after_help = author::TX_EXAMPLES)]
    Tx(Box<Tx>),
    /// Register names with keys, exchange, revoke and recover them, vouch for others; show who speaks for a name
    #[command(subcommand, after_help = keys::KEYS_EXAMPLES)]
    Keys(KeysCommand),
    /// Show the parameters that a chain goes by, and change them: members propose and approve
    #[command(subcommand, after_help = params::PARAMS_EXAMPLES)]
    Params(ParamsCommand),
    /// Put value up behind members, take it back, and show what is behind a name
    #[command(subcommand, after_help = stake::STAKE_EXAMPLES)]
    Stake(StakeCommand),
    /// Add to the seeds that choose who proposes, where the chain's consensus has them
    #[command(subcommand, after_help = seed::SEED_EXAMPLES)]
    Seed(SeedCommand),
    /// Say who takes part in the consensus at a height, with which key and weight
    #[command(after_help = "Example:\n  hubledger members --at 1200 log:hub")]
    Members(Members),
    /// Members' faults: find what proves them, look at it, hand it in, and list who was convicted
    #[command(subcommand, after_help = evidence::EVIDENCE_EXAMPLES)]
    Evidence(EvidenceCommand),
    /// Blocks that members make final where work seals: hand in their certificates, and show what is final
    #[command(subcommand, after_help = checkpoint::CHECKPOINT_EXAMPLES)]
    Checkpoint(CheckpointCommand),
    /// Follow a chain by its headers alone
    #[command(subcommand, after_help = light::LIGHT_EXAMPLES)]
    Light(LightCommand),
    /// Say what a name holds and has put up, its last nonce, and who speaks for it
    #[command(
        after_help = "Examples:\n  hubledger balance alice --store log:hub\n  \
hubledger balance alice --store log:hub --prove alice.proof"
    )]
    Balance(Balance),
    /// Say who did what: joins and leaves, keys, attestations, parameters
    #[command(after_help = audit::AUDIT_EXAMPLES)]
    Audit(Audit),
    /// What stands at each key of a common cache
    #[command(subcommand, after_help = cache::CACHE_EXAMPLES)]
    Cache(CacheCommand),
    /// Messages by topic, consumer groups and what they have done, proofs of messages and of their delivery
    #[command(subcommand, after_help = queue::QUEUE_EXAMPLES)]
    Queue(QueueCommand),
    /// The nodes of a federation: who is in it, who was, who is alive; registries from files
    #[command(subcommand, after_help = registry::REGISTRY_EXAMPLES)]
    Registry(RegistryCommand),
    /// What hubs measured, by hub and time
    #[command(after_help = audit::RECORDS_EXAMPLES)]
    Records(Records),
    /// What a peer lacks since a block, and transactions of a block by id
    #[command(subcommand, after_help = updates::UPDATES_EXAMPLES)]
    Updates(UpdatesCommand),
    /// What happened before, after and concurrently with a transaction, by vector clocks
    #[command(subcommand, after_help = causal::CAUSAL_EXAMPLES)]
    Causal(CausalCommand),
    /// Which way messages took, with proof; the cheapest and the fastest way
    #[command(subcommand, after_help = route::ROUTE_EXAMPLES)]
    Route(RouteCommand),
    /// Make the next block of transactions from files, seal it, and commit it to a store
    #[command(after_help = author::PRODUCE_EXAMPLES)]
    Produce(Produce),
    /// Search for the nonces of blocks, where work seals them
    Mine(Mine),
    /// Show a block file, block, transaction, proof or specification as text or JSON
    #[command(after_help = look::SHOW_EXAMPLES)]
    Show(Show),
    /// Validate the blocks of a file and commit them to a store, or start a store from a snapshot
    #[command(
        after_help = "Examples:\n  hubledger import blocks.hlb --store log:hub\n  \
hubledger import --mpreg federation.db --chain hub_registry --store sqlite:registry.db\n  \
hubledger import --snapshot hub-snapshot --head HASH --store log:hub\n\n\
An import that was interrupted is simply started again."
    )]
    Import(Import),
    /// Check everything in a store, or in a chain that MPREG keeps, again
    #[command(after_help = "Examples:\n  hubledger verify --store log:hub\n  \
hubledger verify --mpreg federation.db --chain hub_registry --audit\n\n\
What of a state doesn't fit into memory goes into a folder in TMPDIR meanwhile.")]
    Verify(Verify),
    /// Look up a transaction, a block, or the head
    #[command(after_help = "Examples:\n  hubledger get --store log:hub --head\n  \
hubledger get --store log:hub --block 7\n  \
hubledger get --store sqlite:registry.db --tx 7ce42c82-0741-4e4b-8d5f-6ec963ca828d")]
    Get(Get),
    /// Write a proof that a transaction is in the chain, or that the chain extends an earlier head
    #[command(
        after_help = "Examples:\n  hubledger prove --store log:hub --tx ID --out tx.proof\n  \
hubledger prove --store log:hub --extends OLD_HEAD --out growth.json\n  \
hubledger prove --store log:hub --carry tx.proof --out tx-now.proof\n  \
hubledger prove --store log:hub --transaction tx.bin --out tx.proof"
    )]
    Prove(Prove),
    /// Check a proof against nothing but a head hash
    #[command(
        after_help = "Examples:\n  hubledger verify-proof tx.proof --head HASH\n  \
hubledger verify-proof growth.json --head HASH --extends OLD_HEAD\n  \
hubledger verify-proof alice.proof --head HASH --name alice"
    )]
    VerifyProof(VerifyProof),
    /// Remove the bodies of old blocks, and give the space back
    #[command(
        after_help = "Examples:\n  hubledger prune --store log:hub --keep 1000\n  \
hubledger prune --store log:hub --older-than 90days --keep-leaves --archive hub-archive\n  \
hubledger prune --store log:hub --budget 50000000000 --index-keep 100000\n  \
hubledger prune --store log:hub --policy policy.toml\n\n\
A pruning that was interrupted is simply started again. What is pruned can still be proved: a proof made\n\
before is carried to later heads (prove --carry); with --keep-leaves, new ones are made for whoever has\n\
the transaction (prove --transaction)."
    )]
    Prune(Prune),
    /// List who follows the chain, for whom pruning waits, or remove one of them
    #[command(after_help = "Examples:\n  hubledger followers --store log:hub\n  \
hubledger followers --store log:hub --remove search")]
    Followers(Followers),
    /// Bring a chain back from an archive, checking everything again
    #[command(
        after_help = "Examples:\n  hubledger restore --archive hub-archive --store log:restored\n  \
hubledger restore --archive hub-archive --then log:hub --store log:restored\n\n\
A restoring that was interrupted is simply started again."
    )]
    Restore(Restore),
    /// Write the state after the last final block that names a state root, for hubs that start from it
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Look at the branches of a chain whose last blocks can be replaced, bring those of two stores together, or make a new chain from
    /// a height of one
    #[command(subcommand)]
    Fork(ForkCommand),
    /// Copy a chain into a new store of any backend, and compare both
    #[command(
        after_help = "Examples:\n  hubledger migrate --from sqlite:registry.db --to log:registry\n  \
hubledger migrate --from log:damaged --to log:saved --skip-damaged\n\n\
Readers and (but for log:) a writer of the source go on meanwhile. A migration that was interrupted is\n\
simply started again; until it is finished the target can't be opened. A damaged store is not copied, but\n\
with --skip-damaged: then what can't be read is missing in the copy, which knows of it. If anything is\n\
missing, the report lists it, and the exit code is 4, though the copy is made."
    )]
    Migrate(Migrate),
    /// Copy the chain of a store in use, as it is now, into a new store
    #[command(
        after_help = "Example:\n  hubledger backup --store sqlite:registry.db --to log:backup-1\n\n\
A hub that embeds hubledger backs up its log: stores itself, since only one process has them open."
    )]
    Backup(Backup),
    /// Write blocks of a store to a block file, as peers hand them on
    #[command(
        after_help = "Example:\n  hubledger export --store log:hub --from 1200 --out newer.hlb"
    )]
    Export(Export),
    /// Read everything in a store and report all damage; then check the chain in it
    #[command(after_help = "Examples:\n  hubledger check --store log:hub\n  \
hubledger check --store sqlite:registry.db --repair\n\n\
A repair makes again what follows from sound data, such as an index. It never invents data: what is lost\n\
comes back from an archive (restore) or a backup.")]
    Check(Check),
    /// Say what a store holds
    #[command(after_help = "Example:\n  hubledger stats --store log:hub")]
    Stats(Stats),
    /// Go on under another specification in the same store: version 2 of the format, other limits, other authorities
    #[command(after_help = UPGRADE_HELP)]
    Upgrade(Upgrade),
    /// Do the whole job once on made-up data in a temporary folder, and report
    #[command(after_help = "Example:\n  hubledger demo --transactions 20000")]
    Demo(Demo),
    /// Print a completion script for a shell
    #[command(
        after_help = "Example:\n  hubledger completions bash > /etc/bash_completion.d/hubledger"
    )]
    Completions(Completions),
}

#[derive(Args)]
pub(crate) struct Init {
    /// The store to create: log:DIR, sqlite:FILE or rocksdb:DIR
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// The chain specification, a TOML file
    #[arg(long, value_name = "FILE")]
    pub(crate) spec: PathBuf,
}

#[derive(Args)]
pub(crate) struct Generate {
    /// Transactions in all
    #[arg(long, value_name = "N")]
    pub(crate) transactions: u64,
    /// Senders, each with its own key
    #[arg(long, value_name = "K", default_value_t = 64)]
    pub(crate) keys: u32,
    /// Bytes of each payload
    #[arg(long, value_name = "BYTES", default_value_t = 200)]
    pub(crate) payload: u32,
    /// Transactions in a block
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) per_block: u32,
    /// The same seed gives the same file
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
    /// The version of the chain's format: 2, in which each block names the root over the state after it, or 1, which has none
    #[arg(long, value_name = "1|2", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=2), conflicts_with = "spec")]
    pub(crate) format: u8,
    /// Let names be registered: the first transaction of each sender does that
    #[arg(long, conflicts_with = "spec")]
    pub(crate) registered: bool,
    /// Keys of each sender, up to 16, where names are registered
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) keys_each: u8,
    /// So many of them sign; all if left out
    #[arg(long, value_name = "K")]
    pub(crate) threshold: Option<u8>,
    /// The block file to write; - writes it to standard output, and the report to standard error
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Generate for this chain instead of one of its own
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) spec: Option<PathBuf>,
    /// The key of one of that chain's members, a PEM file; several times where it takes several to seal
    #[arg(long, value_name = "FILE", requires = "spec")]
    pub(crate) key: Vec<PathBuf>,
    /// The chain's consensus: proof_of_authority, proof_of_stake, proof_of_work, federated_byzantine, pbft, delegated_proof_of_stake or hybrid
    #[arg(long, value_name = "NAME", value_parser = consensus_name, default_value = "proof_of_authority", conflicts_with = "spec")]
    pub(crate) consensus: ConsensusName,
    /// Members of that consensus, each with its own key
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "spec")]
    pub(crate) members: u32,
    /// Write the keys of all who seal into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "spec")]
    pub(crate) keys_out: Option<PathBuf>,
}

fn consensus_name(text: &str) -> Result<ConsensusName, String> {
    let mut known = ConsensusName::ALL.iter();
    known
        .find(|name| name.word() == text)
        .copied()
        .ok_or_else(|| {
            let words: Vec<_> = ConsensusName::ALL.iter().map(|name| name.word()).collect();
            format!("not one of {}", words.join(", "))
        })
}

#[derive(Args)]
pub(crate) struct Keygen {
    /// The PEM file to write; an existing file is never replaced
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub(crate) out: PathBuf,
}

#[derive(Args)]
#[command(group = ArgGroup::new("source").required(true).args(["file", "mpreg", "snapshot"]))]
pub(crate) struct Import {
    /// The block file
    pub(crate) file: Option<PathBuf>,
    /// A chain store that MPREG wrote, SQLite or JSON, instead of a block file
    #[arg(long, value_name = "FILE")]
    pub(crate) mpreg: Option<PathBuf>,
    /// Which of its chains; may be left out when there is only one
    #[arg(long, value_name = "ID", value_parser = text::<String>(), requires = "mpreg", conflicts_with = "file")]
    pub(crate) chain: Option<String>,
    /// A snapshot, as `snapshot export` wrote it, instead of blocks: the store is new, and starts with the state after --head
    #[arg(long, value_name = "DIR", requires = "head", conflicts_with_all = ["spec", "durability", "threads"])]
    pub(crate) snapshot: Option<PathBuf>,
    /// The hash of the snapshot's last block, which you trust; everything is checked against it
    #[arg(long, value_name = "HASH", value_parser = text::<BlockHash>(), requires = "snapshot", conflicts_with_all = ["file", "mpreg"])]
    pub(crate) head: Option<BlockHash>,
    /// The store; created if it isn't there
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
    /// Accept only this chain. With --mpreg: how the chain goes on after the record
    #[arg(long, value_name = "FILE")]
    pub(crate) spec: Option<PathBuf>,
    /// What a commit waits for: disk, os or memory
    #[arg(long, value_name = "LEVEL", value_parser = text::<Durability>(), default_value = "disk")]
    pub(crate) durability: Durability,
    /// Threads that decode, check and validate; 0 starts one for each core
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1024))]
    pub(crate) threads: u16,
    /// Write a block that is refused into this hub's own log, for `audit --local`; begun if it isn't there
    #[arg(long, value_name = "FILE", conflicts_with_all = ["mpreg", "snapshot"])]
    pub(crate) audit: Option<PathBuf>,
}

#[derive(Args)]
#[command(group = ArgGroup::new("source").required(true).args(["store", "mpreg"]))]
pub(crate) struct Verify {
    /// The store
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: Option<StoreUrl>,
    /// A chain store that MPREG wrote, SQLite or JSON; checked by MPREG's own rules
    #[arg(long, value_name = "FILE")]
    pub(crate) mpreg: Option<PathBuf>,
    /// Only this one of its chains
    #[arg(long, value_name = "ID", value_parser = text::<String>(), requires = "mpreg", conflicts_with = "store")]
    pub(crate) chain: Option<String>,
    /// Also report what MPREG's rules let pass
    #[arg(long, requires = "mpreg", conflicts_with = "store")]
    pub(crate) audit: bool,
    /// Threads that decode and check; 0 takes one for each core
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1024))]
    pub(crate) threads: u16,
}

#[derive(Args)]
pub(crate) struct Stats {
    /// The store
    #[arg(long, value_name = "URL", value_parser = text::<StoreUrl>())]
    pub(crate) store: StoreUrl,
}

#[derive(Args)]
pub(crate) struct Demo {
    /// Transactions in all
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub(crate) transactions: u64,
}

#[derive(Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}
