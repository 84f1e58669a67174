//! What a consensus costs: importing under each composition beside proof of authority, following headers with certificates, and the search for nonces beside
//! a bare loop over SHA-256.

mod certificates;
mod changing;
mod imports;
mod light;
mod mining;

use anyhow::Result;
use hubledger::spec::ConsensusName;

use crate::ratio::Evidence;

/// What a ratio compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Test {
    /// Importing a chain of this composition against one under proof of authority.
    Import(ConsensusName),
    /// Importing a chain whose members change against one under proof of authority.
    ImportChanging,
    /// Checking certificates in a batch against as many transactions as they may cost.
    Certificates,
    /// Following headers with certificates against single checks of their signatures.
    Light,
    /// Mining on one core, one hash after the other, against a bare loop.
    Mining,
    /// Mining on one core by the fastest path against a bare loop.
    MiningInLanes,
}

/// What measures the ratios of this area.
pub(crate) struct Bench {
    /// Seconds of turns for each ratio.
    pub(crate) seconds: f64,
}

impl Bench {
    /// Measures a ratio.
    pub(crate) fn evidence(&self, test: Test) -> Result<Evidence> {
        match test {
            Test::Import(consensus) => imports::beside_authority(consensus, self.seconds),
            Test::ImportChanging => imports::changing_beside_authority(self.seconds),
            Test::Certificates => certificates::beside_transactions(self.seconds),
            Test::Light => light::beside_single_checks(self.seconds),
            Test::Mining => mining::one_by_one(self.seconds),
            Test::MiningInLanes => mining::in_lanes(self.seconds),
        }
    }
}
