//! What blocks come to in the audit.

use hubledger::model::Operation;
use hubledger::payload::Payload;

use super::rows::{Act, Done, TABLE_ACTS, TABLE_BY_ACT, TABLE_BY_ACTOR, actor_prefix, with_order};
use crate::registry::RegistryPayload;
use crate::route::RoutePayload;
use crate::view::{CommittedBlock, Entry, Result, Rows, View, ViewError};

/// Who did what, by place, actor and act.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditView;

impl AuditView {
    /// What the view is called.
    pub const NAME: &'static str = "audit";
}

impl View for AuditView {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn version(&self) -> u32 {
        3
    }

    fn apply(&self, block: &CommittedBlock<'_>, rows: &mut Rows) -> Result<()> {
        for entry in block.notable() {
            let Some((act, subject)) = act_of(&entry) else {
                continue;
            };
            let (height, index) = (block.height(), entry.index);
            let done = Done {
                act,
                id: entry.id(),
                time: block.timestamp(),
                actor: entry.sender().to_owned(),
                subject,
            };
            let order = with_order(Vec::new(), height, index);
            rows.put(TABLE_ACTS, order, done.encode());
            let by_act = with_order(vec![act.number()], height, index);
            rows.put(TABLE_BY_ACT, by_act, Vec::new());
            if let Some(prefix) = actor_prefix(entry.sender()) {
                rows.put(
                    TABLE_BY_ACTOR,
                    with_order(prefix, height, index),
                    Vec::new(),
                );
            }
        }
        Ok(())
    }
}

pub(super) fn damaged(table: u8, problem: impl ToString) -> ViewError {
    ViewError::Damaged {
        view: AuditView::NAME,
        table,
        problem: problem.to_string(),
    }
}

/// What a transaction does that is of interest, and to whom. O(1) for messages and transfers.
fn act_of(entry: &Entry<'_>) -> Option<(Act, String)> {
    let operation = entry.operation();
    if !Payload::has_meaning_in(operation) {
        return None;
    }
    let of = |act| Some((act, String::new()));
    // The chain's own tags are below those of services.
    let of_chain = match entry.tag() {
        Some(_) => None,
        None => Payload::of(entry.transaction(), true),
    };
    match of_chain {
        Some(Payload::Rotate(_)) => of(Act::Rotate),
        Some(Payload::Revoke(_)) => of(Act::Revoke),
        Some(Payload::Recover(_)) => of(Act::Recover),
        Some(Payload::Attest(said)) => Some((Act::Attest, said.subject)),
        Some(Payload::Retract(said)) => Some((Act::Retract, said.subject)),
        Some(Payload::Propose(said)) => Some((Act::Propose, said.parameter.word().to_owned())),
        Some(Payload::Approve(said)) => Some((Act::Approve, said.proposer)),
        Some(Payload::Stake(_)) => of(Act::Stake),
        Some(Payload::Delegate(said)) => Some((Act::Delegate, said.to)),
        Some(Payload::Release(said)) => Some((Act::Release, said.from)),
        Some(Payload::Withdraw(said)) => Some((Act::Withdraw, said.from)),
        Some(Payload::Convict(said)) => Some((Act::Convict, said.evidence.key().to_string())),
        Some(Payload::Certify(said)) => Some((Act::Certify, said.vote().height.to_string())),
        _ => match operation {
            Operation::FederationJoin => of(Act::Join),
            Operation::FederationLeave => of(Act::Leave),
            Operation::NodeRegister => of(Act::Register),
            Operation::NodeUpdate if is_passing(entry) => None,
            Operation::NodeUpdate => of(Act::Update),
            Operation::ConsensusVote => of(Act::Vote),
            _ => None,
        },
    }
}

/// Whether an update only shows that a node is alive, or that a message came by: it changes nothing that a node has said of itself.
fn is_passing(entry: &Entry<'_>) -> bool {
    matches!(
        RegistryPayload::of(entry),
        Some(RegistryPayload::Heartbeat(_))
    ) || matches!(
        RoutePayload::of(entry),
        Some(RoutePayload::MessageForward(_))
    )
}
