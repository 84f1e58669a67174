//! Making a native chain of an MPREG chain, in which every original transaction stays verifiable and is found by its
//! original id. Pure: a block and the state before it give the native block, so an import that was interrupted
//! goes on from the state it left. A [`Converter`] carries as much of that state as later blocks need, so that it needn't
//! wait until each block is validated.

use std::collections::HashMap;
use std::num::NonZero;
use std::time::Duration;

use super::verify::{Progress, judge_and_show};
use super::{Block, ChainReport, Number, RawRow, Source, SourceError, Transaction};
use hubledger::codec::{FieldError, NAME_BYTES_MAX};
use hubledger::digest::{BlockHash, ChainId, Digest};
use hubledger::format::FormatVersion;
use hubledger::merkle::{self, Frontier};
use hubledger::model::{
    self, CLOCK_ENTRIES_MAX, Draft, Header, HeaderFields, Kind, Operation, OriginalHeader,
    PAYLOAD_BYTES_MAX, Scheme, Seal, VectorClock, Witness,
};
use hubledger::original::Original;
use hubledger::original::{micros, record};
use hubledger::rejection::{Reason, Rejected};
use hubledger::rules::produce::{Sums, commit_to_chain};
use hubledger::spec::{
    ChainSpec, Consensus, Import, Limits, ProofOfAuthority, Rules, SpecFields, Terms,
};
use hubledger::state::State;

/// Checks the chain `id` by MPREG's rules, on so many `threads`, and derives the specification of the native chain that holds its record.
///
/// With `after`, that specification's consensus, rules and accounts hold once the record ends, and its limits hold for the
/// record too; without, nobody can add to the record. The same source always gives the same specification, so the same
/// native chain.
///
/// # Errors
/// The source can't be read, or `progress` stopped it; or, in the report, the chain is invalid or has a field that the native format can't hold
/// (`limit`); or a field has no place in a specification.
pub fn plan(
    source: &Source,
    id: &str,
    now: Duration,
    threads: NonZero<usize>,
    after: Option<&ChainSpec>,
    progress: &mut Progress<'_>,
) -> Result<(ChainReport, Option<Result<ChainSpec, FieldError>>), SourceError> {
    let mut first = None;
    let mut unfit = None;
    let mut record = Digest::ZERO;
    let mut extend = |_: &RawRow<'_>, block: &Block, _: &str| {
        first.get_or_insert_with(|| block.timestamp.clone());
        match extend_record(&record, block) {
            Ok(extended) => record = extended,
            Err(error) => drop(unfit.get_or_insert((block.height, error))),
        }
    };
    let mut report = judge_and_show(source, id, now, threads, progress, &mut extend)?;
    if let (Ok(()), Some((height, error))) = (&report.verdict, unfit) {
        let detail = format!("can't be imported: {error}");
        report.verdict = Err(Rejected::block(height, Reason::Limit, detail));
    }
    let spec = match (&report.verdict, &report.head, first) {
        (Ok(()), Some(head), Some(first)) => {
            let import = |head| Import {
                chain: id.to_owned(),
                blocks: report.blocks,
                head,
                record,
            };
            Some(specification(head, import, &first, after))
        }
        _ => None,
    };
    Ok((report, spec))
}

fn specification(
    head: &str,
    import: impl FnOnce(Digest) -> Import,
    first: &Number,
    after: Option<&ChainSpec>,
) -> Result<ChainSpec, FieldError> {
    let head: Digest = head
        .parse()
        .map_err(|_| FieldError::new("import.head", "MPREG's hashes are 64 hexadecimal digits"))?;
    let import = import(head);
    let first = micros(first).ok_or_else(|| beyond("timestamp", first))?;
    let fields = match after {
        Some(after) => SpecFields {
            import: Some(import),
            ..(**after).clone()
        },
        None => SpecFields {
            version: FormatVersion::V1,
            name: import.chain.clone(),
            genesis_time: first.saturating_sub(1),
            consensus: Consensus::ProofOfAuthority(ProofOfAuthority {
                authorities: Vec::new(),
                round_robin: false,
            }),
            limits: Limits {
                transactions_max: u32::MAX,
                body_bytes_max: model::BODY_BYTES_MAX as u32,
                payload_bytes_max: PAYLOAD_BYTES_MAX as u32,
                name_bytes_max: NAME_BYTES_MAX as u32,
                clock_entries_max: CLOCK_ENTRIES_MAX as u32,
                witnesses_max: 1,
            },
            rules: Rules::default(),
            terms: Terms::default(),
            accounts: std::collections::BTreeMap::new(),
            import: Some(import),
            predecessor: None,
        },
    };
    ChainSpec::new(fields)
}

/// The digest of the record with `block`, after `before` without; fails where [`convert`] will fail, after whatever state.
fn extend_record(before: &Digest, block: &Block) -> Result<Digest, FieldError> {
    let transactions = block.transactions().iter();
    let transactions = transactions
        .map(|transaction| convert_transaction(ChainId::ZERO, 1, transaction))
        .collect::<Result<Vec<_>, _>>()?;
    let body = transactions.iter().map(|one| one.bytes().len()).sum();
    FieldError::check_length("body_size", body, model::BODY_BYTES_MAX)?;
    FieldError::check_length("producer", block.miner.len(), NAME_BYTES_MAX)?;
    micros(&block.timestamp).ok_or_else(|| beyond("timestamp", &block.timestamp))?;
    Ok(record::extend(
        before,
        &convert_clock(block)?,
        &block.miner,
        convert_difficulty(block),
        &original_header(block)?,
        &transactions,
    ))
}

/// The native form of `block`, which comes after `state`.
///
/// # Errors
/// A field that has no place in the native format (a name over 1,024 bytes, a clock counter beyond 64 bits, …);
/// the message names it.
pub fn convert(spec: &ChainSpec, state: &State, block: &Block) -> Result<model::Block, FieldError> {
    let before = Before {
        height: state.height(),
        head: state.head(),
        history_root: state.history_root(),
        timestamp: state.timestamp(),
        sums: Sums::of_state(state),
    };
    let mut nonces: HashMap<&str, u64> = HashMap::new();
    convert_after(spec, &before, block, |sender| {
        let nonce = nonces.entry(sender);
        let nonce = nonce.or_insert_with(|| state.account(sender).nonce);
        next_nonce(nonce)
    })
}

/// What a native block names of those before it.
struct Before {
    height: u64,
    head: BlockHash,
    history_root: Digest,
    timestamp: u64,
    sums: Sums,
}

/// Converts the blocks of a chain one after the other, without waiting for anybody to judge them: it carries what the next block
/// needs of those before. They have to be valid, or those behind the first that isn't are no blocks of the chain.
///
/// Memory: the state that it began with, a nonce for each name that has sent since, and O(log blocks).
#[derive(Debug, Clone)]
pub struct Converter {
    spec: ChainSpec,
    start: State,
    height: u64,
    head: BlockHash,
    history: Frontier,
    timestamp: u64,
    sums: Sums,
    nonces: HashMap<String, u64>,
}

impl Converter {
    /// A converter for the blocks that come after `state`, of the chain of `spec`.
    #[must_use]
    pub fn new(spec: ChainSpec, state: State) -> Self {
        Self {
            spec,
            height: state.height(),
            head: state.head(),
            history: state.history().clone(),
            timestamp: state.timestamp(),
            sums: Sums::of_state(&state),
            nonces: HashMap::new(),
            start: state,
        }
    }

    /// The native form of the next block: what [`convert`] gives after the state that all before it leave.
    ///
    /// # Errors
    /// As [`convert`]; then the converter is of no further use.
    pub fn convert(&mut self, block: &Block) -> Result<model::Block, FieldError> {
        let before = Before {
            height: self.height,
            head: self.head,
            history_root: self.history.root(),
            timestamp: self.timestamp,
            sums: self.sums,
        };
        let (start, nonces) = (&self.start, &mut self.nonces);
        let native = convert_after(&self.spec, &before, block, |sender| {
            let nonce = nonces.entry(sender.to_owned());
            next_nonce(nonce.or_insert_with(|| start.account(sender).nonce))
        })?;
        self.height = native.height();
        self.head = native.hash();
        self.history.push(merkle::history_leaf(&self.head));
        self.timestamp = native.header().timestamp;
        self.sums = self.sums.with(&self.spec, native.header());
        Ok(native)
    }
}

fn next_nonce(nonce: &mut u64) -> Result<u64, FieldError> {
    *nonce = nonce
        .checked_add(1)
        .ok_or_else(|| FieldError::new("nonce", "the sender's is at its end"))?;
    Ok(*nonce)
}

fn convert_after<'b>(
    spec: &ChainSpec,
    before: &Before,
    block: &'b Block,
    mut next_nonce: impl FnMut(&'b str) -> Result<u64, FieldError>,
) -> Result<model::Block, FieldError> {
    let height = before.height + 1;
    let (chain, version) = (spec.at(height).id(), spec.at(height).version);
    let mut transactions = Vec::with_capacity(block.transactions().len());
    for transaction in block.transactions() {
        let nonce = next_nonce(&transaction.sender)?;
        transactions.push(convert_transaction(chain, nonce, transaction)?);
    }
    let leaves: Vec<Digest> = transactions
        .iter()
        .map(model::Transaction::leaf_hash)
        .collect();
    let body: usize = transactions
        .iter()
        .map(|transaction| transaction.bytes().len())
        .sum();
    FieldError::check_length("body_size", body, model::BODY_BYTES_MAX)?;
    let timestamp =
        micros(&block.timestamp).ok_or_else(|| beyond("timestamp", &block.timestamp))?;
    let mut fields = HeaderFields {
        version,
        chain,
        height,
        previous_hash: before.head,
        merkle_root: merkle::root(&leaves),
        history_root: before.history_root,
        state_root: Digest::ZERO,
        members_root: Digest::ZERO,
        weight: 0,
        transactions: 0,
        transaction_count: transactions.len() as u32,
        body_size: body as u32,
        vector_clock: convert_clock(block)?,
        timestamp: timestamp.max(before.timestamp.saturating_add(1)),
        producer: block.miner.clone(),
        difficulty: convert_difficulty(block),
        nonce: 0,
    };
    commit_to_chain(spec, None, before.sums, &mut fields)?;
    let header = Header::new(fields)?;
    let original = original_header(block)?;
    Ok(
        model::Block::assemble(header, Seal::Original(original), &transactions)
            .expect("the header was made for this body"),
    )
}

fn original_header(block: &Block) -> Result<OriginalHeader, FieldError> {
    let original = OriginalHeader {
        block_id: block.block_id.clone(),
        timestamp: block.timestamp.to_string(),
        nonce: block.nonce.to_string(),
    };
    for (field, text) in [
        ("block_id", &original.block_id),
        ("timestamp", &original.timestamp),
        ("nonce", &original.nonce),
    ] {
        FieldError::check_length(field, text.len(), OriginalHeader::TEXT_BYTES_MAX)?;
    }
    Ok(original)
}

fn convert_transaction(
    chain: ChainId,
    nonce: u64,
    transaction: &Transaction,
) -> Result<model::Transaction, FieldError> {
    let (timestamp, fee) = (
        transaction.timestamp.to_string(),
        transaction.fee.to_string(),
    );
    let original_nonce = transaction.nonce.to_string();
    let original = Original {
        transaction_id: &transaction.id,
        timestamp: &timestamp,
        fee: &fee,
        nonce: &original_nonce,
        payload: &transaction.payload,
    };
    let operation = Operation::from_word(transaction.operation.name());
    let draft = Draft {
        kind: Kind::Mpreg,
        chain,
        sender: transaction.sender.clone(),
        receiver: transaction.receiver.clone(),
        operation: operation.expect("both formats have the same operations"),
        amount: 0,
        payload: original.encode()?,
        timestamp: micros(&transaction.timestamp)
            .ok_or_else(|| beyond("timestamp", &transaction.timestamp))?,
        expiry: 0,
        fee: 0,
        nonce,
    };
    let witness = transaction
        .signature
        .zip(transaction.public_key)
        .map(|(signature, key)| Witness {
            scheme: Scheme::Mpreg,
            key,
            signature,
        });
    draft.with_witnesses(witness.into_iter().collect())
}

/// One beyond 64 bits stays as large as there is room for.
fn convert_difficulty(block: &Block) -> u64 {
    block.difficulty.as_u64().unwrap_or(u64::MAX)
}

fn convert_clock(block: &Block) -> Result<VectorClock, FieldError> {
    let entries = block.vector_clock.iter().map(|(node, counter)| {
        let counter = counter
            .as_u64()
            .ok_or_else(|| beyond("vector_clock", counter))?;
        Ok((node.clone(), counter))
    });
    VectorClock::new(entries.collect::<Result<Vec<_>, FieldError>>()?)
}

fn beyond(field: &'static str, number: &Number) -> FieldError {
    FieldError::new(
        field,
        format!("{number} is beyond what the native format holds"),
    )
}
