//! The audit finds what MPREG's rules let pass.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use hubledger_mpreg::{Audit, AuditReport, FindingKind, Source, verify_chain};
use serde_json::json;

use crate::support::{Chain, NOW, data_path, key, sign, spelled, transaction};

fn audit_file(path: &Path, chain: &str) -> AuditReport {
    let source = Source::open(path).expect("opens");
    let config = source
        .chain(chain)
        .expect("there")
        .config
        .clone()
        .expect("sound");
    let mut audit = Audit::new(&config);
    let report = verify_chain(
        &source,
        chain,
        NOW,
        &mut |_, _| ControlFlow::Continue(()),
        Some(&mut audit),
    );
    report
        .expect("readable")
        .verdict
        .expect("an audit is of a valid chain");
    audit.report()
}

fn audit(chain: &Chain) -> AuditReport {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("chain.db");
    chain.write_sqlite(&path);
    audit_file(&path, &chain.id)
}

/// Kinds and counts apart from the negative balances that every MPREG chain has.
fn counts(report: &AuditReport) -> BTreeMap<String, u64> {
    let word = |kind| {
        serde_json::to_value(kind)
            .expect("a word")
            .as_str()
            .expect("text")
            .to_owned()
    };
    report
        .findings
        .iter()
        .filter(|finding| finding.kind != FindingKind::NegativeBalances)
        .map(|finding| (word(finding.kind), finding.count))
        .collect()
}

/// Spoils a signed chain of five blocks with four transactions each, and compares the only finding.
fn expect(kind: &str, count: u64, spoil: impl FnOnce(&mut Chain)) -> AuditReport {
    let mut chain = Chain::valid(5, 4, true);
    spoil(&mut chain);
    let report = audit(&chain);
    assert_eq!(counts(&report), BTreeMap::from([(kind.to_owned(), count)]));
    report
}

#[test]
fn a_sound_signed_chain_has_no_findings_but_its_balances() {
    let report = audit(&Chain::valid(5, 4, true));
    assert_eq!((report.blocks, report.transactions), (5, 16));
    assert_eq!(counts(&report), BTreeMap::new());
    assert!(report.count(FindingKind::NegativeBalances) > 0);
}

#[test]
fn replayed_transactions_are_found_in_later_blocks_and_in_the_same() {
    let report = expect("replayed_transactions", 2, |chain| {
        let again = chain.transaction(1, 2).clone();
        *chain.transaction(3, 0) = again.clone();
        *chain.transaction(3, 1) = again;
        chain.relink(3);
    });
    let places: Vec<_> = report.findings[0]
        .occurrences
        .iter()
        .map(|p| (p.height, p.transaction))
        .collect();
    assert_eq!(places, [(Some(3), Some(0)), (Some(3), Some(1))]);
}

#[test]
fn a_senders_second_key_is_found_once() {
    expect("senders_with_several_keys", 1, |chain| {
        for (height, seed) in [(2, 50), (3, 51), (4, 52)] {
            chain.transaction(height, 0)["sender"] = "sender-0".into();
            sign(chain.transaction(height, 0), &key(seed));
        }
        chain.relink(2);
    });
}

#[test]
fn unsigned_transactions_are_counted_and_the_first_ten_listed() {
    let report = audit(&Chain::valid(5, 4, false));
    assert_eq!(report.count(FindingKind::UnsignedTransactions), 16);
    let finding = &report.findings[0];
    assert_eq!(
        (finding.kind, finding.occurrences.len()),
        (FindingKind::UnsignedTransactions, 10)
    );
}

#[test]
fn delimiters_in_names_and_the_collision_that_they_allow_are_found() {
    let mut chain = Chain::valid(3, 2, true);
    let template = transaction(70);
    for (index, receiver, sender) in [(0, "r:sender=s", "t"), (1, "r", "s:sender=t")] {
        let transaction = chain.transaction(2, index);
        *transaction = template.clone();
        transaction["receiver"] = receiver.into();
        transaction["sender"] = sender.into();
        sign(transaction, &key(1));
    }
    chain.relink(2);
    let expected = [
        ("replayed_transactions", 1),
        ("signing_bytes_collisions", 1),
        ("delimiters_in_names", 2),
    ];
    let expected = expected.map(|(kind, count)| (kind.to_owned(), count));
    assert_eq!(counts(&audit(&chain)), BTreeMap::from(expected));
    expect("delimiters_in_names", 1, |chain| {
        chain.transaction(3, 1)["receiver"] = "a=b".into();
        sign(chain.transaction(3, 1), &key(2));
        let sender = chain.transaction(3, 1)["sender"].clone();
        let owner = sender.as_str().expect("text")["sender-".len()..]
            .parse::<u8>()
            .expect("a digit");
        sign(chain.transaction(3, 1), &key(owner + 1));
        chain.relink(3);
    });
}

#[test]
fn a_hash_shared_by_two_ids_is_found() {
    expect("transaction_hash_collisions", 1, |chain| {
        let mut other = chain.transaction(1, 2).clone();
        other["transaction_id"] = "another".into();
        other["fee"] = json!(1_000_000);
        let owner = other["nonce"].as_u64().expect("a seed") % 5;
        sign(&mut other, &key(owner as u8 + 1));
        *chain.transaction(3, 0) = other;
        chain.relink(3);
    });
}

#[test]
fn claimed_work_without_leading_zeros_is_found() {
    let report = expect("work_not_backed", 2, |chain| {
        // No hash of these blocks begins with so many zeros.
        chain.blocks[2]["difficulty"] = json!(1_u64 << 40);
        chain.blocks[3]["difficulty"] = spelled("100000000000000000000000000000000000000000000");
    });
    assert_eq!(report.findings[0].occurrences[0].height, Some(2));
}

#[test]
fn proof_of_work_chains_need_zeros_in_every_hash_but_the_first() {
    let mut chain = Chain::valid(4, 1, true);
    chain.consensus["consensus_type"] = "proof_of_work".into();
    assert_eq!(audit(&chain).count(FindingKind::ProofOfWorkMissing), 3);
    let report = audit_file(&data_path("federation.db"), "pow_chain");
    assert_eq!(report.count(FindingKind::ProofOfWorkMissing), 0);
}

#[test]
fn recorded_hashes_and_columns_that_differ_are_found() {
    expect("recorded_hash_mismatch", 3, |chain| {
        // Column and text agree with each other and with nothing else.
        chain.blocks[2]["block_hash"] = "00".repeat(32).into();
        chain.transaction(3, 1)["hash"] = "".into();
    });
    let chain = Chain::valid(3, 1, true);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("chain.db");
    chain.write_sqlite(&path);
    let connection = rusqlite::Connection::open(&path).expect("opens");
    let edit = "UPDATE blocks SET height = 9, timestamp = 1.5 WHERE height = 2";
    connection.execute(edit, []).expect("updates");
    drop(connection);
    assert_eq!(
        audit_file(&path, "made").count(FindingKind::RecordedHashMismatch),
        2
    );
}

#[test]
fn blocks_over_the_chains_limit_are_found() {
    expect("blocks_over_limit", 4, |chain| {
        chain.consensus["max_transactions_per_block"] = json!(3);
    });
}

#[test]
fn balances_below_zero_are_found_and_huge_fees_survived() {
    let mut chain = Chain::valid(2, 2, false);
    for index in 0..2 {
        let mut rich = transaction(index as u64);
        rich["fee"] = spelled(&"9".repeat(60));
        rich["sender"] = "rich".into();
        rich["receiver"] = "rich".into();
        *chain.transaction(1, index) = rich;
    }
    chain.relink(1);
    let report = audit(&chain);
    assert_eq!(report.count(FindingKind::NegativeBalances), 1);
    let place = report
        .findings
        .last()
        .and_then(|f| f.occurrences.first())
        .expect("a place")
        .clone();
    assert!(place.detail.contains("128 bits"), "{place:?}");
    assert_eq!(place.height, None);
}

#[test]
fn federation_chains_show_their_holes() {
    let report = audit_file(&data_path("federation.db"), "message_routing");
    assert!(report.count(FindingKind::DelimitersInNames) > 0);
    assert!(report.count(FindingKind::WorkNotBacked) > 0);
    assert_eq!(report.count(FindingKind::RecordedHashMismatch), 0);
    assert_eq!(report.count(FindingKind::ReplayedTransactions), 0);
    let json = serde_json::to_value(&report).expect("serialises");
    assert_eq!(json["findings"][0]["kind"], "delimiters_in_names");
}
