//! Every value has one byte string: arbitrary valid values come back from theirs, and bytes that were cut or changed are
//! refused or are the one encoding of another value.

use std::collections::BTreeMap;

use bytes::Bytes;
use hubledger::codec::{self, Reader};
use hubledger::digest::{BlockHash, ChainId, Digest, sha256};
use hubledger::evidence::{DoubleProposal, DoubleVote, Evidence, UnauthorisedSeal};
use hubledger::format::FormatVersion;
use hubledger::model::{
    Block, Draft, Header, HeaderFields, Kind, Operation, OriginalHeader, QuorumSeal, Scheme, Seal,
    Transaction, VectorClock, Witness,
};
use hubledger::original::Original;
use hubledger::proof::Proof;
use hubledger::signature::{PublicKey, Signature};
use hubledger::spec::{
    Authority, ChainSpec, Consensus, FINALITY_BODY_BYTES_MAX, FINALITY_DEPTH_MAX, FeesTo, Finality,
    Identity, Import, InitialAccount, Joining, Limits, Nonces, Parameter, Predecessor,
    ProofOfAuthority, Rules, SpecFields, Terms,
};
use hubledger::state::State;
use hubledger::vote::{Vote, VoteKind};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

/// Reads bytes and writes what it read; `None` if they are refused.
type Again = fn(&Bytes) -> Option<Vec<u8>>;

/// Replaces bytes at relative places.
type Changes = Vec<(prop::sample::Index, u8)>;

fn changes() -> impl Strategy<Value = Vec<Changes>> {
    vec(vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), 64)
}

/// The one property of all formats.
fn canonical(bytes: &[u8], again: Again, changes: Vec<Changes>) -> Result<(), TestCaseError> {
    let bytes = Bytes::copy_from_slice(bytes);
    prop_assert_eq!(again(&bytes), Some(bytes.to_vec()));
    for length in 0..bytes.len() {
        prop_assert_eq!(again(&bytes.slice(..length)), None, "cut to {}", length);
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    prop_assert_eq!(again(&longer.into()), None, "a byte too long");
    for change in changes {
        let mut changed = bytes.to_vec();
        for (at, byte) in change {
            changed[at.index(bytes.len())] = byte;
        }
        if let Some(written) = again(&Bytes::from(changed.clone())) {
            prop_assert_eq!(written, changed);
        }
    }
    Ok(())
}

fn transaction_again(bytes: &Bytes) -> Option<Vec<u8>> {
    let read = Transaction::decode(bytes.clone()).ok()?;
    let draft = Draft {
        kind: read.kind(),
        chain: read.chain(),
        sender: read.sender().to_owned(),
        receiver: read.receiver().to_owned(),
        operation: read.operation(),
        amount: read.amount(),
        payload: read.payload().to_vec(),
        timestamp: read.timestamp(),
        expiry: read.expiry(),
        fee: read.fee(),
        nonce: read.nonce(),
    };
    let written = draft.with_witnesses(read.witnesses().collect()).unwrap();
    assert_eq!(written.id(), read.id());
    Some(written.bytes().to_vec())
}

fn header_again(bytes: &Bytes) -> Option<Vec<u8>> {
    let read = Header::decode(bytes.clone()).ok()?;
    let written = Header::new((*read).clone()).unwrap();
    assert_eq!(written.hash(), read.hash());
    Some(written.bytes().to_vec())
}

fn block_again(bytes: &Bytes) -> Option<Vec<u8>> {
    let read = Block::decode(bytes).ok()?;
    let (header, seal) = (read.header().clone(), read.seal().clone());
    let written = Block::assemble(header, seal, read.transactions()).unwrap();
    assert_eq!(written, read);
    Some(written.encode())
}

fn clock_again(bytes: &Bytes) -> Option<Vec<u8>> {
    let mut reader = Reader::new(bytes);
    let read = VectorClock::decode(&mut reader).ok()?;
    reader.finish("clock").ok()?;
    let entries = read
        .iter()
        .map(|(node, counter)| (node.to_owned(), counter));
    let mut out = Vec::new();
    VectorClock::new(entries).unwrap().encode(&mut out);
    Some(out)
}

fn proof_again(bytes: &Bytes) -> Option<Vec<u8>> {
    let read = Proof::decode(bytes).ok()?;
    let written = Proof::from_json(&read.to_json()).unwrap();
    assert_eq!(written, read);
    Some(written.encode())
}

fn spec_again(bytes: &Bytes) -> Option<Vec<u8>> {
    let read = ChainSpec::decode(bytes).ok()?;
    let text = read.to_toml();
    let written = ChainSpec::new(SpecFields::from_toml(&text).unwrap()).unwrap();
    assert_eq!(written, read);
    // Random limits and keys mostly contradict each other: then it is no text to begin a chain with.
    assert_eq!(
        ChainSpec::from_toml(&text).is_ok(),
        read.contradictions().is_empty()
    );
    Some(written.bytes().to_vec())
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-c:=é節\u{1F600}\\PC]{1,6}",
        1 => Just("n".repeat(codec::NAME_BYTES_MAX)),
    ]
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(u64::MAX), any::<u64>()]
}

fn key() -> impl Strategy<Value = PublicKey> {
    any::<[u8; 32]>().prop_map(PublicKey::from_bytes)
}

fn signature() -> impl Strategy<Value = Signature> {
    (any::<[u8; 32]>(), any::<[u8; 32]>()).prop_map(|(r, s)| {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&r);
        bytes[32..].copy_from_slice(&s);
        Signature::from_bytes(bytes)
    })
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn witness() -> impl Strategy<Value = Witness> {
    let scheme = prop_oneof![Just(Scheme::Native), Just(Scheme::Mpreg)];
    (scheme, key(), signature()).prop_map(|(scheme, key, signature)| Witness {
        scheme,
        key,
        signature,
    })
}

fn transaction() -> impl Strategy<Value = Transaction> {
    let kind = prop_oneof![Just(Kind::Native), Just(Kind::Mpreg)];
    let operation = prop::sample::select(Operation::ALL);
    (
        (kind, any::<[u8; 32]>(), name(), name(), operation),
        (number(), vec(any::<u8>(), 0..40)),
        (number(), number(), number(), number()),
        vec(witness(), 0..4),
    )
        .prop_map(|(parties, (amount, payload), times, witnesses)| {
            let (kind, chain, sender, receiver, operation) = parties;
            let (timestamp, expiry, fee, nonce) = times;
            let moves = kind == Kind::Native && operation == Operation::Transfer;
            let draft = Draft {
                kind,
                chain: ChainId(chain),
                sender,
                receiver,
                operation,
                amount: if moves { amount } else { 0 },
                payload,
                timestamp,
                expiry,
                fee,
                nonce: nonce.max(1),
            };
            draft.with_witnesses(witnesses).unwrap()
        })
}

fn clock() -> impl Strategy<Value = VectorClock> {
    btree_map(name(), number(), 0..5).prop_map(|entries| VectorClock::new(entries).unwrap())
}

fn seal() -> impl Strategy<Value = Seal> {
    let original = (".{0,20}", ".{0,20}", ".{0,20}");
    prop_oneof![
        Just(Seal::None),
        (key(), signature()).prop_map(|(key, signature)| Seal::Authority { key, signature }),
        original.prop_map(
            |(block_id, timestamp, nonce)| Seal::Original(OriginalHeader {
                block_id,
                timestamp,
                nonce
            })
        ),
        (any::<u32>(), btree_map(0..40usize, signature(), 1..6))
            .prop_map(|(round, signed)| Seal::Quorum(QuorumSeal::new(round, signed).unwrap())),
        Just(Seal::Work),
    ]
}

/// Evidence of each kind, under signatures that mostly don't hold; reading it doesn't ask.
fn evidence() -> impl Strategy<Value = Evidence> {
    let vote = (
        any::<[u8; 32]>(),
        number(),
        any::<u32>(),
        prop::sample::select(&VoteKind::ALL[..]),
    );
    let blocks =
        prop::array::uniform2(1..=u8::MAX).prop_filter("two blocks", |two| two[0] != two[1]);
    let double_vote = (key(), vote, blocks, signature(), signature());
    let double_vote = double_vote.prop_map(|(key, (chain, height, round, kind), blocks, r, s)| {
        let [one, other] = blocks.map(|block| Vote {
            chain: ChainId(chain),
            height,
            round,
            kind,
            block: BlockHash([block; 32]),
        });
        Evidence::DoubleVote(DoubleVote::new(key, (one, r), (other, s)).unwrap())
    });
    let double_proposal = (key(), header(), signature(), signature());
    let double_proposal = double_proposal.prop_map(|(key, header, r, s)| {
        let nonce = header.nonce ^ 1;
        let other = Header::new(HeaderFields {
            nonce,
            ..(*header).clone()
        })
        .unwrap();
        Evidence::DoubleProposal(DoubleProposal::new(key, (header, r), (other, s)).unwrap())
    });
    let seal = (key(), header(), signature()).prop_map(|(key, header, signature)| {
        Evidence::UnauthorisedSeal(UnauthorisedSeal::new(key, header, signature))
    });
    prop_oneof![double_vote, double_proposal, seal]
}

/// A version, with what only the headers of version 2 have: members root, weight and transactions of the chain.
fn of_version_2() -> impl Strategy<Value = (FormatVersion, Digest, u128, u64)> {
    let weight = prop_oneof![Just(u128::MAX), any::<u128>()];
    let second = (digest(), weight, number());
    prop_oneof![
        Just((FormatVersion::V1, Digest::ZERO, 0, 0)),
        second.prop_map(|(members, weight, count)| (FormatVersion::V2, members, weight, count)),
    ]
}

/// A header for a body of these transactions; its roots are whatever they are.
fn header_for(transactions: &[Transaction]) -> impl Strategy<Value = Header> + use<> {
    let body: usize = transactions.iter().map(|one| one.bytes().len()).sum();
    let (count, size) = (transactions.len() as u32, body as u32);
    (
        (any::<[u8; 32]>(), number(), any::<[u8; 32]>()),
        (digest(), digest(), digest(), of_version_2()),
        (clock(), number(), prop_oneof![Just(String::new()), name()]),
        (number(), number()),
    )
        .prop_map(move |(link, roots, made, work)| {
            let fields = HeaderFields {
                version: roots.3.0,
                chain: ChainId(link.0),
                height: link.1,
                previous_hash: BlockHash(link.2),
                merkle_root: roots.0,
                history_root: roots.1,
                state_root: roots.2,
                members_root: roots.3.1,
                weight: roots.3.2,
                transactions: roots.3.3,
                transaction_count: count,
                body_size: size,
                vector_clock: made.0,
                timestamp: made.1,
                producer: made.2,
                difficulty: work.0,
                nonce: work.1,
            };
            Header::new(fields).unwrap()
        })
}

fn header() -> impl Strategy<Value = Header> {
    header_for(&[])
}

fn block() -> impl Strategy<Value = Block> {
    let transactions = vec(transaction(), 0..4);
    let parts = transactions.prop_flat_map(|all| (header_for(&all), seal(), Just(all)));
    parts.prop_map(|(header, seal, all)| Block::assemble(header, seal, &all).unwrap())
}

fn put_path(out: &mut Vec<u8>, path: &[Digest]) {
    codec::put_count(out, path.len());
    path.iter().for_each(|node| out.extend_from_slice(&node.0));
}

/// The bytes of a proof whose paths lead nowhere; reading one doesn't ask.
fn proof() -> impl Strategy<Value = Vec<u8>> {
    let path = || vec(digest(), 0..6);
    let later = prop::option::of((header(), path()));
    let of_transaction = (
        header(),
        later,
        any::<(u32, [u8; 32])>(),
        transaction(),
        path(),
    );
    let of_transaction = of_transaction.prop_map(|(head, later, (index, id), about, path)| {
        let mut out = b"HLPROOFT\x01".to_vec();
        codec::put_bytes(&mut out, head.bytes());
        out.push(later.is_some().into());
        if let Some((header, history)) = later {
            codec::put_bytes(&mut out, header.bytes());
            put_path(&mut out, &history);
        }
        codec::put_u32(&mut out, index);
        out.extend_from_slice(&id);
        codec::put_bytes(&mut out, about.witness_bytes());
        put_path(&mut out, &path);
        out
    });
    let of_extension = (header(), header(), path(), path());
    let of_extension = of_extension.prop_map(|(old, new, consistency, inclusion)| {
        let mut out = b"HLPROOFX\x01".to_vec();
        codec::put_bytes(&mut out, old.bytes());
        codec::put_bytes(&mut out, new.bytes());
        put_path(&mut out, &consistency);
        put_path(&mut out, &inclusion);
        out
    });
    prop_oneof![of_transaction, of_extension]
}

fn terms() -> impl Strategy<Value = Terms> {
    let bounded = || prop_oneof![Just(0), Just(i64::MAX as u64), 0..=i64::MAX as u64];
    let finality = prop_oneof![
        Just(Finality::Immediate),
        (1..=FINALITY_DEPTH_MAX).prop_map(Finality::Depth)
    ];
    let all = Parameter::ALL;
    let joining = prop_oneof![
        Just(Joining::Free),
        Just(Joining::Stake),
        Just(Joining::Attested),
        Just(Joining::StakeOrAttested)
    ];
    let fees_to = prop_oneof![
        Just(FeesTo::Producer),
        Just(FeesTo::Burn),
        Just(FeesTo::Treasury("t".to_owned()))
    ];
    (
        prop_oneof![Just(Nonces::Growing), Just(Nonces::Consecutive)],
        (bounded(), any::<u32>(), bounded()),
        finality,
        prop::sample::subsequence(all, 0..=all.len()),
        any::<(bool, bool)>(),
        (joining, bounded(), any::<u32>(), fees_to, any::<u32>()),
    )
        .prop_map(
            |(nonces, numbers, finality, changeable, flags, names)| Terms {
                nonces,
                stake_min: numbers.0,
                root_interval: numbers.1,
                block_time_us: numbers.2,
                finality,
                changeable: changeable.into_iter().collect(),
                payload_json: flags.0,
                joining: names.0,
                key_age_max: names.1,
                grace_max: names.2,
                fees_to: names.3,
                approvals_min: names.4,
                empty_blocks: flags.1,
            },
        )
}

/// A specification of either version, or one that goes on from such a one.
fn spec() -> impl Strategy<Value = ChainSpec> {
    let next = (first_spec(), spec_fields(), terms(), digest(), digest());
    let next = next.prop_map(|(before, fields, terms, head, state_root)| {
        let predecessor = Predecessor {
            height: before.first_height() - 1 + u64::from(head.0[0]) % 9,
            head: BlockHash(head.0),
            state_root,
            specification: before,
        };
        of_version_2_with(fields, terms, Some(predecessor))
    });
    prop_oneof![first_spec(), next]
}

/// A specification of either version that goes on from no other.
fn first_spec() -> impl Strategy<Value = ChainSpec> {
    let parts = (spec_fields(), prop::option::of(terms()));
    parts.prop_map(|(fields, terms)| match terms {
        Some(terms) => of_version_2_with(fields, terms, None),
        None => ChainSpec::new(fields).unwrap(),
    })
}

fn of_version_2_with(
    mut fields: SpecFields,
    terms: Terms,
    predecessor: Option<Predecessor>,
) -> ChainSpec {
    fields.version = FormatVersion::V2;
    fields.terms = terms;
    if let Some(before) = &predecessor {
        fields.genesis_time = before.specification.genesis_time;
        fields.accounts = BTreeMap::new();
        fields.import = None;
    }
    fields.predecessor = predecessor;
    if let Finality::Depth(depth) = &mut fields.terms.finality {
        // What so many blocks change has to fit into memory.
        let most = FINALITY_BODY_BYTES_MAX / u64::from(fields.limits.body_bytes_max);
        *depth = (*depth).min(u32::try_from(most).unwrap_or(u32::MAX));
    }
    ChainSpec::new(fields).unwrap()
}

/// The fields of a specification of version 1.
fn spec_fields() -> impl Strategy<Value = SpecFields> {
    let limit = |most: u32| prop_oneof![Just(1), Just(most), 1..=most];
    let limits = (
        limit(u32::MAX),
        limit(256 << 20),
        limit(16 << 20),
        64..=1024u32,
        limit(4096),
        any::<u8>(),
    );
    let bounded = || prop_oneof![Just(0), Just(i64::MAX as u64), 0..=i64::MAX as u64];
    let identity = prop_oneof![
        Just(Identity::Open),
        Just(Identity::Pinned),
        Just(Identity::Key)
    ];
    let rules = (identity, any::<u8>(), any::<bool>());
    let numbers = (bounded(), bounded(), bounded(), bounded());
    let authorities = (any::<bool>(), btree_map("[a-m]{1,9}", any::<u64>(), 1..5));
    let accounts = btree_map(
        "[n-zé\u{1F600}]{1,9}",
        (prop::option::of(key()), 0..9u64),
        0..5,
    );
    let import = prop::option::of((name(), 1..=i64::MAX as u64, digest(), digest()));
    let parts = (
        limits,
        rules,
        numbers,
        authorities,
        accounts,
        import,
        name(),
    );
    parts.prop_map(
        |(limits, rules, numbers, sealers, accounts, import, name)| {
            let witnesses_max = limits.5.max(1);
            let accounts = accounts.into_iter().map(|(name, (key, balance))| {
                let balance = if rules.2 && key.is_some() { balance } else { 0 };
                (name, InitialAccount { key, balance })
            });
            let authorities = (0u64..).zip(sealers.1).map(|(place, (name, salt))| {
                let mut key = [0; 32];
                key[..8].copy_from_slice(&place.to_le_bytes());
                key[8..16].copy_from_slice(&salt.to_le_bytes());
                let key = PublicKey::from_bytes(key);
                Authority {
                    name,
                    key,
                    weight: 1,
                }
            });
            SpecFields {
                version: FormatVersion::V1,
                name,
                genesis_time: numbers.0,
                consensus: Consensus::ProofOfAuthority(ProofOfAuthority {
                    authorities: authorities.collect(),
                    round_robin: sealers.0,
                }),
                limits: Limits {
                    transactions_max: limits.0,
                    body_bytes_max: limits.1,
                    payload_bytes_max: limits.2,
                    name_bytes_max: limits.3,
                    clock_entries_max: limits.4,
                    witnesses_max,
                },
                rules: Rules {
                    identity: rules.0,
                    witnesses_min: rules.1.min(witnesses_max),
                    balances: rules.2,
                    fee_min: numbers.1,
                    clock_drift_max_us: numbers.2,
                    clock_advance_max: numbers.3,
                },
                terms: Terms::default(),
                accounts: accounts.collect::<BTreeMap<_, _>>(),
                import: import.map(|(chain, blocks, head, record)| Import {
                    chain,
                    blocks,
                    head,
                    record,
                }),
                predecessor: None,
            }
        },
    )
}

type AccountParts = (u64, u64, Option<[u8; 32]>);

/// The bytes of a snapshot before its checksum.
fn snapshot() -> impl Strategy<Value = Vec<u8>> {
    let accounts = btree_map(name(), any::<AccountParts>(), 0..5);
    let height = prop_oneof![Just(0), Just((1 << 63) - 1), 0..(1u64 << 63) - 1];
    let tip = (any::<[u8; 32]>(), any::<[u8; 32]>(), number(), number());
    let peaks = vec(digest(), 64);
    let parts = (height, tip, clock(), peaks, accounts, "[0-9a-f]{0,128}");
    parts.prop_map(|(height, tip, clock, peaks, accounts, source)| {
        let mut out = b"HLSTATE1".to_vec();
        out.extend_from_slice(&tip.0);
        codec::put_u64(&mut out, height);
        out.extend_from_slice(&tip.1);
        codec::put_u64(&mut out, tip.2);
        codec::put_u64(&mut out, tip.3);
        clock.encode(&mut out);
        codec::put_u64(&mut out, height + 1);
        put_path(&mut out, &peaks[..(height + 1).count_ones() as usize]);
        codec::put_count(&mut out, accounts.len());
        for (name, (nonce, balance, keys)) in accounts {
            codec::put_bytes(&mut out, name.as_bytes());
            codec::put_u64(&mut out, nonce);
            codec::put_u64(&mut out, balance);
            out.push(keys.is_some().into());
            out.extend(keys.into_iter().flatten());
        }
        codec::put_bytes(&mut out, source.as_bytes());
        out
    })
}

/// Behind the checksum, which would refuse every change by itself.
fn snapshot_again(unsummed: &Bytes) -> Option<Vec<u8>> {
    let mut bytes = unsummed.to_vec();
    bytes.extend_from_slice(&sha256(&[unsummed]));
    let mut written = State::decode(&bytes).ok()?.encode();
    written.truncate(written.len() - 32);
    Some(written)
}

fn original_again(bytes: &Bytes) -> Option<Vec<u8>> {
    Some(Original::decode(bytes).ok()?.encode().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn transactions(value in transaction(), changes in changes()) {
        canonical(value.bytes(), transaction_again, changes)?;
    }

    #[test]
    fn headers(value in header(), changes in changes()) {
        canonical(value.bytes(), header_again, changes)?;
    }

    #[test]
    fn seals(value in seal(), changes in changes()) {
        let again: Again = |bytes| Some(Seal::decode(bytes).ok()?.encode());
        canonical(&value.encode(), again, changes)?;
    }

    #[test]
    fn faults(value in evidence(), changes in changes()) {
        let again: Again = |bytes| Some(Evidence::decode(bytes).ok()?.encode());
        canonical(&value.encode(), again, changes)?;
    }

    #[test]
    fn clocks(value in clock(), changes in changes()) {
        let mut bytes = Vec::new();
        value.encode(&mut bytes);
        canonical(&bytes, clock_again, changes)?;
    }

    #[test]
    fn blocks(value in block(), changes in changes()) {
        let bytes = value.encode();
        prop_assert_eq!(&Block::decode(&bytes.clone().into()).unwrap(), &value);
        canonical(&bytes, block_again, changes)?;
    }

    #[test]
    fn specifications(value in spec(), changes in changes()) {
        canonical(value.bytes(), spec_again, changes)?;
    }

    #[test]
    fn proofs(value in proof(), changes in changes()) {
        canonical(&value, proof_again, changes)?;
    }

    #[test]
    fn snapshots(value in snapshot(), changes in changes()) {
        canonical(&value, snapshot_again, changes)?;
    }

    #[test]
    fn originals(
        (id, timestamp, fee, nonce) in (".{1,20}", ".{0,20}", ".{0,20}", ".{0,20}"),
        payload in vec(any::<u8>(), 0..40),
        changes in changes(),
    ) {
        let original = Original {
            transaction_id: &id,
            timestamp: &timestamp,
            fee: &fee,
            nonce: &nonce,
            payload: &payload,
        };
        canonical(&original.encode().unwrap(), original_again, changes)?;
    }
}
