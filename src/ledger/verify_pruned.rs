//! Checking a store that was pruned: what is there, as far as what is there allows. Headers commit to each other, to
//! all earlier ids and, by their seals, to their producers; bodies to their headers. The rules about accounts need the
//! state before a block, and begin after the stored snapshot.

use hubledger_storage::{Extent, Held};

use super::step::{BlockProgress, BlockStep, go_on};
use super::verify::{IndexCheck, StoreReport, missing};
use super::{ChainReader, LedgerError, record};
use crate::consensus;
use crate::digest::BlockHash;
use crate::merkle::Frontier;
use crate::model::{Block, Header, Kind, Seal};
use crate::rejection::{Reason, Rejected};
use crate::signature::{Item, Verifier};
use crate::validate::{Depth, Fault, State, Validator, history_leaf};

/// Checks the chain in a store whose bodies are held from `extent.floor`, above 0, on.
pub(super) fn verify_pruned(
    chain: &ChainReader,
    extent: Extent,
    snapshot: Option<State>,
    now_us: u64,
    progress: &mut BlockProgress<'_>,
) -> Result<StoreReport, LedgerError> {
    let state = snapshot.unwrap_or_else(|| State::genesis(chain.spec()));
    if state.height() + 1 < extent.floor || state.height() >= extent.end {
        return Err(LedgerError::NoState {
            floor: extent.floor,
        });
    }
    let mut walk = Walk {
        chain,
        verifier: Verifier::default(),
        history: Frontier::new(),
        last: BlockHash::ZERO,
        last_header: None,
        transactions: 0,
    };
    let rules_from = state.height() + 1;
    let mut validator = None;
    let mut index = IndexCheck::new(chain);
    let mut blocks = 0;
    let mut rejected = None;
    for height in 0..extent.end {
        let outcome = (|| -> Result<Result<(), Rejected>, LedgerError> {
            if let Err(rejected) = walk.header(height, extent.header_floor)? {
                return Ok(Err(rejected));
            }
            if height == state.height() {
                walk.compare(&state, extent)?;
                validator = Some(resume(chain, &state)?);
            }
            if height < extent.floor {
                return Ok(Ok(()));
            }
            let block = chain.block(height)?.ok_or_else(|| missing(height))?;
            let verdict = match validator.as_mut().filter(|_| height >= rules_from) {
                Some(validator) => validator
                    .check(&block, Depth::Full { now_us })
                    .map(|valid| validator.apply(&valid)),
                None => walk.body(&block),
            };
            if verdict.is_ok() {
                index.check(&block)?;
            }
            Ok(verdict)
        })()?;
        if let Err(verdict) = outcome {
            rejected = Some(verdict);
            break;
        }
        blocks += u64::from(height >= extent.header_floor);
        let header = walk.last_header.as_ref();
        go_on(progress(BlockStep {
            height,
            transactions: header.map_or(0, |header| header.transaction_count.into()),
        }))?;
    }
    Ok(StoreReport {
        blocks,
        transactions: walk.transactions,
        headers_from: extent.header_floor,
        bodies_from: extent.floor,
        rules_from,
        head: walk.last,
        rejected,
    })
}

fn resume(chain: &ChainReader, state: &State) -> Result<Validator, LedgerError> {
    Validator::resume(chain.spec().clone(), state.clone())
        .map_err(|_| snapshot_error(state, "is of another chain"))
}

fn snapshot_error(state: &State, problem: &str) -> LedgerError {
    LedgerError::Damaged {
        record: "state snapshot",
        height: state.height(),
        problem: problem.to_owned(),
    }
}

/// What is known of the blocks so far.
struct Walk<'a> {
    chain: &'a ChainReader,
    verifier: Verifier,
    /// Over the ids so far.
    history: Frontier,
    /// The last valid block, and its header if it is held.
    last: BlockHash,
    last_header: Option<Header>,
    transactions: u64,
}

impl Walk<'_> {
    /// Checks the header at a height against the ids before it, if it is held.
    fn header(
        &mut self,
        height: u64,
        header_floor: u64,
    ) -> Result<Result<(), Rejected>, LedgerError> {
        let stored = self.chain.store().header(height)?;
        let stored = stored.ok_or_else(|| missing(height))?;
        let id = BlockHash(stored.id);
        if height == 0 && id != self.chain.spec().genesis().hash() {
            return Err(LedgerError::Damaged {
                record: "block",
                height: 0,
                problem: "not the genesis of the specification".to_owned(),
            });
        }
        let header = match stored.bytes {
            Held::Present(bytes) => {
                let (header, seal) = record::decode_header(height, &stored.id, &bytes)?;
                if height > 0
                    && let Err(rejected) = self.check_header(&header, &seal)
                {
                    return Ok(Err(rejected));
                }
                self.transactions += u64::from(header.transaction_count);
                Some(header)
            }
            Held::Pruned if height < header_floor => None,
            Held::Pruned => return Err(LedgerError::HeaderPruned(height)),
        };
        self.history.push(history_leaf(&id));
        self.last = id;
        self.last_header = header;
        Ok(Ok(()))
    }

    fn check_header(&self, header: &Header, seal: &[u8]) -> Result<(), Rejected> {
        let spec = self.chain.spec();
        let refuse = |reason, detail: &str| Err(Rejected::block(header.height, reason, detail));
        if header.chain != spec.id() {
            return refuse(Reason::Chain, "the header is for another chain");
        }
        if header.previous_hash != self.last {
            return refuse(Reason::PreviousHash, "doesn't link to the block before");
        }
        if header.history_root != self.history.root() {
            return refuse(
                Reason::HistoryRoot,
                "is not over the hashes of all blocks before",
            );
        }
        let before = self.last_header.as_ref();
        if before.is_some_and(|before| header.timestamp <= before.timestamp) {
            return refuse(Reason::Timestamp, "is not after the block before");
        }
        let seal = match Seal::decode(seal) {
            Ok(seal) => seal,
            Err(error) => return refuse(Reason::Malformed, &error.to_string()),
        };
        if spec.is_imported(header.height) {
            return Ok(());
        }
        consensus::check_header_seal(spec, header, &seal)
            .and_then(|()| self.seal_signature(header, &seal))
            .map_err(|fault| Rejected::block(header.height, fault.reason, fault.detail))
    }

    /// Checks that a seal is signed by the key that it names.
    fn seal_signature(&self, header: &Header, seal: &Seal) -> Result<(), Fault> {
        let Some((key, message, signature)) = consensus::seal_claim(&header.hash(), seal) else {
            return Ok(());
        };
        let item = Item {
            key: &key,
            message: &message,
            signature: &signature,
        };
        let verdict = self.verifier.verify_one(&item);
        verdict.map_err(|error| Fault::new(Reason::Seal, error.to_string()))
    }

    /// Checks a body against its header: what can be said without the state before it.
    fn body(&self, block: &Block) -> Result<(), Rejected> {
        if block.computed_merkle_root() != block.header().merkle_root {
            let detail = "is not over the transactions of the body";
            return Err(Rejected::block(block.height(), Reason::MerkleRoot, detail));
        }
        let native = (0u32..)
            .zip(block.transactions())
            .filter(|(_, transaction)| transaction.kind() == Kind::Native);
        let signed: Vec<_> = native
            .flat_map(|(index, transaction)| {
                let message = transaction.signed_message();
                transaction
                    .witnesses()
                    .map(move |witness| (index, message, witness))
            })
            .collect();
        let items: Vec<_> = signed
            .iter()
            .map(|(_, message, witness)| Item {
                key: &witness.key,
                message,
                signature: &witness.signature,
            })
            .collect();
        match self.verifier.verify(&items).bad().first() {
            None => Ok(()),
            Some((at, error)) => Err(Rejected::transaction(
                block.height(),
                signed[*at].0,
                Reason::Signature,
                error.to_string(),
            )),
        }
    }

    /// Compares the snapshot with what headers and ids say of the chain up to its block.
    fn compare(&self, state: &State, extent: Extent) -> Result<(), LedgerError> {
        let header = self.last_header.as_ref();
        let is_same = state.chain() == self.chain.spec().id()
            && state.head() == self.last
            && state.history_root() == self.history.root()
            && header.is_none_or(|header| {
                header.timestamp == state.timestamp() && header.vector_clock == *state.clock()
            })
            && (extent.header_floor > 0 || state.transactions() == self.transactions);
        match is_same {
            true => Ok(()),
            false => Err(snapshot_error(state, "is not what the headers give")),
        }
    }
}
