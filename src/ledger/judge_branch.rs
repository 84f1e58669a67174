//! Judging a branch: block by block by the rules, with the signatures of several blocks in one batch, since one among thousands costs a fraction of
//! one among hundreds.
//!
//! Invariant: what is judged is a copy of the chain's end, so a bad signature takes nothing back: the copy is thrown away.

use super::LedgerError;
use crate::format::digest::{BlockHash, Digest};
use crate::format::rejection::Rejected;
use crate::rules::{
    Claims, Depth, FaultAt, Prepared, Ruling, SignatureFindings, ValidBlock, Validator,
};
use crate::tree::Better;

/// Signatures are checked once there are so many.
const BATCH_SIGNATURES: usize = 8192;

/// A branch that was judged: a validator that stands at its end, and its blocks; or the first block that is not valid.
pub(crate) type Judged = Result<(Validator, Vec<ValidBlock>), (BlockHash, Rejected)>;

/// Says of each of these Merkle leaves whether its transaction's signatures were checked before and found good.
pub(crate) type Known<'a> = dyn Fn(&[Digest]) -> Vec<bool> + 'a;

/// Judges a branch, from the state after the last block on that it has in common with the chain which `validator` stands at the end of. Changes
/// nothing. O(branch).
///
/// # Errors
/// That state can't be had, or not be read.
pub(crate) fn judge_branch(
    validator: &Validator,
    better: &Better,
    known: &Known<'_>,
) -> Result<Judged, LedgerError> {
    let mut validator = validator.clone();
    if !validator.go_back_to(better.common) {
        let floor = validator.lowest_state();
        return Err(LedgerError::NoState { floor });
    }
    let mut valid = Vec::with_capacity(better.blocks.len());
    let mut unsettled = Unsettled::default();
    for block in &better.blocks {
        let prepared = Prepared::new(validator.spec(), block.clone());
        // Whether it was ahead of this machine's clock was asked when it came.
        let now_us = block.header().timestamp;
        let mut ruling = validator.rule(&prepared, Depth::Full { now_us });
        validator.apply_ruled(&mut ruling);
        validator.state().refuse_failed()?;
        let is_sound = ruling.is_sound();
        unsettled.add(&validator, &prepared, ruling, known);
        let is_due = !is_sound || unsettled.claims.len() >= BATCH_SIGNATURES;
        if is_due && let Err(refused) = unsettled.settle(&mut validator, &mut valid) {
            return Ok(Err(refused));
        }
    }
    let settled = unsettled.settle(&mut validator, &mut valid);
    Ok(settled.map(|()| (validator, valid)))
}

/// Blocks whose signatures are yet to be checked.
#[derive(Default)]
struct Unsettled {
    rulings: Vec<Ruling>,
    claims: Claims,
}

impl Unsettled {
    fn add(
        &mut self,
        validator: &Validator,
        prepared: &Prepared,
        ruling: Ruling,
        known: &Known<'_>,
    ) {
        // A fault of header or seal is reported before any signature, so that such a block costs no check of signatures.
        if !matches!(ruling.fault_at(), Some(FaultAt::Header | FaultAt::Seal)) {
            let number = self.rulings.len() as u32;
            let known = known(prepared.leaves());
            let spec = validator.spec();
            self.claims
                .add_block(number, spec, prepared, |index, _| known[index]);
        }
        self.rulings.push(ruling);
    }

    /// Checks what is claimed, and adds the blocks that are valid; gives the first that isn't.
    fn settle(
        &mut self,
        validator: &mut Validator,
        valid: &mut Vec<ValidBlock>,
    ) -> Result<(), (BlockHash, Rejected)> {
        let claims = std::mem::take(&mut self.claims);
        let mut found = vec![SignatureFindings::unchecked(); self.rulings.len()];
        for (number, findings) in claims.verify(0..claims.len(), validator.verifier()) {
            found[number as usize].merge(findings);
        }
        for (ruling, findings) in self.rulings.drain(..).zip(found) {
            let hash = ruling.block().hash();
            valid.push(
                ruling
                    .settle(findings)
                    .map_err(|rejected| (hash, rejected))?,
            );
        }
        if let Some(last) = valid.last() {
            validator.settle(last.block().height());
        }
        Ok(())
    }
}
