//! What a transaction must obey, given the accounts as the transactions before it left them.
//!
//! [`Accounts`] is an overlay of changed accounts over the state, so that a block that is rejected has changed nothing.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::imported::check_transaction as check_imported;
use super::senders::{Sender, Senders, only_key};
use crate::format::digest::Digest;
use crate::format::model::{HeaderFields, Kind, Operation, Scheme, Transaction};
use crate::format::payload::Payload;
use crate::format::rejection::{Fault, Reason};
use crate::format::signature::PublicKey;
use crate::format::spec::{ChainSpec, FeesTo, Identity, Nonces};
use crate::state::tables::Registrations;
use crate::state::{
    Account, Changes, InForce, KnownAccount, RowChange, Speaker, State, keys_digest,
};
use crate::transition::{self, Book, Effects, Place};

/// What the rules for transactions ask of the block that they are in, or would be in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) height: u64,
    pub(crate) timestamp: u64,
    /// Who gets the fees.
    pub(crate) producer: &'a str,
}

impl<'a> At<'a> {
    pub(crate) fn header(header: &'a HeaderFields) -> Self {
        Self {
            height: header.height,
            timestamp: header.timestamp,
            producer: &header.producer,
        }
    }
}

/// Checks a transaction as far as the specification alone tells, as one of a block made at `now_us`: its form, its sizes and
/// times, its fee, how many witnesses it has, and whether their keys speak for a sender that is bound to a key from genesis on.
/// What only a state could tell (whether the nonce was used, the balance, keys pinned or registered since) is not checked, nor are
/// signatures. O(accounts of the specification).
///
/// # Errors
/// The first rule that it breaks.
pub fn check_by_specification(
    spec: &ChainSpec,
    transaction: &Transaction,
    now_us: u64,
) -> Result<(), Fault> {
    let state = State::genesis(spec);
    let at = At {
        height: spec.first_height(),
        timestamp: now_us.max(spec.genesis_time.saturating_add(1)),
        producer: "",
    };
    let accounts = Accounts::new(spec, &state, at);
    let meaning = Payload::said_in(spec, transaction);
    let verdict = accounts
        .with_gaps()
        .check(transaction, meaning.as_ref(), &[]);
    let is_bound = state.account(transaction.sender()).speaker != Speaker::Open;
    match verdict {
        Err(fault) if only_a_state_tells(fault.reason, is_bound) => Ok(()),
        verdict => verdict,
    }
}

/// Whether what genesis says of a rule may not be so any more. No rule comes after these that the specification alone could tell of.
const fn only_a_state_tells(reason: Reason, is_bound: bool) -> bool {
    match reason {
        // Who wasn't bound at genesis may have been registered since.
        Reason::Identity => !is_bound,
        // What a name holds at genesis, it may have got or spent since.
        Reason::Balance
        | Reason::Threshold
        | Reason::Revoked
        | Reason::KeyAge
        | Reason::Registration
        | Reason::Rotation
        | Reason::Stake
        | Reason::Attestation
        | Reason::Member
        | Reason::Parameter
        | Reason::Proposal
        | Reason::Evidence
        | Reason::Reveal => true,
        _ => false,
    }
}

/// The accounts as the block's transactions change them.
pub(crate) struct Accounts<'a> {
    spec: &'a ChainSpec,
    in_force: InForce,
    state: &'a State,
    at: At<'a>,
    imported: bool,
    nonces: Nonces,
    /// The rows of other tables that transitions changed, as they are now.
    rows: BTreeMap<RowKey, Option<Box<[u8]>>>,
    /// The accounts that were asked for, in that order …
    asked: Vec<Asked<'a>>,
    /// … where they are there …
    slots: HashMap<&'a str, u32>,
    /// What was known beforehand of the first of them.
    known: Vec<KnownAccount>,
    /// … and where a name probably is: most senders have been here before, and comparing two names costs less than a hash
    /// that nobody can find collisions of.
    hints: Hints,
}

const HINTS: usize = 256;

/// A table, and the key of a row in it.
type RowKey = (u8, Box<[u8]>);
/// Where a name probably is among others. Any of it may be wrong.
pub(super) struct Hints([u32; HINTS]);

impl Default for Hints {
    fn default() -> Self {
        Self([0; HINTS])
    }
}

impl Hints {
    /// The hint of a name. Names that are in use together mostly differ at their end.
    pub(super) fn of(&mut self, name: &str) -> &mut u32 {
        let end = match name.as_bytes().last_chunk() {
            Some(end) => u64::from_le_bytes(*end),
            None => name.bytes().fold(0, |end, byte| end << 8 | u64::from(byte)),
        };
        &mut self.0[(end.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize]
    }
}

/// An account, and the one key that its `keys` are the digest of, where that is known: a sender's next transaction in the
/// block then needs no hash.
struct Asked<'a> {
    name: &'a str,
    account: Account,
    key: Option<PublicKey>,
    /// A key with its digest, which was hashed beforehand.
    hashed: Option<(PublicKey, Digest)>,
    is_changed: bool,
}

impl<'a> Accounts<'a> {
    pub(crate) fn new(spec: &'a ChainSpec, state: &'a State, at: At<'a>) -> Self {
        let spec = spec.at(at.height);
        let mut accounts = Self {
            spec,
            in_force: InForce::at(spec, Some(state), at.height),
            state,
            at,
            imported: spec.is_imported(at.height),
            nonces: spec.terms.nonces,
            rows: BTreeMap::new(),
            asked: Vec::new(),
            slots: HashMap::new(),
            hints: Hints::default(),
            known: Vec::new(),
        };
        if spec.predecessor().is_some() && spec.first_height() == at.height {
            accounts.take_over();
        }
        accounts
    }

    /// Lets nonces leave gaps: for transactions before which others may still come.
    pub(crate) fn with_gaps(self) -> Self {
        let nonces = Nonces::Growing;
        Self { nonces, ..self }
    }

    /// Whether others have to come before this transaction, because its nonce leaves a gap where none may be.
    pub(crate) fn leaves_gap(&mut self, transaction: &'a Transaction) -> bool {
        match self.nonces {
            Nonces::Growing => false,
            Nonces::Consecutive => {
                let used = self.get(transaction.sender()).account.nonce;
                transaction.nonce() > used.saturating_add(1)
            }
        }
    }

    /// Gives the members their stakes and binds the names that the consensus binds, where a specification takes over from another. Somebody may have pinned such
    /// a name to a key of its own before; or could now, if it was left free.
    fn take_over(&mut self) {
        for RowChange { table, key, value } in transition::stake::found(self.spec, self) {
            self.rows.insert((table, key), value);
        }
        if !self.spec.rules.identity.binds_names() {
            return;
        }
        for (name, key) in self.spec.consensus.bound() {
            let asked = self.get(name);
            // A registered name has its keys from the state, which can exchange them.
            if matches!(asked.account.speaker, Speaker::Open | Speaker::Keys(_)) {
                asked.account.speaker = Speaker::Keys(keys_digest(&[key]));
                asked.is_changed = true;
            }
        }
    }

    /// Checks the next transaction by every rule but its signatures, and applies it to the overlay. `meaning` is what its payload says to
    /// the chain under the specification in force ([`Payload::said_in`]); `earlier` are the transactions of its block before it.
    pub(crate) fn check(
        &mut self,
        transaction: &'a Transaction,
        meaning: Option<&Payload>,
        earlier: &[Transaction],
    ) -> Result<(), Fault> {
        let sender = transaction.sender();
        self.check_form(transaction, sender)?;
        let imported = self.imported;
        let leaves_gap = !imported && self.leaves_gap(transaction);
        let asked = self.get(sender);
        if transaction.nonce() <= asked.account.nonce {
            // A transaction that is in the block twice always gets here: the first has used its nonce.
            let id = transaction.id();
            if earlier.iter().any(|earlier| earlier.id() == id) {
                return fault(Reason::Duplicate, format!("{id} is in this block already"));
            }
            let detail = format!(
                "nonce {} of {sender:?} is not above {}",
                transaction.nonce(),
                asked.account.nonce
            );
            return fault(Reason::Nonce, detail);
        }
        if leaves_gap {
            let (found, used) = (transaction.nonce(), asked.account.nonce);
            let detail = format!("nonce {found} of {sender:?} leaves a gap after {used}");
            return fault(Reason::Nonce, detail);
        }
        let effects = if imported {
            check_imported(transaction, &self.get(sender).account)?;
            None
        } else {
            self.identify(transaction, sender, meaning)?;
            self.decide(transaction, meaning)?
        };
        let asked = self.get(sender);
        asked.account.nonce = transaction.nonce();
        asked.is_changed = true;
        let put_up = effects.as_ref().map_or(0, |effects| effects.put_up);
        if self.in_force.rules.balances && !self.imported {
            self.pay(transaction, sender, put_up)?;
        }
        // Last, so that a transaction which can't pay has changed no row.
        if let Some(effects) = effects {
            self.take(effects, sender)?;
        }
        Ok(())
    }

    fn decide(
        &self,
        transaction: &Transaction,
        payload: Option<&Payload>,
    ) -> Result<Option<Effects>, Fault> {
        let Some(payload) = payload else {
            return Ok(None);
        };
        let place = Place {
            spec: self.spec,
            in_force: &self.in_force,
            parent: self.state,
            height: self.at.height,
            // No producer has an empty name: it stands for whoever will make the block.
            producer: Some(self.at.producer).filter(|name| !name.is_empty()),
            transaction,
        };
        transition::decide(payload, &place, self).map(Some)
    }

    /// Takes over what a transition changes.
    fn take(&mut self, effects: Effects, sender: &'a str) -> Result<(), Fault> {
        for RowChange { table, key, value } in effects.rows {
            self.rows.insert((table, key), value);
        }
        self.credit(sender, effects.given_back)?;
        if let Some(name) = &self.spec.composition().penalties.treasury {
            self.credit(name, effects.forfeited)?;
        }
        if let Some(speaker) = effects.speaker {
            let asked = self.get(sender);
            asked.account.speaker = speaker;
            asked.key = None;
            asked.is_changed = true;
        }
        Ok(())
    }

    /// Looks up the accounts of all senders of the block together, where they were gathered beforehand and the state is a tree.
    pub(super) fn look_up(&mut self, senders: &'a Senders, transactions: &'a [Transaction]) {
        // The names that a specification binds come first, at its first height.
        if !self.asked.is_empty() || senders.places().is_empty() {
            return;
        }
        let Some(accounts) = self.state.accounts_at(senders.places()) else {
            return;
        };
        let known = senders.places().iter().zip(&accounts);
        let known = known.map(|(&place, &before)| KnownAccount { place, before });
        self.known = known.collect();
        let all = senders.all(transactions).zip(accounts);
        let asked = all.map(|(Sender { name, key }, account)| Asked {
            name,
            account,
            key: None,
            hashed: key,
            is_changed: false,
        });
        self.asked = asked.collect();
    }

    /// Notes that the next transaction is of the sender with this number, of those that were looked up.
    pub(super) fn expect(&mut self, transaction: &Transaction, number: Option<u32>) {
        if let Some(number) = number {
            *self.hints.of(transaction.sender()) = number;
        }
    }

    /// What the block changes: accounts, and rows of other tables.
    pub(super) fn into_changes(self) -> Changes {
        let changed = |asked: &Asked<'_>| asked.is_changed;
        let known = match self.asked.iter().skip(self.known.len()).any(changed) {
            // Of these nothing is known, and it is all or none.
            true => Vec::new(),
            false => {
                let known = self.known.iter().zip(&self.asked);
                let known = known.filter(|(_, asked)| asked.is_changed);
                known.map(|(known, _)| *known).collect()
            }
        };
        let accounts = self.asked.into_iter().filter(changed);
        let accounts = accounts.map(|changed| (changed.name.into(), changed.account));
        let rows = self.rows.into_iter();
        Changes {
            accounts: accounts.collect(),
            rows: rows
                .map(|((table, key), value)| RowChange { table, key, value })
                .collect(),
            known,
            ..Changes::default()
        }
    }

    /// What can be said of a transaction without its sender's account.
    fn check_form(&self, transaction: &Transaction, sender: &str) -> Result<(), Fault> {
        let (rules, limits) = (&self.in_force.rules, &self.in_force.limits);
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
            ("bytes of sender name", sender.len(), limits.name_bytes_max),
            (
                "bytes of receiver name",
                transaction.receiver_bytes(),
                limits.name_bytes_max,
            ),
            (
                "bytes of payload",
                transaction.payload().len(),
                limits.payload_bytes_max,
            ),
            ("witnesses", witnesses, limits.witnesses_max.into()),
            // No body of this chain holds a longer one: what waited for a block would wait for ever.
            (
                "bytes of transaction",
                transaction.bytes().len(),
                limits.body_bytes_max,
            ),
        ];
        for (what, size, limit) in sizes {
            if size > limit as usize {
                return fault(
                    Reason::Limit,
                    format!("{size} {what}, at most {limit} are allowed"),
                );
            }
        }
        let latest = self.at.timestamp.saturating_add(rules.clock_drift_max_us);
        if !self.imported && transaction.timestamp() > latest {
            let ahead = transaction.timestamp() - self.at.timestamp;
            return fault(Reason::Timestamp, format!("{ahead} µs ahead of its block"));
        }
        if transaction.expiry() != 0 && self.at.timestamp >= transaction.expiry() {
            let detail = format!(
                "at {}, the block is of {}",
                transaction.expiry(),
                self.at.timestamp
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

    /// Moves fee and amount, and takes what is put up. The sender needs cover for all of it.
    fn pay(
        &mut self,
        transaction: &'a Transaction,
        sender: &'a str,
        put_up: u64,
    ) -> Result<(), Fault> {
        let amount = match transaction.operation() {
            Operation::Transfer => transaction.amount(),
            _ => 0,
        };
        let account = &mut self.get(sender).account;
        let left = amount
            // Amount and fee together may exceed 64 bits; a sum that wrapped would cost the sender next to nothing.
            .checked_add(transaction.fee())
            .and_then(|cost| cost.checked_add(put_up))
            .and_then(|cost| account.balance.checked_sub(cost));
        let Some(left) = left else {
            let (holds, fee) = (account.balance, transaction.fee());
            let detail = match put_up {
                0 => format!("{sender:?} holds {holds}, amount {amount} and fee {fee} are due"),
                stake => format!(
                    "{sender:?} holds {holds}, amount {amount}, fee {fee} and stake {stake} are due"
                ),
            };
            return fault(Reason::Balance, detail);
        };
        // Before anybody is credited: sender, receiver and producer may be one and the same name.
        account.balance = left;
        self.credit(transaction.receiver(), amount)?;
        match &self.spec.terms.fees_to {
            FeesTo::Producer => self.credit(self.at.producer, transaction.fee()),
            FeesTo::Treasury(name) => self.credit(name, transaction.fee()),
            FeesTo::Burn => Ok(()),
        }
    }

    fn credit(&mut self, name: &'a str, amount: u64) -> Result<(), Fault> {
        if amount == 0 {
            return Ok(());
        }
        let asked = self.get(name);
        // The sum of all balances is fixed by the specification and fits u64, so this can't overflow.
        asked.account.balance =
            asked.account.balance.checked_add(amount).ok_or_else(|| {
                Fault::new(Reason::Balance, format!("{name:?} would hold too much"))
            })?;
        asked.is_changed = true;
        Ok(())
    }

    /// The account as it is now. Whoever changes it says so.
    fn get(&mut self, name: &'a str) -> &mut Asked<'a> {
        let likely = *self.hints.of(name) as usize;
        let slot = match self.asked.get(likely) {
            Some(asked) if asked.name == name => likely,
            _ => {
                let slot = self.slot(name);
                // A hint that doesn't fit is a wrong one.
                *self.hints.of(name) = slot as u32;
                slot
            }
        };
        &mut self.asked[slot]
    }

    fn slot(&mut self, name: &'a str) -> usize {
        let next = self.asked.len();
        // Those that were known beforehand are found by their numbers, until somebody asks for another name.
        for (slot, asked) in (0..).zip(&self.asked).skip(self.slots.len()) {
            self.slots.insert(asked.name, slot);
        }
        // Fewer than there are bytes in a body.
        let slot = *self.slots.entry(name).or_insert(next as u32) as usize;
        if slot == next {
            self.asked.push(Asked {
                name,
                account: self.state.account(name),
                key: None,
                hashed: None,
                is_changed: false,
            });
        }
        slot
    }
}

fn fault<T>(reason: Reason, detail: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::new(reason, detail))
}

/// Whether the witnesses are by the one key that the account names, which is known from a transaction before.
fn is_known(asked: &Asked<'_>, transaction: &Transaction) -> bool {
    asked.key.is_some() && only_key(transaction) == asked.key
}

/// The digest of the keys that signed; `None` without any.
fn signers(asked: &Asked<'_>, transaction: &Transaction) -> Option<Digest> {
    if let Some((key, digest)) = asked.hashed
        && only_key(transaction) == Some(key)
    {
        return Some(digest);
    }
    let keys: Vec<PublicKey> = transaction.witnesses().map(|witness| witness.key).collect();
    (!keys.is_empty()).then(|| keys_digest(&keys))
}

impl<'a> Accounts<'a> {
    /// Whether the witnesses' keys speak for the sender; pins them where that is the rule.
    fn identify(
        &mut self,
        transaction: &'a Transaction,
        name: &'a str,
        payload: Option<&Payload>,
    ) -> Result<(), Fault> {
        let (rule, height) = (self.spec.rules.identity, self.at.height);
        let asked = self.get(name);
        match (rule, asked.account.speaker) {
            (Identity::Open, _) => Ok(()),
            (_, Speaker::Registered) => self.identify_registered(transaction, name, payload),
            (_, Speaker::RegisteredKeys(keys, until)) => {
                let holds = height < until;
                if holds && is_known(asked, transaction) {
                    return Ok(());
                }
                if holds && signers(asked, transaction) == Some(keys) {
                    asked.key = only_key(transaction);
                    return Ok(());
                }
                self.identify_registered(transaction, name, payload)
            }
            (Identity::Key, _) => match only_key(transaction) {
                Some(key) if key.to_string() == name => Ok(()),
                _ => fault(
                    Reason::Identity,
                    format!("not signed by {name:?}, the sender's own key"),
                ),
            },
            (Identity::Pinned | Identity::Registered, Speaker::Keys(keys)) => {
                if !is_known(asked, transaction) {
                    if signers(asked, transaction) != Some(keys) {
                        return foreign(name);
                    }
                    asked.key = only_key(transaction);
                }
                Ok(())
            }
            (Identity::Pinned | Identity::Registered, Speaker::Open) => match payload {
                Some(Payload::Register(register)) => {
                    if transition::is_signed_by(&register.keys, transaction) {
                        return Ok(());
                    }
                    let detail = format!("not signed by the keys that {name:?} is to have");
                    fault(Reason::Identity, detail)
                }
                _ if rule == Identity::Registered => {
                    fault(Reason::Identity, format!("{name:?} is not registered"))
                }
                _ => {
                    if let Some(keys) = signers(asked, transaction) {
                        asked.account.speaker = Speaker::Keys(keys);
                        asked.key = only_key(transaction);
                    }
                    Ok(())
                }
            },
        }
    }

    /// The same of a registered name, by its registration.
    fn identify_registered(
        &mut self,
        transaction: &'a Transaction,
        name: &'a str,
        payload: Option<&Payload>,
    ) -> Result<(), Fault> {
        let (spec, height) = (self.spec, self.at.height);
        let held = transition::value::<Registrations>(self, name.as_bytes());
        let Some(registration) = held else {
            // Not without a damaged state, of which the header's root tells.
            return fault(Reason::Identity, format!("{name:?} is not registered"));
        };
        transition::check_speaker(spec, &registration, height, transaction, payload)?;
        let asked = self.get(name);
        asked.account.speaker = transition::lasting(spec, &registration, height);
        asked.key = None;
        Ok(())
    }
}

impl Book for Accounts<'_> {
    fn account(&self, name: &str) -> Account {
        // A few times in the life of a chain: not every name that was looked up is in the slots.
        match self.asked.iter().find(|asked| asked.name == name) {
            Some(asked) => asked.account,
            None => self.state.account(name),
        }
    }

    fn row(&self, table: u8, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        if !self.rows.is_empty()
            && let Some(row) = self.rows.get(&(table, key.into()))
        {
            return row.as_deref().map(Cow::Borrowed);
        }
        self.state.row(table, key).map(Cow::Borrowed)
    }
}

fn foreign<T>(name: &str) -> Result<T, Fault> {
    let detail = format!("signed by other keys than those that speak for {name:?}");
    fault(Reason::Identity, detail)
}
