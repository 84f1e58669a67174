//! What a chain says to evidence that was handed in with its next block: whose fault, whether it convicts, what it costs.

use hubledger::consensus;
use hubledger::evidence::Evidence;
use hubledger::ledger::ChainReader;
use hubledger::rejection::Fault;
use hubledger::spec::{Authority, BASIS_POINTS, ChainSpec};
use hubledger::state::State;
use hubledger::state::tables::{Conviction, Convictions, Pools};
use hubledger_storage::StoreUrl;
use serde_json::{Value, json};

use crate::failure::Result;

/// A chain, and the state after its last block.
pub(super) struct Judge {
    pub(super) reader: ChainReader,
    pub(super) state: State,
}

/// What it says to one piece of evidence.
pub(super) struct Verdict {
    height: u64,
    found: std::result::Result<Guilt, Fault>,
}

/// Whose fault it is, and what that costs.
struct Guilt {
    member: Authority,
    basis_points: u16,
    stake: Option<u64>,
    cost: u64,
    earlier: Option<Conviction>,
}

impl Judge {
    pub(super) fn open(store: &StoreUrl) -> Result<Self> {
        let reader = ChainReader::open(store.open_read_only()?)?;
        let state = reader.state()?;
        Ok(Self { reader, state })
    }

    pub(super) fn spec(&self) -> &ChainSpec {
        self.reader.spec()
    }

    /// The height of the block that could convict.
    pub(super) fn next(&self) -> u64 {
        self.state.height().saturating_add(1)
    }

    /// Who the members of a height are, where this chain knows that already.
    pub(super) fn members(&self, height: u64) -> Option<Vec<Authority>> {
        let known = height <= self.next().saturating_add(1);
        known.then(|| consensus::members(self.spec(), &self.state, height).into_owned())
    }

    /// That every signature holds is taken for granted.
    pub(super) fn verdict(&self, evidence: &Evidence) -> Result<Verdict> {
        let height = self.next();
        let found = consensus::check_evidence(self.spec(), &self.state, height, evidence);
        let found = found.map(|(member, basis_points)| {
            let key = Convictions::key(
                &member.name,
                evidence.tag(),
                evidence.height(),
                evidence.round(),
            );
            let (stake, cost) = self.cost(&member.name, basis_points, evidence.height());
            Guilt {
                basis_points,
                stake,
                cost,
                earlier: self.state.value::<Convictions>(&key),
                member,
            }
        });
        self.state.refuse_failed().map_err(anyhow::Error::from)?;
        Ok(Verdict { height, found })
    }

    /// What is behind a name that can be punished for a fault at a height, and how much of it a penalty takes: of each pool its part,
    /// rounded down, as the rules do.
    fn cost(&self, name: &str, basis_points: u16, fault_height: u64) -> (Option<u64>, u64) {
        let Some(bonded) = self.state.value::<Pools>(&Pools::key(name, 0)) else {
            return (None, 0);
        };
        let releases = bonded.bond.iter().flat_map(|bond| &bond.releases);
        let released = releases
            .filter(|boundary| **boundary > fault_height)
            .filter_map(|boundary| self.state.value::<Pools>(&Pools::key(name, *boundary)));
        let (mut stake, mut cost) = (0u64, 0u64);
        for pool in released.chain([bonded.clone()]) {
            let taken =
                u128::from(pool.tokens) * u128::from(basis_points) / u128::from(BASIS_POINTS);
            stake = stake.saturating_add(pool.tokens);
            cost = cost.saturating_add(u64::try_from(taken).unwrap_or(pool.tokens));
        }
        (Some(stake), cost)
    }
}

impl Verdict {
    /// Whether the next block could convict by it.
    pub(super) fn convicts(&self) -> bool {
        matches!(&self.found, Ok(guilt) if guilt.earlier.is_none())
    }

    /// Whether it is a member's fault, punished or not.
    pub(super) const fn is_guilty(&self) -> bool {
        self.found.is_ok()
    }

    pub(super) fn describe(&self) -> Value {
        let at = self.height;
        match &self.found {
            Err(fault) => json!({
                "convicts": false,
                "at": at,
                "reason": fault.reason.word(),
                "detail": fault.detail,
            }),
            Ok(guilt) => {
                let mut about = json!({
                    "convicts": guilt.earlier.is_none(),
                    "at": at,
                    "member": guilt.member.name,
                    "basis_points": guilt.basis_points,
                });
                if let Some(stake) = guilt.stake {
                    about["stake"] = stake.into();
                    let is_due = guilt.earlier.is_none();
                    about["cost"] = if is_due { guilt.cost } else { 0 }.into();
                }
                if let Some(earlier) = &guilt.earlier {
                    about["convicted_at"] = earlier.since.into();
                    about["convicted_by"] = json!(earlier.by);
                }
                about
            }
        }
    }
}
