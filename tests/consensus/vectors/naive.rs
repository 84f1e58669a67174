//! The vectors read once more, by nothing but `FORMAT.md`: bytes are taken apart here, hashes are SHA-256 and every signature is checked by
//! itself. It knows the rules of the consensus alone, not those of transactions, times and states.

use std::collections::BTreeMap;

use ed25519_dalek::{Signature, VerifyingKey};
use num_bigint::{BigInt, BigUint};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::list;

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(text(value)).unwrap()
}

/// RFC 9162, by its own words.
fn merkle_root(leaves: &[Vec<u8>]) -> [u8; 32] {
    match leaves {
        [] => hash(&[]),
        [leaf] => hash(&[&[0], leaf]),
        _ => {
            let mut split = 1;
            while split * 2 < leaves.len() {
                split *= 2;
            }
            let (left, right) = leaves.split_at(split);
            hash(&[&[1], &merkle_root(left), &merkle_root(right)])
        }
    }
}

/// Bytes that are read from the front.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn number(&mut self, length: usize) -> u128 {
        let bytes = self.take(length).iter().rev();
        bytes.fold(0, |sum, byte| sum << 8 | u128::from(*byte))
    }

    fn bytes(&mut self) -> &'a [u8] {
        let length = self.number(4) as usize;
        self.take(length)
    }
}

/// What the consensus looks at in a block.
struct Seen {
    hash: [u8; 32],
    chain: Vec<u8>,
    height: u64,
    previous: Vec<u8>,
    members_root: Vec<u8>,
    weight: u128,
    clock: Vec<String>,
    timestamp: u64,
    producer: String,
    difficulty: u64,
    nonce: u64,
    seal: Vec<u8>,
}

impl Seen {
    fn of(block: &[u8]) -> Self {
        let mut block = Rest(block);
        let (header, seal) = (block.bytes(), block.bytes());
        let mut rest = Rest(header);
        assert_eq!(rest.number(1), 2, "of version 2");
        let chain = rest.take(32).to_vec();
        let height = rest.number(8) as u64;
        let previous = rest.take(32).to_vec();
        // The roots over transactions, history and state.
        rest.take(96);
        let members_root = rest.take(32).to_vec();
        let weight = rest.number(16);
        // Transactions of the chain and of the block, and bytes.
        rest.take(16);
        let entries = rest.number(4);
        let mut clock = Vec::new();
        for _ in 0..entries {
            clock.push(String::from_utf8(rest.bytes().to_vec()).unwrap());
            rest.take(8);
        }
        Self {
            hash: hash(&[b"hubledger/block/v2", header]),
            chain,
            height,
            previous,
            members_root,
            weight,
            clock,
            timestamp: rest.number(8) as u64,
            producer: String::from_utf8(rest.bytes().to_vec()).unwrap(),
            difficulty: rest.number(8) as u64,
            nonce: rest.number(8) as u64,
            seal: seal.to_vec(),
        }
    }
}

struct Member {
    name: String,
    key: Vec<u8>,
    weight: u64,
}

fn members(schedule: &Value) -> Vec<Member> {
    let members = list(&schedule["members"]).iter().map(|one| Member {
        name: text(&one["name"]).to_owned(),
        key: bytes(&one["key"]),
        weight: one["weight"].as_u64().unwrap(),
    });
    members.collect()
}

fn members_root(members: &[Member]) -> [u8; 32] {
    let leaves = members.iter().map(|member| {
        let mut leaf = (member.name.len() as u32).to_le_bytes().to_vec();
        leaf.extend_from_slice(member.name.as_bytes());
        leaf.extend_from_slice(&member.key);
        leaf.extend_from_slice(&member.weight.to_le_bytes());
        leaf
    });
    merkle_root(&leaves.collect::<Vec<_>>())
}

fn is_signed(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = VerifyingKey::from_bytes(key.try_into().unwrap());
    let signature = Signature::from_bytes(signature.try_into().unwrap());
    key.is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
}

/// What the specification says, from its text.
struct Said(toml::Table);

impl Said {
    fn consensus(&self, field: &str) -> Option<&toml::Value> {
        self.0["consensus"].get(field)
    }

    fn number(&self, field: &str) -> Option<u64> {
        let value = self.consensus(field)?.as_integer()?;
        u64::try_from(value).ok()
    }

    fn word(&self, field: &str) -> Option<&str> {
        self.consensus(field)?.as_str()
    }

    /// Numerator and denominator.
    fn quorum(&self) -> (u64, u64) {
        let (over, under) = match self.word("quorum") {
            Some(said) => said.split_once('/').unwrap(),
            None => ("2", "3"),
        };
        (over.parse().unwrap(), under.parse().unwrap())
    }

    /// Microseconds between two blocks.
    fn spacing(&self) -> u64 {
        let seconds = self.consensus("block_time_target");
        match seconds.and_then(toml::Value::as_integer) {
            Some(seconds) => seconds as u64 * 1_000_000,
            None => self.0["block_time_us"].as_integer().unwrap() as u64,
        }
    }

    fn kind(&self) -> &str {
        self.word("kind").unwrap()
    }

    fn works(&self) -> bool {
        ["proof_of_work", "hybrid"].contains(&self.kind())
    }

    fn proposer(&self) -> &str {
        if let Some(said) = self.word("proposer") {
            return said;
        }
        let in_turn = self.consensus("round_robin");
        let in_turn = in_turn.and_then(toml::Value::as_bool).unwrap_or(false);
        match self.kind() {
            "proof_of_authority" if in_turn => "turn",
            "federated_byzantine" | "pbft" => "turn",
            "proof_of_stake" | "delegated_proof_of_stake" => "weighted_turn",
            _ => "open",
        }
    }

    fn seals_by_quorum(&self) -> bool {
        let is_default = matches!(self.kind(), "federated_byzantine" | "pbft");
        self.word("seal")
            .map_or(is_default, |seal| seal == "quorum")
    }
}

/// CometBFT's priorities, one of each name.
#[derive(Clone, Default)]
struct Priorities(Vec<(String, i128)>);

impl Priorities {
    /// Takes the members of a height: who is new begins behind all others.
    fn take(&mut self, members: &[Member]) {
        let total: i128 = members.iter().map(|member| i128::from(member.weight)).sum();
        let held: BTreeMap<_, _> = self.0.iter().cloned().collect();
        let is_first = self.0.is_empty();
        self.0 = members
            .iter()
            .map(|member| {
                let new = if is_first { 0 } else { -(total + total / 8) };
                let held = held.get(&member.name).copied();
                (member.name.clone(), held.unwrap_or(new))
            })
            .collect();
        if !is_first && !members.is_empty() {
            self.correct(total);
        }
    }

    fn correct(&mut self, total: i128) {
        let values = self.0.iter().map(|(_, value)| *value);
        let spread = values.clone().max().unwrap() - values.min().unwrap();
        if spread > 2 * total {
            let divisor = (spread + 2 * total - 1) / (2 * total);
            for (_, value) in &mut self.0 {
                *value /= divisor;
            }
        }
        let sum: i128 = self.0.iter().map(|(_, value)| value).sum();
        let mean = sum.div_euclid(self.0.len() as i128);
        for (_, value) in &mut self.0 {
            *value -= mean;
        }
    }

    /// One step, and whose turn it is.
    fn step(&mut self, members: &[Member]) -> usize {
        if members.is_empty() {
            return 0;
        }
        let total: i128 = members.iter().map(|member| i128::from(member.weight)).sum();
        self.correct(total);
        for ((_, value), member) in self.0.iter_mut().zip(members) {
            *value += i128::from(member.weight);
        }
        let mut turn = 0;
        for place in 0..self.0.len() {
            if self.0[place].1 > self.0[turn].1 {
                turn = place;
            }
        }
        self.0[turn].1 -= total;
        turn
    }
}

/// What is known of the chain before a block.
struct Chain {
    said: Said,
    id: [u8; 32],
    priorities: Priorities,
    /// Of each height its time and difficulty, from 1 on.
    times: Vec<(u64, u64)>,
    weight: u128,
    last: Seen,
    members: Vec<Member>,
}

impl Chain {
    fn seed(&self, height: u64) -> [u8; 32] {
        const TAG: &[u8] = b"hubledger/seed/v1";
        let length = self.said.number("seed_epoch").unwrap();
        let epoch = (height - 1) / length;
        let mut seed = hash(&[TAG, &self.id]);
        // Nobody reveals anything in these chains.
        for next in 2..=epoch {
            seed = hash(&[TAG, &seed, &next.to_le_bytes()]);
        }
        seed
    }

    /// The place of the proposer of a round; none where that is anybody's.
    fn proposer(&self, height: u64, round: u32) -> Option<usize> {
        match self.said.proposer() {
            "turn" => Some(((height - 1 + u64::from(round)) % self.members.len() as u64) as usize),
            "weighted_turn" => {
                let mut ahead = self.priorities.clone();
                let mut turn = ahead.step(&self.members);
                for _ in 0..round {
                    turn = ahead.step(&self.members);
                }
                Some(turn)
            }
            "seeded" => {
                let (seed, height) = (self.seed(height), height.to_le_bytes());
                let tag: &[u8] = b"hubledger/draw/v1";
                let drawn = hash(&[tag, &seed, &height, &round.to_le_bytes()]);
                let total: u64 = self.members.iter().map(|member| member.weight).sum();
                let at: BigUint = (BigUint::from_bytes_le(&drawn[..16]) * total) >> 128;
                let mut at = u64::try_from(at).unwrap();
                self.members.iter().position(|member| {
                    let is_there = at < member.weight;
                    at = at.saturating_sub(member.weight);
                    is_there
                })
            }
            _ => None,
        }
    }

    fn difficulty(&self) -> u64 {
        if !self.said.works() {
            return 1;
        }
        let first = self.said.number("difficulty").unwrap();
        let (spacing, interval) = (
            self.said.spacing(),
            self.said.number("difficulty_adjustment_interval").unwrap(),
        );
        match self.said.word("difficulty_rule") {
            Some("window") => self.by_window(first, spacing, interval as usize),
            _ => self.by_schedule(first, spacing, interval),
        }
    }

    fn by_window(&self, first: u64, spacing: u64, interval: usize) -> u64 {
        let Some((time, difficulty)) = self.times.last() else {
            return first;
        };
        let Some(oldest) = self.times.len().checked_sub(interval) else {
            return *difficulty;
        };
        let mean = (time - self.times[oldest].0) as f64 / (interval - 1) as f64;
        match mean / spacing as f64 {
            short if short < 0.5 => (difficulty * 2).min(100),
            long if long > 2.0 => (difficulty / 2).max(1),
            _ => *difficulty,
        }
    }

    /// aserti3-2d, with numbers of any size.
    fn by_schedule(&self, first: u64, spacing: u64, interval: u64) -> u64 {
        let blocks = self.times.len() as i128;
        if blocks <= 1 {
            return first;
        }
        let elapsed = i128::from(self.times[self.times.len() - 1].0 - self.times[0].0);
        let behind = elapsed - i128::from(spacing) * (blocks - 1);
        let exponent = behind * 65_536 / i128::from(spacing * interval);
        let (shifts, fraction) = (exponent.div_euclid(65_536), exponent.rem_euclid(65_536));
        let factor = 65_536
            + ((195_766_423_245_049 * fraction
                + 971_821_376 * fraction.pow(2)
                + 5_127 * fraction.pow(3)
                + (1 << 47))
                >> 48);
        let all = (BigUint::from(1u8) << 256u32) - 1u8;
        let target = (&all / first) * BigUint::try_from(BigInt::from(factor)).unwrap();
        let shift = shifts - 16;
        let target = match shift < 0 {
            true => target >> shift.unsigned_abs(),
            false => target << shift.unsigned_abs(),
        };
        let target = target.clamp(BigUint::from(1u8), all.clone());
        u64::try_from(all / target).unwrap()
    }

    /// All that is wrong with a block, by the words of the rules.
    fn faults(&self, seen: &Seen, next: Option<&[Member]>) -> Vec<&'static str> {
        let mut faults = Vec::new();
        assert_eq!(seen.chain, self.id);
        assert_eq!(seen.height, self.times.len() as u64 + 1);
        assert_eq!(seen.previous, self.last.hash);
        let worth = match self.said.works() {
            true => u128::from(seen.difficulty),
            false => 1,
        };
        if seen.weight != self.weight + worth {
            faults.push("weight");
        }
        // Of a block that isn't in the chain, only the same members as now are looked for.
        let next = next.unwrap_or(&self.members);
        if seen.members_root != members_root(next) {
            faults.push("members_root");
        }
        let enters = |name: &String| {
            name == "*"
                || self.last.clock.contains(name)
                || self.members.iter().any(|member| member.name == *name)
        };
        let advances = |name: &String| name == "*" || *name == seen.producer;
        if !seen.clock.iter().all(enters) || !seen.clock.iter().any(advances) {
            faults.push("vector_clock");
        }
        if seen.difficulty != self.difficulty() || (!self.said.works() && seen.nonce != 0) {
            faults.push("difficulty");
        }
        match self.said.works() {
            true => self.of_work(seen, &mut faults),
            false => self.of_members(seen, &mut faults),
        }
        faults
    }

    fn of_work(&self, seen: &Seen, faults: &mut Vec<&'static str>) {
        let all = (BigUint::from(1u8) << 256u32) - 1u8;
        if BigUint::from_bytes_be(&seen.hash) > all / seen.difficulty {
            faults.push("difficulty");
        }
        if seen.seal != [4] {
            faults.push("seal");
        }
    }

    fn of_members(&self, seen: &Seen, faults: &mut Vec<&'static str>) {
        let mut places = self.members.iter();
        let Some(place) = places.position(|member| member.name == seen.producer) else {
            faults.push("producer");
            return;
        };
        let mut rest = Rest(&seen.seal);
        let mut last_round = 0;
        match (rest.number(1), self.said.seals_by_quorum()) {
            (1, false) => {
                let (key, signature) = (rest.take(32), rest.take(64));
                let message = [&b"hl/seal/1"[..], &seen.hash].concat();
                if key != self.members[place].key || !is_signed(key, &message, signature) {
                    faults.push("seal");
                }
            }
            (3, true) => {
                let round = rest.number(4) as u32;
                last_round = round;
                let bits = rest.bytes();
                let vote = hash(&[
                    &seen.chain,
                    &seen.height.to_le_bytes(),
                    &round.to_le_bytes(),
                    &[3],
                    &seen.hash,
                ]);
                let message = [&b"hl/vote/1"[..], &vote].concat();
                let (mut signed, mut total) = (0, 0);
                for at in 0..bits.len() * 8 {
                    if bits[at / 8] >> (at % 8) & 1 == 0 {
                        continue;
                    }
                    let signature = rest.take(64);
                    match self.members.get(at) {
                        Some(member) if is_signed(&member.key, &message, signature) => {
                            signed += member.weight;
                        }
                        _ => faults.push("seal"),
                    }
                }
                self.members.iter().for_each(|one| total += one.weight);
                let (over, under) = self.said.quorum();
                if signed * under <= total * over {
                    faults.push("quorum");
                }
            }
            _ => faults.push("seal"),
        }
        let turns = (0..=last_round).map(|round| self.proposer(seen.height, round));
        if !turns
            .into_iter()
            .any(|turn| turn.is_none_or(|turn| turn == place))
        {
            faults.push("turn");
        }
    }
}

/// Reads a file, and says how many blocks in it are refused.
pub(super) fn read(name: &str, file: &Value) -> usize {
    let specification = bytes(&file["specification"]);
    let id = hash(&[b"hubledger/chain/v2", &specification]);
    assert_eq!(hex::encode(id), text(&file["chain"]));
    let heights = list(&file["heights"]);
    let first = members(&heights[0]["schedule"]);
    let mut chain = Chain {
        said: Said(text(&file["toml"]).parse().unwrap()),
        id,
        priorities: Priorities::default(),
        times: Vec::new(),
        weight: 0,
        last: Seen {
            hash: bytes(&file["genesis"]).try_into().unwrap(),
            chain: Vec::new(),
            height: 0,
            previous: Vec::new(),
            members_root: members_root(&first).to_vec(),
            weight: 0,
            clock: Vec::new(),
            timestamp: 0,
            producer: String::new(),
            difficulty: 0,
            nonce: 0,
            seal: Vec::new(),
        },
        members: first,
    };
    let mut refused = 0;
    for (place, height) in heights.iter().enumerate() {
        let schedule = &height["schedule"];
        chain.members = members(schedule);
        let next = heights.get(place + 1);
        let next = next.map(|next| members(&next["schedule"]));
        chain.priorities.take(&chain.members);
        check_schedule(&chain, schedule, name);
        for one in list(&height["refused"]) {
            let faults = chain.faults(&Seen::of(&bytes(&one["block"])), next.as_deref());
            let reason = text(&one["reason"]);
            assert!(faults.contains(&reason), "{name}: {one} {faults:?}");
            refused += 1;
        }
        let own = Seen::of(&bytes(&height["block"]));
        for one in list(&height["also_valid"]) {
            let faults = chain.faults(&Seen::of(&bytes(&one["block"])), next.as_deref());
            assert!(faults.is_empty(), "{name}: {one} {faults:?}");
        }
        let faults = match next {
            Some(next) => chain.faults(&own, Some(&next)),
            // The file doesn't tell the members of the height after its last.
            None => {
                let mut faults = chain.faults(&own, None);
                faults.retain(|fault| *fault != "members_root");
                faults
            }
        };
        assert!(faults.is_empty(), "{name} {place}: {faults:?}");
        assert_eq!(hex::encode(own.hash), text(&height["hash"]));
        assert_eq!(own.weight.to_string(), text(&height["then"]["weight"]));
        chain.priorities.step(&chain.members);
        chain.times.push((own.timestamp, own.difficulty));
        (chain.weight, chain.last) = (own.weight, own);
    }
    refused
}

/// That what a file says of a height follows from the blocks before.
fn check_schedule(chain: &Chain, schedule: &Value, name: &str) {
    let height = schedule["height"].as_u64().unwrap();
    assert_eq!(height, chain.times.len() as u64 + 1);
    let root = members_root(&chain.members);
    assert_eq!(hex::encode(root), text(&schedule["members_root"]));
    assert_eq!(chain.last.members_root, root, "{name} {height}");
    let total: u64 = chain.members.iter().map(|member| member.weight).sum();
    assert_eq!(schedule["total"], total);
    if let Some(least) = schedule["quorum"].as_u64() {
        let (over, under) = chain.said.quorum();
        assert!(least * under > total * over && (least - 1) * under <= total * over);
    }
    if let Some(priorities) = schedule["priorities"].as_array() {
        let held: Vec<_> = chain.priorities.0.iter().map(|(_, value)| *value).collect();
        let said: Vec<_> = priorities
            .iter()
            .map(|one| i128::from(one.as_i64().unwrap()))
            .collect();
        assert_eq!(held, said, "{name} {height}");
    }
    if let Some(seed) = schedule["seed"].as_str() {
        assert_eq!(hex::encode(chain.seed(height)), seed, "{name} {height}");
    }
    for (round, said) in list(&schedule["proposers"]).iter().enumerate() {
        let turn = chain.proposer(height, round as u32);
        let turn = turn.map(|place| chain.members[place].name.as_str());
        assert_eq!(said.as_str(), turn, "{name} {height} {round}");
    }
    assert_eq!(
        schedule["difficulty"],
        chain.difficulty(),
        "{name} {height}"
    );
    if let Some(target) = schedule["target"].as_str() {
        let all = (BigUint::from(1u8) << 256u32) - 1u8;
        let target = BigUint::from_bytes_be(&hex::decode(target).unwrap());
        assert_eq!(target, all / chain.difficulty());
    }
}
