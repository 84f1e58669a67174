//! Chains made up from a seed, for trials, tests and measurements: signed transactions of many senders in sealed
//! blocks. The same recipe gives the same bytes.

use std::collections::BTreeMap;

use crate::codec::FieldError;
use crate::digest::sha256;
use crate::model::{Block, Draft, Kind, Operation, Transaction};
use crate::produce::produce;
use crate::signature::KeyPair;
use crate::spec::{Authority, ChainSpec, Consensus, Limits, ProofOfAuthority, Rules, SpecFields};
use crate::validate::{Depth, Validator};

/// Timestamp of a generated genesis: 2023-11-14T22:13:20Z, in microseconds since the Unix epoch.
const GENESIS_TIME: u64 = 1_700_000_000_000_000;
const BLOCK_INTERVAL_US: u64 = 1_000_000;

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
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            transactions: 10_000,
            keys: 64,
            payload_bytes: 200,
            per_block: 1000,
            seed: 0,
        }
    }
}

/// Generates the blocks of a recipe, one at a time.
pub struct Generator {
    recipe: Recipe,
    validator: Validator,
    producer: String,
    seal_key: KeyPair,
    senders: Vec<(String, KeyPair)>,
    made: u64,
}

impl Generator {
    /// A generator with a chain of its own, sealed by one authority whose key follows from the seed.
    ///
    /// # Errors
    /// A number of the recipe is zero or above what a chain can hold.
    pub fn new(recipe: Recipe) -> Result<Self, FieldError> {
        let producer = "hub-0".to_owned();
        let seal_key = key(recipe.seed, "authority", 0);
        let defaults = Limits::default();
        let transaction_bytes = u64::from(recipe.payload_bytes) + 512;
        let body_bytes = transaction_bytes.saturating_mul(recipe.per_block.into());
        let body_bytes = u32::try_from(body_bytes)
            .map_err(|_| FieldError::new("per_block", "such blocks are above 4 GiB"))?;
        let spec = ChainSpec::new(SpecFields {
            name: format!("generated-{}", recipe.seed),
            genesis_time: GENESIS_TIME,
            consensus: Consensus::ProofOfAuthority(ProofOfAuthority {
                authorities: vec![Authority {
                    name: producer.clone(),
                    key: seal_key.public_key(),
                }],
                round_robin: false,
            }),
            limits: Limits {
                transactions_max: recipe.per_block.max(defaults.transactions_max),
                body_bytes_max: body_bytes.max(defaults.body_bytes_max),
                payload_bytes_max: recipe.payload_bytes.max(defaults.payload_bytes_max),
                ..defaults
            },
            rules: Rules::default(),
            accounts: BTreeMap::new(),
            import: None,
        })?;
        Self::with_spec(recipe, spec, producer, seal_key)
    }

    /// A generator for the chain of `spec`, sealed by the authority that holds `seal_key`.
    ///
    /// # Errors
    /// A number of the recipe is zero; the key belongs to none of the chain's authorities; turns are kept.
    pub fn for_spec(
        recipe: Recipe,
        spec: ChainSpec,
        seal_key: KeyPair,
    ) -> Result<Self, FieldError> {
        let key = seal_key.public_key();
        let authority = spec
            .authorities()
            .iter()
            .find(|authority| authority.key == key);
        let Some(authority) = authority else {
            return Err(FieldError::new(
                "key",
                format!("{key} is not an authority's"),
            ));
        };
        let Consensus::ProofOfAuthority(consensus) = &spec.consensus;
        if consensus.round_robin && consensus.authorities.len() > 1 {
            return Err(FieldError::new(
                "round_robin",
                "turns are kept, and one key can't seal in the turn of others",
            ));
        }
        let producer = authority.name.clone();
        Self::with_spec(recipe, spec, producer, seal_key)
    }

    fn with_spec(
        recipe: Recipe,
        spec: ChainSpec,
        producer: String,
        seal_key: KeyPair,
    ) -> Result<Self, FieldError> {
        for (field, number) in [("keys", recipe.keys), ("per_block", recipe.per_block)] {
            if number == 0 {
                return Err(FieldError::new(field, "at least 1"));
            }
        }
        FieldError::check_length("keys", recipe.keys as usize, 1_000_000)?;
        let by_key = spec.rules.identity == crate::spec::Identity::Key;
        let senders = (0..recipe.keys)
            .map(|index| {
                let key = key(recipe.seed, "sender", index);
                let name = match by_key {
                    true => key.public_key().to_string(),
                    false => format!("node-{index}"),
                };
                (name, key)
            })
            .collect();
        Ok(Self {
            recipe,
            validator: Validator::new(spec),
            producer,
            seal_key,
            senders,
            made: 0,
        })
    }

    /// The specification of the generated chain.
    #[must_use]
    pub const fn spec(&self) -> &ChainSpec {
        self.validator.spec()
    }

    /// The authority's name and key.
    #[must_use]
    pub fn authority(&self) -> (&str, &KeyPair) {
        (&self.producer, &self.seal_key)
    }

    /// The next block, or `None` when all transactions are made.
    ///
    /// # Errors
    /// The chain's own specification doesn't allow what the recipe asks for; the message says which rule.
    pub fn next_block(&mut self) -> Result<Option<Block>, FieldError> {
        let left = self.recipe.transactions - self.made;
        let count = left.min(self.recipe.per_block.into());
        if count == 0 {
            return Ok(None);
        }
        let state = self.validator.state();
        let now = self.spec().genesis_time + (state.height() + 1) * BLOCK_INTERVAL_US;
        let transactions = (self.made..self.made + count)
            .map(|number| self.transaction(number, now))
            .collect::<Result<Vec<_>, _>>()?;
        let block = produce(
            self.spec(),
            state,
            &self.producer,
            &self.seal_key,
            &transactions,
            now,
        )?;
        // Signatures were made a moment ago; every other rule of the chain is still to be asked.
        let valid = self
            .validator
            .check(&block, Depth::Replay)
            .map_err(|rejected| {
                FieldError::new("recipe", format!("this chain doesn't allow it: {rejected}"))
            })?;
        self.validator.apply(&valid);
        self.made += count;
        Ok(Some(block))
    }

    fn transaction(&self, number: u64, now: u64) -> Result<Transaction, FieldError> {
        let senders = self.senders.len() as u64;
        let (name, key) = &self.senders[(number % senders) as usize];
        let receiver = &self.senders[((number + 1) % senders) as usize].0;
        let spec = self.spec();
        let draft = Draft {
            kind: Kind::Native,
            chain: spec.id(),
            sender: name.clone(),
            receiver: receiver.clone(),
            operation: Operation::Message,
            amount: 0,
            payload: payload(self.recipe.seed, number, self.recipe.payload_bytes as usize),
            timestamp: now,
            expiry: 0,
            fee: spec.rules.fee_min,
            nonce: number / senders + 1,
        };
        draft.sign(&[key])
    }
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

    #[test]
    fn a_chain_that_keeps_turns_among_several_is_refused() {
        let authority = |name: &str, key: &KeyPair| Authority {
            name: name.to_owned(),
            key: key.public_key(),
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
            let made = Generator::for_spec(Recipe::default(), spec, sealer);
            assert_eq!(
                made.err().map(|error| error.field),
                (others > 0).then_some("round_robin")
            );
        }
    }
}
