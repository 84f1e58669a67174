//! What blocks claim to be signed by whom: gathered from their bytes alone, across blocks, and settled in batches.
//!
//! A claim has a block and a [`FaultAt`] in it. Claims that can't change a verdict are left out: behind a Merkle root that
//! isn't the header's or a seal that breaks a rule as far as that was judged without the state, and from the first
//! transaction on that carries more witnesses than the chain allows.

use std::ops::Range;

use super::{FaultAt, Prepared};
use crate::consensus;
use crate::format::digest::Digest;
use crate::format::model::{Block, Header, Kind, Scheme, Seal, Transaction};
use crate::format::payload::Payload;
use crate::format::rejection::{Fault, Reason};
use crate::format::signature::{Item, PublicKey, Signature, SignatureError, Verifier};
use crate::format::spec::{Authority, ChainSpec};
use crate::state::{InForce, State};

/// Bytes of memory that a claim takes with its message, at most, also while vectors of claims grow. Messages of original transactions
/// aside, which are as long as these.
pub const CLAIM_MEMORY: usize = 384;

/// Claims of a block beside one for each of its transactions, at most: signatures of its certificate, further witnesses, and what
/// payloads may say to be signed. Told without a specification, so that some of them may turn out to claim nothing. Each takes
/// at least 64 bytes of the block, which is what bounds them. O(transactions).
#[must_use]
pub fn further_claims(block: &Block) -> usize {
    let seal = match block.seal() {
        Seal::Quorum(certificate) => certificate.signers().count(),
        _ => 0,
    };
    let transactions = block.transactions().iter().map(further_claims_in);
    seal + transactions.sum::<usize>()
}

/// The same of one transaction.
#[must_use]
pub fn further_claims_in(transaction: &Transaction) -> usize {
    let witnesses = transaction.witnesses().len();
    let payload = match Payload::may_claim_in(transaction.operation()) {
        true => transaction.payload().len() / SIGNATURE_BYTES,
        false => 0,
    };
    (witnesses + payload).saturating_sub(1)
}

const SIGNATURE_BYTES: usize = 64;

/// Signatures that some blocks claim to carry, with the messages they are over.
#[derive(Debug, Default)]
pub struct Claims {
    messages: Vec<u8>,
    claims: Vec<Claim>,
}

#[derive(Debug)]
struct Claim {
    block: u32,
    at: FaultAt,
    key: PublicKey,
    signature: Signature,
    message: Range<usize>,
}

/// The first bad signature of a block, if it has one: what [`Ruling::settle`](super::Ruling::settle) asks for.
///
/// It comes only from checked claims, or from the trust in blocks that this store committed before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureFindings {
    bad: Option<Bad>,
}

/// A bad signature: where it is in the block, the number of its claim, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bad {
    at: FaultAt,
    // Several claims have one place, of a certificate for example, and batches come to their ends in any order.
    claim: usize,
    fault: Fault,
}

/// What batches found: blocks with a bad signature in them, by their numbers.
pub(crate) type Found = Vec<(u32, SignatureFindings)>;

impl SignatureFindings {
    /// Those of a block whose signatures were checked before it was committed here.
    pub(super) const fn trusted() -> Self {
        Self { bad: None }
    }

    /// Those of a block before its batches are merged in.
    pub(crate) const fn unchecked() -> Self {
        Self { bad: None }
    }

    /// What is wrong with the first bad one.
    #[must_use]
    pub fn into_fault(self) -> Option<Fault> {
        self.bad.map(|bad| bad.fault)
    }

    pub(super) fn into_bad(self) -> Option<(FaultAt, Fault)> {
        self.bad.map(|bad| (bad.at, bad.fault))
    }

    /// Adds what another batch found of the same block. The lower one counts, whatever the order of the batches.
    pub fn merge(&mut self, other: Self) {
        let Some(bad) = other.bad else {
            return;
        };
        let place = |bad: &Bad| (bad.at, bad.claim);
        if self
            .bad
            .as_ref()
            .is_none_or(|held| place(&bad) < place(held))
        {
            self.bad = Some(bad);
        }
    }
}

impl Claims {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.claims.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }

    /// Adds everything that `prepared` claims, as the block of this number, but for transactions whose leaf hash `known`
    /// says was verified before: the leaf covers id and witness, and so key, message and signature of each claim of its witnesses.
    pub fn add_block(
        &mut self,
        number: u32,
        spec: &ChainSpec,
        prepared: &Prepared,
        mut known: impl FnMut(usize, &Digest) -> bool,
    ) {
        let block = prepared.block();
        let spec = spec.at(block.height());
        // The verdict is decided: checking the signatures of such a block would be work at its sender's will.
        let header = block.header();
        if header.version != spec.version
            || header.chain != spec.id()
            || header.merkle_root != prepared.merkle_root()
        {
            return;
        }
        if prepared.seal_fault().is_some() {
            return;
        }
        self.add_seal(number, spec, block.header(), block.seal());
        let in_force = InForce::at(spec, None, block.height());
        let witnesses_max = usize::from(in_force.limits.witnesses_max);
        self.claims.reserve(block.transactions().len());
        let transactions = block.transactions().iter().zip(prepared.leaves());
        for (index, (transaction, leaf)) in transactions.enumerate() {
            // The rules refuse it for its number of witnesses, each of which would have to be checked here.
            if transaction.witnesses().len() > witnesses_max {
                return;
            }
            let at = FaultAt::Transaction(index as u32);
            if !known(index, leaf) {
                self.add_transaction(number, at, transaction);
            }
            // Never left out as known: whether a payload means anything is for the specification of the block's height to say, and
            // what was known of the transaction may have been found under another.
            if let Some(payload) = prepared.meanings().get(index) {
                self.add_payload(number, at, payload);
            }
        }
    }

    /// Adds what a seal claims that [`consensus::check_seal`] found nothing against, as the block of this number: so many
    /// headers can be checked in one batch, by somebody who has no bodies. Blocks of an imported record have no seal.
    pub fn add_seal(&mut self, number: u32, spec: &ChainSpec, header: &Header, seal: &Seal) {
        if spec.is_imported(header.height) {
            return;
        }
        consensus::claims(spec, header, seal, |key, message, signature| {
            self.add(number, FaultAt::Seal, key, signature, message);
        });
    }

    /// The same of a seal by these members of its height, whoever knows them.
    pub fn add_seal_of(
        &mut self,
        number: u32,
        members: &[Authority],
        header: &Header,
        seal: &Seal,
    ) {
        consensus::claims_by(members, header, seal, |key, message, signature| {
            self.add(number, FaultAt::Seal, key, signature, message);
        });
    }

    /// The same of a seal by members whom the chain changes, as the block of this number, by a state after its block or the one before it, or after
    /// any later block; the seal is judged before, by what that state tells ([`headers::check_seal_with`](super::headers::check_seal_with)).
    ///
    /// # Errors
    /// As [`consensus::check_seal_by`]; nothing is added then.
    pub fn add_seal_with(
        &mut self,
        number: u32,
        spec: &ChainSpec,
        state: &State,
        header: &Header,
        seal: &Seal,
    ) -> Result<(), Fault> {
        let members = consensus::members(spec, state, header.height);
        consensus::check_seal_by(spec, &members, None, header, seal)?;
        self.add_seal_of(number, &members, header, seal);
        Ok(())
    }

    /// Adds what the seal of a block claims of members whom only the state before it knows.
    pub(super) fn add_late_seal(
        &mut self,
        number: u32,
        spec: &ChainSpec,
        parent: &State,
        block: &Block,
    ) {
        let (header, seal) = (block.header(), block.seal());
        consensus::late_claims(spec, parent, header, seal, |key, message, signature| {
            self.add(number, FaultAt::Seal, key, signature, message);
        });
    }

    /// Adds what one transaction claims. A transaction whose signed bytes can't be told claims nothing: it breaks a rule.
    pub fn add_transaction(&mut self, number: u32, at: FaultAt, transaction: &Transaction) {
        match transaction.kind() {
            Kind::Native => {
                let message = transaction.signed_message();
                for witness in transaction.witnesses() {
                    self.add(number, at, witness.key, witness.signature, &message);
                }
            }
            Kind::Mpreg => self.add_original(number, at, transaction),
        }
    }

    /// Adds what a transaction's payload claims to be signed, which has to hold as its witnesses have.
    pub fn add_payload(&mut self, number: u32, at: FaultAt, payload: &Payload) {
        payload.claims(|key, message, signature| {
            self.add(number, at, key, signature, message);
        });
    }

    fn add_original(&mut self, number: u32, at: FaultAt, transaction: &Transaction) {
        for witness in transaction.witnesses() {
            if witness.scheme == Scheme::Mpreg
                && let Some(message) = super::imported::signed_message(transaction)
            {
                self.add(number, at, witness.key, witness.signature, &message);
            }
        }
    }

    fn add(
        &mut self,
        block: u32,
        at: FaultAt,
        key: PublicKey,
        signature: Signature,
        message: &[u8],
    ) {
        let start = self.messages.len();
        self.messages.extend_from_slice(message);
        let message = start..self.messages.len();
        self.claims.push(Claim {
            block,
            at,
            key,
            signature,
            message,
        });
    }

    /// Checks the claims of `range` and says of each block that has a bad one among them which is the first.
    #[must_use]
    pub fn verify(
        &self,
        range: Range<usize>,
        verifier: &Verifier,
    ) -> Vec<(u32, SignatureFindings)> {
        self.verify_with(range, (&Self::default(), 0..0), verifier)
            .0
    }

    /// Checks these claims and those of others in one batch, and says the same of each.
    pub(crate) fn verify_with(
        &self,
        range: Range<usize>,
        (others, others_range): (&Self, Range<usize>),
        verifier: &Verifier,
    ) -> (Found, Found) {
        let own = range.len();
        let items: Vec<Item<'_>> = self
            .items(range.clone())
            .chain(others.items(others_range.clone()))
            .collect();
        let verdicts = verifier.verify(&items);
        let (first, second) = verdicts
            .bad()
            .split_at(verdicts.bad().partition_point(|(index, _)| *index < own));
        let second = second
            .iter()
            .map(|(index, error)| (index - own + others_range.start, *error));
        let first = first
            .iter()
            .map(|(index, error)| (index + range.start, *error));
        (self.found(first), others.found(second))
    }

    fn items(&self, range: Range<usize>) -> impl Iterator<Item = Item<'_>> {
        self.claims[range].iter().map(|claim| Item {
            key: &claim.key,
            message: &self.messages[claim.message.clone()],
            signature: &claim.signature,
        })
    }

    /// What it means that these claims are bad.
    fn found(&self, bad: impl Iterator<Item = (usize, SignatureError)>) -> Found {
        let mut found = Found::new();
        // Claims of a block are together and in the order of their places, and so are the bad ones.
        for (number, error) in bad {
            let claim = &self.claims[number];
            if found.last().is_some_and(|(block, _)| *block == claim.block) {
                continue;
            }
            let fault = match claim.at {
                FaultAt::Transaction(_) => {
                    Fault::new(Reason::Signature, format!("key {}: {error}", claim.key))
                }
                _ => Fault::new(Reason::Seal, error.to_string()),
            };
            let bad = Some(Bad {
                at: claim.at,
                claim: number,
                fault,
            });
            found.push((claim.block, SignatureFindings { bad }));
        }
        found
    }

    /// Checks all claims, which are of one block.
    pub(super) fn verify_block(&self, verifier: &Verifier) -> SignatureFindings {
        let found = self.verify(0..self.len(), verifier).pop();
        found.map_or_else(SignatureFindings::unchecked, |(_, signatures)| signatures)
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::format::digest::{BlockHash, ChainId};
    use crate::format::evidence::{DoubleVote, Evidence};
    use crate::format::model::{Operation, QuorumSeal};
    use crate::format::payload::{Certify, Convict};
    use crate::format::vote::{Vote, VoteKind};
    use crate::testing::{Chain, key};

    fn vote(block: u8) -> Vote {
        Vote {
            chain: ChainId([1; 32]),
            height: 5,
            round: 0,
            kind: VoteKind::Precommit,
            block: BlockHash([block; 32]),
        }
    }

    fn certify(signers: usize) -> Payload {
        let signatures = (0..signers)
            .map(|number| key(&format!("member-{number}")))
            .map(|pair| (pair.public_key(), vote(2).sign(&pair)));
        Payload::Certify(Certify::new(vote(2), signatures.collect()).unwrap())
    }

    fn convict() -> Payload {
        let pair = key("twice");
        let signed = |block| (vote(block), vote(block).sign(&pair));
        let votes = DoubleVote::new(pair.public_key(), signed(2), signed(3));
        Payload::Convict(Convict {
            evidence: Evidence::DoubleVote(votes.unwrap()),
        })
    }

    #[test]
    fn signatures_of_certificates_witnesses_and_payloads_are_counted_beside_one_for_each_transaction()
     {
        let chain = Chain::new(1, |_| {});
        let payload = |payload: Payload| {
            chain.signed("node", 1, |draft| {
                draft.operation = Operation::ConsensusVote;
                draft.payload = payload.encode();
            })
        };
        let transactions = [
            chain.message("node", 1),
            chain
                .draft("node", 2)
                .sign(&[&key("a"), &key("b"), &key("c")])
                .unwrap(),
            payload(certify(70)),
            payload(convict()),
        ];
        let block = chain.block(&transactions);
        let seal = QuorumSeal::new(0, (0..300).map(|place| (place, vote(4).sign(&key("a")))));
        let seal = Seal::Quorum(seal.unwrap());
        let block = Block::assemble(block.header().clone(), seal, block.transactions()).unwrap();

        let members: Vec<Authority> = (0..300)
            .map(|number| Authority {
                name: format!("member-{number}"),
                key: key("a").public_key(),
                weight: 1,
            })
            .collect();
        let mut claims = Claims::default();
        claims.add_seal_of(0, &members, block.header(), block.seal());
        for transaction in block.transactions() {
            claims.add_transaction(0, FaultAt::Transaction(0), transaction);
            if let Some(payload) = Payload::of(transaction, false) {
                claims.add_payload(0, FaultAt::Transaction(0), &payload);
            }
        }
        assert_eq!(claims.len(), 300 + 1 + 3 + (1 + 70) + (1 + 2));
        let counted = further_claims(&block) + transactions.len();
        assert!(counted >= claims.len(), "{counted} of {}", claims.len());
        let memory = claims.claims.capacity() * size_of::<Claim>() + claims.messages.capacity();
        assert!(memory <= claims.len() * CLAIM_MEMORY, "{memory}");
        // Whatever a block is filled with, that many bytes bound them.
        assert!(counted * SIGNATURE_BYTES <= block.encode().len());
    }
}
