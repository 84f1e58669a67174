//! How what goes through a chain block by block tells of it, and is stopped.

use std::ops::ControlFlow;

use super::LedgerError;

/// A block that was gone through, for progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockStep {
    /// Its height.
    pub height: u64,
    /// Its transactions; 0 where its header was pruned.
    pub transactions: u64,
}

/// Called after every block; [`ControlFlow::Break`] stops with [`LedgerError::Stopped`].
pub type BlockProgress<'a> = dyn FnMut(BlockStep) -> ControlFlow<()> + 'a;

/// An answer of a progress callback as a result.
pub(crate) const fn go_on(answer: ControlFlow<()>) -> Result<(), LedgerError> {
    match answer {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(LedgerError::Stopped),
    }
}
