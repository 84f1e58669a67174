//! What a transaction must obey, given the accounts as the transactions before it left them.
//!
//! [`Accounts`] is an overlay of changed accounts over the state, so that a block that is rejected has changed nothing.

use std::collections::HashMap;

use super::state::keys_digest;
use super::{Account, Fault, State};
use crate::model::{HeaderFields, Kind, Operation, Scheme, Transaction};
use crate::rejection::Reason;
use crate::signature::PublicKey;
use crate::spec::{ChainSpec, Identity};

/// The accounts as the block's transactions change them.
pub(super) struct Accounts<'a> {
    spec: &'a ChainSpec,
    state: &'a State,
    header: &'a HeaderFields,
    imported: bool,
    changed: HashMap<Box<str>, Changed>,
}

/// An account as changed, and the one key that its `keys` are the digest of, where that is known: a sender's next
/// transaction in the block then needs no hash.
#[derive(Clone, Copy, Default)]
struct Changed {
    account: Account,
    key: Option<PublicKey>,
}

impl<'a> Accounts<'a> {
    pub(super) fn new(spec: &'a ChainSpec, state: &'a State, header: &'a HeaderFields) -> Self {
        let imported = spec.is_imported(header.height);
        let changed = HashMap::new();
        Self {
            spec,
            state,
            header,
            imported,
            changed,
        }
    }

    /// Checks the next transaction by every rule but its signatures, and applies it to the overlay. `earlier` are those of
    /// its block before it.
    pub(super) fn check(
        &mut self,
        transaction: &Transaction,
        earlier: &[Transaction],
    ) -> Result<(), Fault> {
        self.check_form(transaction)?;
        let sender = transaction.sender();
        let mut changed = self.get(sender);
        let account = &mut changed.account;
        if transaction.nonce() <= account.nonce {
            // A transaction that is in the block twice always gets here: the first has used its nonce.
            let id = transaction.id();
            if earlier.iter().any(|earlier| earlier.id() == id) {
                return fault(Reason::Duplicate, format!("{id} is in this block already"));
            }
            let detail = format!(
                "nonce {} of {sender:?} is not above {}",
                transaction.nonce(),
                account.nonce
            );
            return fault(Reason::Nonce, detail);
        }
        if self.imported {
            check_imported(transaction, account)?;
        } else {
            identify(self.spec.rules.identity, transaction, &mut changed)?;
        }
        changed.account.nonce = transaction.nonce();
        self.set(sender, changed);
        if self.spec.rules.balances && !self.imported {
            self.pay(transaction)?;
        }
        Ok(())
    }

    /// The accounts that the block changes.
    pub(super) fn into_changes(self) -> Vec<(Box<str>, Account)> {
        let changed = self.changed.into_iter();
        changed
            .map(|(name, changed)| (name, changed.account))
            .collect()
    }

    /// What can be said of a transaction without its sender's account.
    fn check_form(&self, transaction: &Transaction) -> Result<(), Fault> {
        let (rules, limits) = (&self.spec.rules, &self.spec.limits);
        if transaction.chain() != self.spec.id() {
            let detail = format!(
                "for chain {}, this is {}",
                transaction.chain(),
                self.spec.id()
            );
            return fault(Reason::Chain, detail);
        }
        let kind = if self.imported {
            Kind::Mpreg
        } else {
            Kind::Native
        };
        if transaction.kind() != kind {
            return fault(
                Reason::Operation,
                format!("only {kind:?} transactions belong here"),
            );
        }
        let witnesses = transaction.witnesses().len();
        let sizes = [
            (
                "bytes of sender name",
                transaction.sender().len(),
                limits.name_bytes_max,
            ),
            (
                "bytes of receiver name",
                transaction.receiver().len(),
                limits.name_bytes_max,
            ),
            (
                "bytes of payload",
                transaction.payload().len(),
                limits.payload_bytes_max,
            ),
            ("witnesses", witnesses, limits.witnesses_max.into()),
        ];
        for (what, size, limit) in sizes {
            if size > limit as usize {
                return fault(
                    Reason::Limit,
                    format!("{size} {what}, at most {limit} are allowed"),
                );
            }
        }
        let latest = self
            .header
            .timestamp
            .saturating_add(rules.clock_drift_max_us);
        if !self.imported && transaction.timestamp() > latest {
            let ahead = transaction.timestamp() - self.header.timestamp;
            return fault(Reason::Timestamp, format!("{ahead} µs ahead of its block"));
        }
        if transaction.expiry() != 0 && self.header.timestamp >= transaction.expiry() {
            let detail = format!(
                "at {}, the block is of {}",
                transaction.expiry(),
                self.header.timestamp
            );
            return fault(Reason::Expired, detail);
        }
        if self.imported {
            return Ok(());
        }
        if transaction.fee() < rules.fee_min {
            let detail = format!("{}, at least {} is due", transaction.fee(), rules.fee_min);
            return fault(Reason::Fee, detail);
        }
        if witnesses < usize::from(rules.witnesses_min) {
            let detail = format!(
                "{witnesses} witnesses, at least {} are needed",
                rules.witnesses_min
            );
            return fault(Reason::SignatureMissing, detail);
        }
        if transaction
            .witnesses()
            .any(|witness| witness.scheme != Scheme::Native)
        {
            return fault(
                Reason::Signature,
                "a native transaction is signed over its id",
            );
        }
        Ok(())
    }

    /// Moves fee and amount. The sender needs cover for both.
    fn pay(&mut self, transaction: &Transaction) -> Result<(), Fault> {
        let amount = match transaction.operation() {
            Operation::Transfer => transaction.amount(),
            _ => 0,
        };
        let sender = transaction.sender();
        let mut changed = self.get(sender);
        let account = &mut changed.account;
        let left = amount
            .checked_add(transaction.fee())
            .and_then(|cost| account.balance.checked_sub(cost));
        let Some(left) = left else {
            let detail = format!(
                "{sender:?} holds {}, amount {amount} and fee {} are due",
                account.balance,
                transaction.fee()
            );
            return fault(Reason::Balance, detail);
        };
        account.balance = left;
        self.set(sender, changed);
        self.credit(transaction.receiver(), amount)?;
        let header = self.header;
        self.credit(&header.producer, transaction.fee())
    }

    fn credit(&mut self, name: &str, amount: u64) -> Result<(), Fault> {
        if amount == 0 {
            return Ok(());
        }
        let mut changed = self.get(name);
        let account = &mut changed.account;
        // The sum of all balances is fixed by the specification and fits u64, so this can't overflow.
        account.balance = account
            .balance
            .checked_add(amount)
            .ok_or_else(|| Fault::new(Reason::Balance, format!("{name:?} would hold too much")))?;
        self.set(name, changed);
        Ok(())
    }

    fn get(&self, name: &str) -> Changed {
        let held = self.changed.get(name).copied();
        held.unwrap_or_else(|| Changed {
            account: self.state.account(name),
            key: None,
        })
    }

    fn set(&mut self, name: &str, changed: Changed) {
        match self.changed.get_mut(name) {
            Some(held) => *held = changed,
            None => {
                self.changed.insert(name.into(), changed);
            }
        }
    }
}

#[cfg(feature = "mpreg")]
fn check_imported(transaction: &Transaction, account: &Account) -> Result<(), Fault> {
    super::imported::check_transaction(transaction, account)
}

#[cfg(not(feature = "mpreg"))]
fn check_imported(_transaction: &Transaction, _account: &Account) -> Result<(), Fault> {
    fault(
        Reason::Operation,
        "this build can't check imported transactions",
    )
}

fn fault<T>(reason: Reason, detail: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::new(reason, detail))
}

/// Whether the witness's keys speak for the sender; pins them where that is the rule.
fn identify(rule: Identity, transaction: &Transaction, changed: &mut Changed) -> Result<(), Fault> {
    let mut keys = transaction.witnesses().map(|witness| witness.key);
    let only = match keys.len() {
        1 => keys.next(),
        _ => None,
    };
    let sender = transaction.sender();
    match rule {
        Identity::Open => Ok(()),
        Identity::Key => match only {
            Some(key) if key.to_string() == sender => Ok(()),
            _ => fault(
                Reason::Identity,
                format!("not signed by {sender:?}, the sender's own key"),
            ),
        },
        Identity::Pinned if only.is_some() && changed.key == only => Ok(()),
        Identity::Pinned => {
            let keys: Vec<PublicKey> = only.into_iter().chain(keys).collect();
            let found = (!keys.is_empty()).then(|| keys_digest(&keys));
            let account = &mut changed.account;
            if account.keys.is_some() && account.keys != found {
                let detail = format!("signed by other keys than those that speak for {sender:?}");
                return fault(Reason::Identity, detail);
            }
            account.keys = found;
            changed.key = only;
            Ok(())
        }
    }
}
