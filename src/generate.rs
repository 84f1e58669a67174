//! Chains made up from a seed, for trials, tests and measurements: signed transactions of many senders in sealed
//! blocks. The same recipe gives the same bytes.

use std::collections::BTreeMap;

use crate::consensus::seed::Onion;
use crate::consensus::{self, Contribution};
use crate::format::FormatVersion;
use crate::format::codec::FieldError;
use crate::format::digest::sha256;
use crate::format::model::{
    BODY_BYTES_MAX, Block, Draft, Kind, Operation, PAYLOAD_BYTES_MAX, Seal, TRANSACTION_BYTES_MIN,
    Transaction,
};
use crate::format::payload::{
    Commit, KEY_SET_KEYS_MAX, KeySet, Payload, Profile, Register, Reveal,
};
use crate::format::signature::KeyPair;
use crate::format::spec::{
    Authority, ChainSpec, Composition, Consensus, ConsensusName, Finality, Identity, Limits, Rules,
    SealRule, SpecFields, Terms,
};
use crate::rules::produce::make;
use crate::rules::{At, Validator, carry};
use crate::state::State;

/// Timestamp of a generated genesis: 2023-11-14T22:13:20Z, in microseconds since the Unix epoch.
const GENESIS_TIME: u64 = 1_700_000_000_000_000;
const BLOCK_INTERVAL_US: u64 = 1_000_000;
/// The most senders: each takes some 200 bytes of memory.
const KEYS_MAX: usize = 100_000_000;

/// Layers of the onion that a member commits to, where seeds choose proposers.
const ONION_DEPTH: u32 = 1024;

/// The most members of a chain that is made up.
const MEMBERS_MAX: u32 = 128;

/// What to generate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// Transactions in all.
    pub transactions: u64,
    /// Senders, each with a key of its own; at least 1.
    pub keys: u32,
    /// Bytes of each payload.
    pub payload_bytes: u32,
    /// Transactions in a block; the last block may have fewer. At least 1.
    pub per_block: u32,
    /// Everything follows from it.
    pub seed: u64,
    /// The version of the chain's format, where it has a specification of its own. In version 2 each block names a state root.
    pub version: FormatVersion,
    /// Whose keys speak for a sender, where the chain has a specification of its own. Where names are registered, the first
    /// transaction of each sender does that.
    pub identity: Identity,
    /// Keys of each sender, at most [`KEY_SET_KEYS_MAX`]; more than 1 only where names are registered …
    pub keys_each: u8,
    /// … of which so many have to sign, and do: 1 to `keys_each`.
    pub threshold: u8,
    /// What the chain's consensus is, where it has a specification of its own. Other than proof of authority in version 2 only.
    pub consensus: ConsensusName,
    /// Its members, at least 1: `hub-0`, `hub-1`, …, whose keys follow from the seed. All of them seal where it takes a certificate.
    pub members: u32,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            transactions: 10_000,
            keys: 64,
            payload_bytes: 200,
            per_block: 1000,
            seed: 0,
            version: FormatVersion::V2,
            identity: Identity::Pinned,
            keys_each: 1,
            threshold: 1,
            consensus: ConsensusName::ProofOfAuthority,
            members: 1,
        }
    }
}

/// A sender with its keys; those that sign come first.
struct Sender {
    name: String,
    keys: Vec<KeyPair>,
}

/// Generates the blocks of a recipe, one at a time.
pub struct Generator {
    recipe: Recipe,
    validator: Validator,
    producer: String,
    /// The first is the producer's, where one can make every block.
    seal_keys: Vec<KeyPair>,
    senders: Vec<Sender>,
    made: u64,
    /// Of the last block, which the next one may have to carry.
    last_seal: Seal,
}

impl Generator {
    /// A generator with a chain of its own, sealed by members whose keys follow from the seed.
    ///
    /// # Errors
    /// A number of the recipe is zero or above what a chain can hold.
    pub fn new(recipe: Recipe) -> Result<Self, FieldError> {
        let seal_keys: Vec<KeyPair> = (0..recipe.members.min(MEMBERS_MAX))
            .map(|index| key(recipe.seed, "authority", index))
            .collect();
        let limits = limits_for(&recipe)?;
        let spec = ChainSpec::new(SpecFields {
            version: recipe.version,
            name: format!("generated-{}", recipe.seed),
            genesis_time: GENESIS_TIME,
            consensus: consensus_of(&recipe, &seal_keys)?,
            limits,
            rules: Rules {
                identity: recipe.identity,
                balances: has_stakes(recipe.consensus),
                ..Rules::default()
            },
            terms: terms_of(&recipe),
            accounts: BTreeMap::new(),
            import: None,
            predecessor: None,
        })?;
        Self::with_spec(recipe, spec, seal_keys)
    }

    /// A generator for the chain of `spec`, sealed by the members that hold `seal_keys`.
    ///
    /// # Errors
    /// A number of the recipe is zero or above a limit of the chain; the specification
    /// [contradicts itself](SpecFields::contradictions); the first key belongs to none of the chain's members; some are missing, and without
    /// them not every block can be made.
    pub fn for_spec(
        recipe: Recipe,
        spec: ChainSpec,
        seal_keys: Vec<KeyPair>,
    ) -> Result<Self, FieldError> {
        let Some(first) = seal_keys.first() else {
            return Err(FieldError::new("key", "there is none to seal with"));
        };
        let genesis = State::genesis(&spec);
        consensus::producer(&spec, &genesis, &first.public_key())
            .map_err(|fault| FieldError::new("key", fault.detail))?;
        let has = |member: &&Authority| {
            let mut keys = seal_keys.iter();
            keys.any(|key| key.public_key() == member.key)
        };
        let members = &spec.composition().members;
        if !consensus::goes_on_alone(&spec) && !members.iter().all(|one| has(&one)) {
            let field = match spec.composition().is_plain() {
                true => "round_robin",
                false => "key",
            };
            return Err(FieldError::new(
                field,
                "turns are kept, and one key can't seal in the turn of others",
            ));
        }
        Self::with_spec(recipe, spec, seal_keys)
    }

    fn with_spec(
        recipe: Recipe,
        spec: ChainSpec,
        seal_keys: Vec<KeyPair>,
    ) -> Result<Self, FieldError> {
        let genesis = State::genesis(&spec);
        let producer = match seal_keys.first() {
            Some(key) => consensus::producer(&spec, &genesis, &key.public_key())
                .map_err(|fault| FieldError::new("key", fault.detail))?
                .into_owned(),
            None => return Err(FieldError::new("members", "at least 1")),
        };
        for (field, number) in [("keys", recipe.keys), ("per_block", recipe.per_block)] {
            if number == 0 {
                return Err(FieldError::new(field, "at least 1"));
            }
        }
        FieldError::check_length("keys", recipe.keys as usize, KEYS_MAX)?;
        if let Some(contradiction) = spec.contradictions().into_iter().next() {
            return Err(contradiction);
        }
        check_sizes(&recipe, &spec.limits)?;
        let identity = spec.rules.identity;
        check_signers(&recipe, identity, &spec.limits)?;
        let sender = |index| {
            let each = u32::from(recipe.keys_each);
            let keys = (0..each).map(|number| {
                // So that a sender of one key has the same one as ever.
                let role = if number == 0 { "sender" } else { "cosigner" };
                let number = number.saturating_sub(1);
                key(
                    recipe.seed,
                    role,
                    index * each.saturating_sub(1).max(1) + number,
                )
            });
            let keys: Vec<KeyPair> = keys.collect();
            let name = match identity {
                Identity::Key => keys[0].public_key().to_string(),
                Identity::Open | Identity::Pinned | Identity::Registered => format!("node-{index}"),
            };
            Sender { name, keys }
        };
        let senders = (0..recipe.keys).map(sender).collect();
        Ok(Self {
            recipe,
            validator: Validator::new(spec),
            producer,
            seal_keys,
            senders,
            made: 0,
            last_seal: Seal::None,
        })
    }

    /// The specification of the generated chain.
    #[must_use]
    pub const fn spec(&self) -> &ChainSpec {
        self.validator.spec()
    }

    /// The name and the key of the first that seals.
    #[must_use]
    pub fn authority(&self) -> (&str, &KeyPair) {
        (&self.producer, &self.seal_keys[0])
    }

    /// The keys of all who seal.
    #[must_use]
    pub fn seal_keys(&self) -> &[KeyPair] {
        &self.seal_keys
    }

    /// Who makes the next block: its name, and all keys, its own first.
    fn sealers(&self) -> (String, Vec<&KeyPair>) {
        let (spec, state) = (self.spec(), self.validator.state());
        let mut keys: Vec<&KeyPair> = self.seal_keys.iter().collect();
        let Some(index) = consensus::proposer(spec, state, 0) else {
            return (self.producer.clone(), keys);
        };
        let members = consensus::members(spec, state, state.height() + 1);
        let member = &members[index];
        if let Some(at) = keys.iter().position(|key| key.public_key() == member.key) {
            keys.swap(0, at);
        }
        (member.name.clone(), keys)
    }

    /// The next block, or `None` when all transactions are made.
    ///
    /// # Errors
    /// The chain's own specification doesn't allow what the recipe asks for; the message says which rule.
    pub fn next_block(&mut self) -> Result<Option<Block>, FieldError> {
        let left = self.recipe.transactions - self.made;
        // What a producer says by itself, for a seed and of attendance, has to have room beside them.
        let most = u64::from(self.spec().limits.transactions_max.saturating_sub(2)).max(1);
        let count = match self.spec().composition().is_plain() {
            true => left.min(self.recipe.per_block.into()),
            false => left.min(self.recipe.per_block.into()).min(most),
        };
        if count == 0 {
            return Ok(None);
        }
        let state = self.validator.state();
        let now = self.spec().genesis_time + (state.height() + 1) * BLOCK_INTERVAL_US;
        let mut transactions = (self.made..self.made + count)
            .map(|number| self.transaction(number, now))
            .collect::<Result<Vec<_>, _>>()?;
        let (producer, keys) = self.sealers();
        transactions.extend(self.addition(&producer, keys[0], now)?);
        let at = At {
            height: state.height() + 1,
            timestamp: now,
            producer: &producer,
        };
        let (spec, seal) = (self.spec(), &self.last_seal);
        let carried = match keys.first() {
            Some(key) => carry::extended(spec, state, key, seal, at, &transactions)?,
            None => None,
        };
        let transactions = carried.unwrap_or(transactions);
        let made = make(self.spec(), state, &producer, &keys, &transactions, now)?;
        let refused = |rejected| {
            FieldError::new("recipe", format!("this chain doesn't allow it: {rejected}"))
        };
        let block = self.validator.apply_made(made).map_err(refused)?;
        self.made += count;
        self.last_seal = block.seal().clone();
        Ok(Some(block))
    }

    /// What the producer adds to a seed in its block, where seeds choose proposers.
    fn addition(
        &self,
        producer: &str,
        key: &KeyPair,
        now: u64,
    ) -> Result<Option<Transaction>, FieldError> {
        let (spec, state) = (self.spec(), self.validator.state());
        let onion = Onion::new(&spec.at(0).id(), producer);
        let secret = onion.secret(key, 0);
        let commit = || {
            let layer = onion.commit(&secret, ONION_DEPTH)?;
            Some(Payload::Commit(Commit { layer }))
        };
        let payload = match consensus::contribution(spec, state, producer) {
            Contribution::Nothing => None,
            Contribution::Commitment => commit(),
            Contribution::Below(around) => match onion.below(&secret, ONION_DEPTH, &around) {
                Some(layer) => Some(Payload::Reveal(Reveal { layer })),
                // It is used up. To begin again with the same is good enough for blocks that are made up.
                None => commit(),
            },
        };
        let Some(payload) = payload else {
            return Ok(None);
        };
        let draft = Draft {
            kind: Kind::Native,
            chain: spec.id(),
            sender: producer.to_owned(),
            receiver: producer.to_owned(),
            operation: payload.operations()[0],
            amount: 0,
            payload: payload.encode(),
            timestamp: now,
            expiry: 0,
            fee: spec.rules.fee_min,
            nonce: state.account(producer).nonce + 1,
        };
        draft.sign(&[key]).map(Some)
    }

    fn transaction(&self, number: u64, now: u64) -> Result<Transaction, FieldError> {
        let senders = self.senders.len() as u64;
        let Sender { name, keys } = &self.senders[(number % senders) as usize];
        let receiver = &self.senders[((number + 1) % senders) as usize].name;
        let spec = self.spec();
        let registers = number < senders && spec.rules.identity == Identity::Registered;
        let (operation, payload) = match registers {
            true => (Operation::NodeRegister, self.registration(keys)?.encode()),
            false => {
                let length = self.recipe.payload_bytes as usize;
                (
                    Operation::Message,
                    payload(self.recipe.seed, number, length),
                )
            }
        };
        let draft = Draft {
            kind: Kind::Native,
            chain: spec.id(),
            sender: name.clone(),
            receiver: receiver.clone(),
            operation,
            amount: 0,
            payload,
            timestamp: now,
            expiry: 0,
            fee: spec.rules.fee_min,
            nonce: number / senders + 1,
        };
        let signers = keys.iter().take(self.recipe.threshold.into());
        draft.sign(&signers.collect::<Vec<_>>())
    }

    fn registration(&self, keys: &[KeyPair]) -> Result<Payload, FieldError> {
        let keys = keys.iter().map(KeyPair::public_key).collect();
        Ok(Payload::Register(Register {
            keys: KeySet::new(self.recipe.threshold, keys)?,
            recovery: None,
            stake: self.spec().terms.stake_min,
            attester: None,
            profile: Profile::default(),
        }))
    }
}

const fn has_stakes(name: ConsensusName) -> bool {
    matches!(
        name,
        ConsensusName::ProofOfStake | ConsensusName::DelegatedProofOfStake
    )
}

fn consensus_of(recipe: &Recipe, seal_keys: &[KeyPair]) -> Result<Consensus, FieldError> {
    if seal_keys.is_empty() || recipe.members > MEMBERS_MAX {
        let problem = format!("{} members, not 1 to {MEMBERS_MAX}", recipe.members);
        return Err(FieldError::new("members", problem));
    }
    let has_weights =
        has_stakes(recipe.consensus) || recipe.consensus == ConsensusName::FederatedByzantine;
    let members = seal_keys.iter().zip(0..).map(|(key, index)| Authority {
        name: format!("hub-{index}"),
        key: key.public_key(),
        weight: match has_weights {
            true => 100 + index,
            false => 1,
        },
    });
    let members = match recipe.consensus {
        ConsensusName::ProofOfWork => Vec::new(),
        _ => members.collect(),
    };
    let mut parts = Composition::named(recipe.consensus, members);
    if let SealRule::Work(work) = &mut parts.seal {
        // A few milliseconds of work for each block.
        work.difficulty = 1_000;
    }
    Ok(Consensus::of(parts))
}

fn terms_of(recipe: &Recipe) -> Terms {
    if recipe.version == FormatVersion::V1 {
        return Terms::default();
    }
    let has_depth = recipe.consensus == ConsensusName::ProofOfWork
        || recipe.consensus == ConsensusName::Hybrid
        || has_stakes(recipe.consensus);
    let plain = Terms::of_new_chains();
    match recipe.consensus {
        ConsensusName::ProofOfAuthority => plain,
        _ => Terms {
            block_time_us: BLOCK_INTERVAL_US,
            finality: match has_depth {
                true => Finality::Depth(10),
                false => Finality::Immediate,
            },
            ..plain
        },
    }
}

/// That senders can have these keys, and their transactions as many witnesses.
fn check_signers(recipe: &Recipe, identity: Identity, limits: &Limits) -> Result<(), FieldError> {
    let (each, threshold) = (recipe.keys_each, recipe.threshold);
    if each == 0 || usize::from(each) > KEY_SET_KEYS_MAX {
        let problem = format!("{each} keys of each sender, not 1 to {KEY_SET_KEYS_MAX}");
        return Err(FieldError::new("keys_each", problem));
    }
    if each > 1 && identity != Identity::Registered {
        let problem = "several keys of a sender are for chains whose names are registered";
        return Err(FieldError::new("keys_each", problem));
    }
    if threshold == 0 || threshold > each.min(limits.witnesses_max) {
        let problem = format!(
            "{threshold} of {each} keys, and at most {} witnesses are allowed",
            limits.witnesses_max
        );
        return Err(FieldError::new("threshold", problem));
    }
    Ok(())
}

/// What a generated transaction takes beside its payload, at most.
const BESIDE_PAYLOAD: u64 = 512;

/// The limits of the recipe's own chain: the defaults, or as much more as the recipe needs.
fn limits_for(recipe: &Recipe) -> Result<Limits, FieldError> {
    let payload = recipe.payload_bytes;
    if payload as usize > PAYLOAD_BYTES_MAX {
        return Err(payload_above(payload, PAYLOAD_BYTES_MAX));
    }
    let defaults = Limits::default();
    let mut limits = Limits {
        witnesses_max: recipe.threshold.max(defaults.witnesses_max),
        transactions_max: recipe.per_block.max(defaults.transactions_max),
        payload_bytes_max: payload.max(defaults.payload_bytes_max),
        ..defaults
    };
    let transaction = u64::from(payload) + BESIDE_PAYLOAD;
    let bodies = [
        limits.body_bytes_max.into(),
        limits.transaction_bytes_max(),
        transaction.saturating_mul(recipe.per_block.into()),
    ];
    let body = bodies.into_iter().max().unwrap_or_default();
    limits.body_bytes_max = u32::try_from(body)
        .ok()
        .filter(|body| *body as usize <= BODY_BYTES_MAX)
        .ok_or_else(|| body_above(recipe, recipe.per_block, transaction, BODY_BYTES_MAX))?;
    Ok(limits)
}

/// That the chain can hold what the recipe asks for, before all of it is made. The last word is the validator's.
fn check_sizes(recipe: &Recipe, limits: &Limits) -> Result<(), FieldError> {
    let payload = recipe.payload_bytes;
    if payload > limits.payload_bytes_max {
        return Err(payload_above(payload, limits.payload_bytes_max as usize));
    }
    let together = u64::from(recipe.per_block).min(recipe.transactions);
    // Not more than the recipe's own number.
    let together = u32::try_from(together).unwrap_or(recipe.per_block);
    if together > limits.transactions_max {
        let most = limits.transactions_max;
        let problem =
            format!("{together} transactions, a block of this chain holds at most {most}");
        return Err(FieldError::new("per_block", problem));
    }
    let transaction = u64::from(payload) + TRANSACTION_BYTES_MIN as u64;
    let body = limits.body_bytes_max;
    if transaction * u64::from(together) > body.into() {
        return Err(body_above(recipe, together, transaction, body as usize));
    }
    Ok(())
}

fn payload_above(payload: u32, limit: usize) -> FieldError {
    let problem = format!("{payload} bytes, at most {limit} bytes are allowed");
    FieldError::new("payload", problem)
}

/// Neither number is at fault alone.
fn body_above(recipe: &Recipe, together: u32, transaction: u64, limit: usize) -> FieldError {
    let problem = format!(
        "{together} transactions of {} bytes of payload take {} bytes, a block's body at most {limit} bytes: so large \
         ones go {} into a block",
        recipe.payload_bytes,
        transaction.saturating_mul(together.into()),
        limit as u64 / transaction,
    );
    FieldError::new("payload and per_block", problem)
}

fn key(seed: u64, role: &str, index: u32) -> KeyPair {
    KeyPair::from_seed(&sha256(&[
        b"hubledger/generate/key",
        role.as_bytes(),
        &seed.to_le_bytes(),
        &index.to_le_bytes(),
    ]))
}

fn payload(seed: u64, number: u64, length: usize) -> Vec<u8> {
    let mut payload = Vec::with_capacity(length + 31);
    let mut part = 0u64;
    while payload.len() < length {
        let parts: [&[u8]; 4] = [
            b"hubledger/generate/payload",
            &seed.to_le_bytes(),
            &number.to_le_bytes(),
            &part.to_le_bytes(),
        ];
        payload.extend_from_slice(&sha256(&parts));
        part += 1;
    }
    payload.truncate(length);
    payload
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::spec::ProofOfAuthority;

    #[test]
    fn sizes_that_do_not_fit_a_block_are_named_for_what_they_are() {
        let made = |payload_bytes, per_block| {
            let recipe = Recipe {
                payload_bytes,
                per_block,
                transactions: 1,
                ..Recipe::default()
            };
            Generator::new(recipe).map(|mut generator| generator.next_block())
        };
        let error = |payload, per_block| {
            let error = made(payload, per_block).expect_err("it can't be made");
            error.to_string()
        };
        assert!(made(16 << 20, 1).is_ok_and(|block| block.is_ok()));
        assert!(made(16 << 20, 15).is_ok());
        assert_eq!(
            error((16 << 20) + 1, 1000),
            "payload: 16777217 bytes, at most 16777216 bytes are allowed"
        );
        assert_eq!(
            error(16 << 20, 1000),
            "payload and per_block: 1000 transactions of 16777216 bytes of payload take 16777728000 bytes, a block's body \
             at most 268435456 bytes: so large ones go 15 into a block"
        );
        assert!(error(200, u32::MAX).starts_with("payload and per_block: 4294967295 transactions"));
    }

    #[test]
    fn a_given_chain_is_asked_for_its_limits_before_anything_is_made() {
        let sealer = || key(0, "authority", 0);
        let error = |recipe: Recipe, change: fn(&mut SpecFields)| {
            let mut fields = (**Generator::new(Recipe::default()).expect("valid").spec()).clone();
            change(&mut fields);
            let spec = ChainSpec::new(fields).expect("within the format's limits");
            let made = Generator::for_spec(recipe, spec, vec![sealer()]);
            made.err().map(|error| error.to_string())
        };
        let recipe = |payload_bytes, per_block| Recipe {
            payload_bytes,
            per_block,
            ..Recipe::default()
        };
        assert_eq!(error(recipe(65_536, 200), |_| {}), None);
        assert_eq!(
            error(recipe(65_537, 200), |_| {}).as_deref(),
            Some("payload: 65537 bytes, at most 65536 bytes are allowed")
        );
        let crowded = error(recipe(1, 10_000), |fields| {
            fields.limits.transactions_max = 9_999
        });
        assert!(crowded.is_some_and(|text| text.starts_with("per_block: 10000 transactions")));
        let heavy = error(recipe(65_536, 300), |_| {});
        assert!(heavy.is_some_and(|text| text.starts_with("payload and per_block: ")));
        let contradiction = error(Recipe::default(), |fields| {
            fields.limits.body_bytes_max = 500
        });
        assert!(contradiction.is_some_and(|text| text.starts_with("limits.body_bytes_max: ")));
    }

    #[test]
    fn a_chain_that_keeps_turns_among_several_is_refused() {
        let authority = |name: &str, key: &KeyPair| Authority {
            name: name.to_owned(),
            key: key.public_key(),
            weight: 1,
        };
        let mut fields = (**Generator::new(Recipe::default()).expect("valid").spec()).clone();
        for others in 0..2 {
            let sealer = key(0, "authority", 0);
            let mut authorities = vec![authority("hub-0", &sealer)];
            authorities.extend((0..others).map(|n| authority("other", &key(1, "authority", n))));
            fields.consensus = Consensus::ProofOfAuthority(ProofOfAuthority {
                authorities,
                round_robin: true,
            });
            let spec = ChainSpec::new(fields.clone()).expect("valid");
            let made = Generator::for_spec(Recipe::default(), spec, vec![sealer]);
            assert_eq!(
                made.err().map(|error| error.field),
                (others > 0).then_some("round_robin")
            );
        }
    }
}
