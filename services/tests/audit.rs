//! The audit against a naive one, and the log of what is not on the chain.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;

use hubledger::digest::{Digest, TransactionId};
use hubledger::engine::Engine;
use hubledger::ledger::Placement;
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger::model::{Block, Draft, Operation, Transaction};
use hubledger::payload::{Approve, Attest, Leave, MARK, Payload, Retract, Revoke};
use hubledger::rejection::{Reason, Rejected};
use hubledger::testing::{Chain, Numbers, clock, reopenable};
use hubledger::tree::Source;
use hubledger_services::audit::{
    Act, Audit, AuditFilter, AuditLine, AuditView, LocalAct, LocalError, LocalLog,
    REJECTIONS_A_MINUTE, Watch,
};
use hubledger_services::payload::Fields;
use hubledger_services::registry::{Heartbeat, RegistryPayload};
use hubledger_services::route::{MessageForward, RoutePayload};
use hubledger_services::testing::{Trial, made_anew, memory};
use hubledger_services::view::Snapshot;
use hubledger_storage::StoreUrl;

const NAMES: [&str; 3] = ["hub-a", "hub-b", "hub-ab"];

fn said(numbers: &mut Numbers) -> Payload {
    let name = || "hub-b".to_owned();
    match numbers.below(5) {
        0 => Payload::Revoke(Revoke),
        1 => Payload::Leave(Leave),
        2 => Payload::Attest(Attest {
            subject: name(),
            keys: Digest([1; 32]),
            purpose: "membership".to_owned(),
            expiry: 0,
        }),
        3 => Payload::Retract(Retract {
            subject: name(),
            purpose: "membership".to_owned(),
        }),
        _ => Payload::Approve(Approve {
            proposer: name(),
            proposal: TransactionId([2; 32]),
        }),
    }
}

/// A heartbeat or a hop, in one of both forms.
fn passing(numbers: &mut Numbers) -> Vec<u8> {
    let beat = RegistryPayload::Heartbeat(Heartbeat::default());
    let hop = RoutePayload::MessageForward(MessageForward {
        original_message_id: TransactionId([3; 32]),
        hop_number: 0,
        timestamp: 0,
        next_hop: None,
    });
    match numbers.below(4) {
        0 => beat.encode(),
        1 => beat.to_json().into_bytes(),
        2 => hop.encode(),
        _ => hop.to_json().into_bytes(),
    }
}

/// In histories: what their chains let anybody do, in any order.
fn speak(numbers: &mut Numbers, chain: &Chain) -> Draft {
    let mut draft = chain.draft(NAMES[numbers.below(3) as usize], 1);
    draft.operation = OPERATIONS[numbers.below(6) as usize];
    match numbers.below(8) {
        0 | 1 => draft.payload = [&MARK[..], &[6, 0, 1]].concat(),
        2 | 3 => draft.payload = passing(numbers),
        // What resembles a heartbeat and a hop, but is none.
        4 => draft.payload = [&MARK[..], &[40, 0]].concat(),
        5 => draft.payload = b"{\"action\":\"message_forward\"}".to_vec(),
        _ => {}
    }
    draft
}

const OPERATIONS: [Operation; 6] = [
    Operation::Message,
    Operation::FederationJoin,
    Operation::FederationLeave,
    Operation::NodeRegister,
    Operation::NodeUpdate,
    Operation::ConsensusVote,
];

/// A chain of version 1, to which payloads say nothing, so that all may be said.
fn talkative(seed: u64) -> Chain {
    let (mut numbers, mut chain) = (Numbers(seed), Chain::new(1, |_| {}));
    for nonce in 1..200 {
        let said = said(&mut numbers);
        let mut draft = speak(&mut numbers, &chain);
        if numbers.below(4) > 0 {
            draft.operation = said.operations()[0];
            draft.payload = match numbers.below(2) {
                0 => said.to_json().into_bytes(),
                _ => said.encode(),
            };
        }
        draft.nonce = nonce;
        let signer = hubledger::testing::key(&draft.sender);
        chain.extend(&[draft.sign(&[&signer]).unwrap()]);
    }
    chain
}

#[test]
fn what_payloads_say_is_told_of() {
    for seed in 0..4 {
        let chain = talkative(seed);
        compare(&chain.blocks, &made_anew(&chain, Box::new(AuditView), 0));
    }
}

/// What every line says: place, word, actor, subject.
type Told = ((u64, u32), &'static str, String, String);

fn naive(blocks: &[Block]) -> Vec<Told> {
    let mut all = Vec::new();
    for block in blocks {
        for (index, transaction) in (0..).zip(block.transactions()) {
            let payload = Payload::of(transaction, true);
            let word = match (&payload, transaction.operation()) {
                (Some(payload), _) => payload.word(),
                (None, Operation::FederationJoin) => "join",
                (None, Operation::FederationLeave) => "leave",
                (None, Operation::NodeRegister) => "register",
                (None, Operation::NodeUpdate) if is_passing(transaction) => continue,
                (None, Operation::NodeUpdate) => "update",
                (None, Operation::ConsensusVote) => "vote",
                _ => continue,
            };
            let subject = match payload {
                Some(Payload::Attest(said)) => said.subject,
                Some(Payload::Retract(said)) => said.subject,
                Some(Payload::Approve(said)) => said.proposer,
                _ => String::new(),
            };
            let place = (block.height(), index);
            all.push((place, word, transaction.sender().to_owned(), subject));
        }
    }
    all
}

fn is_passing(transaction: &Transaction) -> bool {
    let beats =
        RegistryPayload::of_transaction(transaction).is_some_and(|said| said.word() == "heartbeat");
    let hops = RoutePayload::of_transaction(transaction)
        .is_some_and(|said| said.word() == "message_forward");
    beats || hops
}

fn told(line: &AuditLine) -> Told {
    let place = (line.recorded.height, line.recorded.index);
    (
        place,
        line.act.word(),
        line.actor.clone(),
        line.subject.clone(),
    )
}

fn filters() -> Vec<AuditFilter> {
    let mut filters = vec![AuditFilter::default()];
    filters.extend(NAMES.map(|name| AuditFilter {
        actor: Some(name.to_owned()),
        ..AuditFilter::default()
    }));
    filters.extend(Act::ALL.iter().map(|act| AuditFilter {
        acts: vec![*act],
        ..AuditFilter::default()
    }));
    filters.push(AuditFilter {
        acts: vec![Act::Attest, Act::Join],
        actor: None,
        subject: Some("hub-b".to_owned()),
    });
    filters
}

fn passes(filter: &AuditFilter, (_, word, actor, subject): &Told) -> bool {
    (filter.acts.is_empty() || filter.acts.iter().any(|act| act.word() == *word))
        && filter.actor.as_ref().is_none_or(|wanted| wanted == actor)
        && filter
            .subject
            .as_ref()
            .is_none_or(|wanted| wanted == subject)
}

fn compare(blocks: &[Block], snapshot: &Snapshot) {
    let (audit, all) = (Audit::new(snapshot.clone()), naive(blocks));
    let (from, below) = (3, 150);
    for filter in filters() {
        for most in [2, 1000] {
            let (mut found, mut next) = (Vec::new(), Some((from, 0)));
            while let Some(place) = next {
                let lines = audit.lines(&filter, place, below, most).unwrap();
                assert!(lines.lines.len() <= most);
                found.extend(lines.lines.iter().map(told));
                next = lines.next;
            }
            let mut expected = all.clone();
            expected.retain(|line| (from..below).contains(&line.0.0) && passes(&filter, line));
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn whatever_happens_to_the_chain_the_audit_is_what_a_naive_one_is() {
    for seed in 0..30 {
        let trial = Trial {
            view: &|| Box::new(AuditView),
            store: &memory(),
            speak: &speak,
            naive: &compare,
        };
        trial.run(seed, 40);
    }
}

#[test]
fn the_same_in_a_store_with_files() {
    for seed in 0..2 {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("log:{}", folder.path().join("views").display());
        let url: StoreUrl = url.parse().unwrap();
        let trial = Trial {
            view: &|| Box::new(AuditView),
            store: &|| url.open_or_create().unwrap(),
            speak: &speak,
            naive: &compare,
        };
        trial.run(seed, 30);
    }
}

#[test]
fn heartbeats_and_hops_are_no_acts_and_what_resembles_them_is_an_update() {
    let mut chain = Chain::new(1, |_| {});
    let payloads = [
        RegistryPayload::Heartbeat(Heartbeat::default()).encode(),
        b"{\"action\":\"heartbeat\",\"load_percent\":900}".to_vec(),
        passing(&mut Numbers(0)),
        Vec::new(),
    ];
    for (nonce, payload) in (1..).zip(payloads) {
        let said = chain.signed("hub-a", nonce, |draft| {
            draft.operation = Operation::NodeUpdate;
            draft.payload = payload;
        });
        chain.extend(&[said]);
    }
    let audit = Audit::new(made_anew(&chain, Box::new(AuditView), 0));
    let filter = AuditFilter::default();
    let lines = audit.lines(&filter, (0, 0), u64::MAX, 10).unwrap().lines;
    let heights: Vec<_> = lines.iter().map(|line| line.recorded.height).collect();
    assert_eq!(heights, [2, 4]);
    assert!(lines.iter().all(|line| line.act == Act::Update));
}

#[test]
fn each_line_is_proved_to_whoever_has_a_head_hash() {
    let mut chain = Chain::new(1, |_| {});
    let join = chain.signed("hub-a", 1, |draft| {
        draft.operation = Operation::FederationJoin;
    });
    chain.extend(std::slice::from_ref(&join));
    chain.extend(&[chain.message("hub-b", 1)]);
    let audit = Audit::new(made_anew(&chain, Box::new(AuditView), 0));
    let lines = audit
        .lines(&AuditFilter::default(), (0, 0), u64::MAX, 10)
        .unwrap();
    let [line] = lines.lines.as_slice() else {
        panic!("{lines:?}")
    };
    let proof = line.recorded.prove(&chain.ledger().reader(), None).unwrap();
    assert_eq!(proof.verify(&chain.last().hash()).unwrap().id, join.id());
    assert_eq!(line.to_json()["source"], "chain");
}

fn acts() -> [LocalAct; 3] {
    let rejected = Rejected::block(7, Reason::Seal, "no \"seal\"\n".repeat(200));
    [
        LocalAct::rejected("mallory", &rejected),
        LocalAct::Pruned {
            bodies_below: 5,
            index_below: 3,
            headers_below: 0,
        },
        LocalAct::Other {
            act: "start".to_owned(),
            detail: "ü".repeat(400),
        },
    ]
}

#[test]
fn a_local_log_goes_on_where_it_was_left_and_loses_only_a_line_that_was_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let mut lengths = vec![0];
    let mut log = LocalLog::open(&path).unwrap();
    for (time, act) in (1..).zip(acts()) {
        log.append(time, &act).unwrap();
        lengths.push(fs::metadata(&path).unwrap().len());
    }
    let last = log.last();
    drop(log);
    assert_eq!(LocalLog::open(&path).unwrap().last(), last);
    let whole = fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let log = LocalLog::open(&path).unwrap();
        let lines = lengths
            .iter()
            .filter(|length| **length <= cut as u64)
            .count()
            - 1;
        assert_eq!(log.lines(), lines as u64);
        assert_eq!(fs::metadata(&path).unwrap().len(), lengths[lines]);
    }
    let mut log = LocalLog::open(&path).unwrap();
    log.append(9, &acts()[0]).unwrap();
    let mut words = Vec::new();
    let read = LocalLog::read(&path, &mut |line| words.push(line.act)).unwrap();
    assert_eq!(
        (words, read),
        (
            vec!["reject".into(), "prune".into(), "reject".to_owned()],
            log.last()
        )
    );
}

#[test]
fn a_line_that_was_changed_or_taken_out_shows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let mut log = LocalLog::open(&path).unwrap();
    for act in acts() {
        log.append(1, &act).unwrap();
    }
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let without = [lines[0], lines[2], ""].join("\n");
    let changed = text.replace("mallory", "alice");
    for (text, line) in [(without, 2), (changed, 2), (format!("[]\n{text}"), 1)] {
        fs::write(&path, text).unwrap();
        let outcome = LocalLog::open(&path);
        assert!(matches!(outcome, Err(LocalError::Damaged { line: at, .. }) if at == line));
    }
}

#[test]
fn what_an_engine_refuses_and_prunes_is_written_down_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let mut chain = Chain::new(1, |_| {});
    for nonce in 1..=8 {
        let message = chain.signed("hub-a", nonce, |_| {});
        chain.extend(&[message]);
    }
    let engine = Engine::builder().threads(1).clock(clock(u64::MAX >> 1));
    let engine = engine
        .create(reopenable().open().unwrap(), chain.spec())
        .unwrap();
    let log = LocalLog::open(&path).unwrap();
    let watch = Watch::start(&engine, log, clock(5_000_000)).unwrap();
    let forged = chain.forged(&[], |header| header.history_root.0[0] ^= 1);
    let producer = forged.header().producer.clone();
    for block in &chain.blocks[1..] {
        engine.offer_branch(block, Source::of("peer")).unwrap();
    }
    for _ in 0..REJECTIONS_A_MINUTE + 7 {
        let offered = engine.offer_branch(&forged, Source::of("peer")).unwrap();
        assert!(matches!(offered.placement, Placement::Refused(_)));
    }
    let keep = PrunePolicy::of_bodies(Keep::Last(2));
    let report = engine.prune(keep, None).unwrap();
    engine.shutdown().unwrap();
    let log = watch.finish().unwrap();
    let mut lines = Vec::new();
    let last = LocalLog::read(&path, &mut |line| lines.push(line)).unwrap();
    assert_eq!(last, log.last());
    let fields = |at: usize| Fields::read(lines[at].text.as_bytes()).unwrap();
    for (at, line) in lines[..REJECTIONS_A_MINUTE as usize].iter().enumerate() {
        assert_eq!(line.act, "reject");
        assert_eq!(fields(at).text("producer", 64), Some(&*producer));
        assert_eq!(fields(at).text("reason", 64), Some("history_root"));
    }
    let pruned = fields(REJECTIONS_A_MINUTE as usize);
    assert_eq!(pruned.text("act", 64), Some("prune"));
    let below = pruned
        .value("bodies_below")
        .and_then(|value| value.as_u64());
    assert_eq!(below, Some(report.bodies.floor));
    let rest = fields(lines.len() - 1);
    let detail = rest.text("detail", 128).unwrap().to_owned();
    assert!(detail.starts_with("7 more blocks"), "{detail}");
    assert_eq!(lines.len(), REJECTIONS_A_MINUTE as usize + 2);
}
