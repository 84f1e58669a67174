//! How what goes through a chain block by block tells of it, and is stopped.

use std::fmt;
use std::ops::ControlFlow;

use hubledger_storage::Part;

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

/// What a long work on a chain is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Bodies are written to the archive, before they are pruned.
    Archive,
    /// Leaf hashes are kept, before the bodies that they stand for are pruned.
    Leaves,
    /// A part of the blocks is pruned.
    Prune(Part),
    /// Blocks are copied.
    Copy,
    /// Table sets are copied.
    Tables,
    /// The copy is pruned to where its source is.
    PruneCopy,
    /// Source and copy are compared.
    Compare,
    /// A damaged source is read for the rest of its damage.
    Survey,
    /// Headers go into a snapshot or come from one.
    Headers,
    /// Seals in a snapshot are checked by the members that its state tells.
    Seals,
    /// Rows of the state go into a snapshot or come from one; it is they that are counted.
    Rows,
}

impl Phase {
    /// One word, for people and machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Leaves => "leaves",
            Self::Prune(Part::Body) => "body",
            Self::Prune(Part::Index) => "index",
            Self::Prune(Part::Header) => "header",
            Self::Copy => "copy",
            Self::Tables => "tables",
            Self::PruneCopy => "prune",
            Self::Compare => "compare",
            Self::Survey => "survey",
            Self::Headers => "headers",
            Self::Seals => "seals",
            Self::Rows => "rows",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How far a long work on a chain (pruning, copying) has come, for progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What is being done.
    pub phase: Phase,
    /// The height reached.
    pub height: u64,
    /// The height to be reached in this phase.
    pub target: u64,
}

/// Called between steps; [`ControlFlow::Break`] stops, what is committed stays, and the work can be gone on with.
pub type StepProgress<'a> = dyn FnMut(Step) -> ControlFlow<()> + 'a;

/// An answer of a progress callback as a result.
pub(crate) const fn go_on(answer: ControlFlow<()>) -> Result<(), LedgerError> {
    match answer {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(LedgerError::Stopped),
    }
}
