//! What can be said of a height without anything that comes before it: read, decoded and checked by whatever thread, and
//! judged later, in order.

use bytes::Bytes;
use hubledger_storage::{Extent, Held};

use super::index::IndexCheck;
use crate::format::digest::BlockHash;
use crate::format::model::{Block, Header, Kind, Seal};
use crate::format::rejection::{Fault, Reason, Rejected};
use crate::format::signature::{Item, Verifier};
use crate::ledger::missing::LostPart;
use crate::ledger::{ChainReader, LedgerError, record};
use crate::rules::headers;
use crate::state::State;

/// Either nothing against a block, or what is wrong with it.
pub(super) type Verdict = Result<(), Rejected>;

/// What reading a part gave; nothing where there is nothing.
type Read<T> = Result<Option<T>, LedgerError>;

/// Everything that is held at a height.
pub(super) struct Seen {
    pub(super) height: u64,
    /// The body; nothing where it was pruned.
    pub(super) body: Option<Read<SeenBody>>,
    pub(super) id: Read<BlockHash>,
    /// The header, which is not looked for where it was pruned or lost.
    pub(super) header: Option<Read<SeenHeader>>,
}

/// A body that can be read, and what it says by itself.
pub(super) struct SeenBody {
    /// Against its header: its Merkle root, and native signatures.
    pub(super) verdict: Verdict,
    /// Whether the index finds it.
    pub(super) index: Result<(), LedgerError>,
}

/// A header that can be read, and what is to be said of its seal by the two of them.
pub(super) struct SeenHeader {
    pub(super) header: Header,
    pub(super) seal: Verdict,
}

/// Looks at heights of a chain.
pub(super) struct Eye<'a> {
    chain: &'a ChainReader,
    extent: Extent,
    verifier: &'a Verifier,
    /// Tells the members of heights up to the one after it.
    state: Option<&'a State>,
    index: IndexCheck,
}

impl<'a> Eye<'a> {
    pub(super) fn new(
        chain: &'a ChainReader,
        extent: Extent,
        verifier: &'a Verifier,
        state: Option<&'a State>,
    ) -> Self {
        Self {
            chain,
            extent,
            verifier,
            state,
            index: IndexCheck::new(chain.clone()),
        }
    }

    /// Memory: the block, which is let go; O(its header) stays.
    pub(super) fn see(&mut self, height: u64) -> Seen {
        let is_held = height >= self.extent.body_floor;
        let body = is_held.then(|| {
            let block = self.chain.block(height)?;
            Ok(block.map(|block| SeenBody {
                verdict: check_body(self.verifier, &block),
                index: self.index.check(&block),
            }))
        });
        self.see_header(height, body)
    }

    /// The same of a height whose body is known already not to be readable.
    pub(super) fn see_without_body(&mut self, height: u64, error: LedgerError) -> Seen {
        self.see_header(height, Some(Err(error)))
    }

    fn see_header(&mut self, height: u64, body: Option<Read<SeenBody>>) -> Seen {
        let is_held =
            height >= self.extent.header_floor && !self.chain.lost().has(LostPart::Header, height);
        let header = is_held.then(|| {
            let found = sealed_header(self.chain, height)?;
            Ok(found.map(|(header, seal)| SeenHeader {
                seal: self.check_seal(&header, &seal),
                header,
            }))
        });
        Seen {
            height,
            body,
            id: self.chain.hash_at(height),
            header,
        }
    }

    /// What a seal says of its header.
    fn check_seal(&self, header: &Header, seal: &[u8]) -> Verdict {
        let (spec, verifier) = (self.chain.spec(), self.verifier);
        let refuse = |fault: Fault| Rejected::block(header.height, fault.reason, fault.detail);
        let malformed = |error: &dyn ToString| Fault::new(Reason::Malformed, error.to_string());
        let seal = Seal::decode(seal).map_err(|error| refuse(malformed(&error)))?;
        // Genesis has no seal: it follows from the specification.
        if header.height == 0 {
            return Ok(());
        }
        let knowing = self
            .state
            .filter(|state| header.height <= state.height() + 1);
        match knowing {
            Some(state) => headers::check_seal_with(spec, state, header, &seal, verifier),
            None => headers::check_seal(spec, header, &seal, verifier),
        }
        .map_err(refuse)
    }
}

/// Checks a body against its header: what can be said without the state before it.
fn check_body(verifier: &Verifier, block: &Block) -> Verdict {
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
    // The lowest transaction is named, as by the validator, which goes through them in order.
    match verifier.verify(&items).bad().first() {
        None => Ok(()),
        Some((at, error)) => Err(Rejected::transaction(
            block.height(),
            signed[*at].0,
            Reason::Signature,
            error.to_string(),
        )),
    }
}

/// The header at a height, which is held, and its seal.
fn sealed_header(chain: &ChainReader, height: u64) -> Result<Option<(Header, Bytes)>, LedgerError> {
    let Some(stored) = chain.store().header(height)? else {
        return Ok(None);
    };
    match stored.bytes {
        Held::Present(bytes) => record::decode_header(height, &stored.id, &bytes).map(Some),
        Held::Pruned => Err(LedgerError::HeaderPruned(height)),
    }
}
