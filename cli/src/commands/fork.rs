//! `fork show`, `fork at`, `fork resolve` and `fork offer`: branches of a chain whose last blocks can be replaced.

use std::path::Path;
use std::sync::Arc;

use hubledger::blockfile::BlockFileReader;
use hubledger::clock::{Clock, SystemClock};
use hubledger::ledger::{ChainChange, ChainReader, Ledger, Placement, Resolved};
use hubledger::model::Block;
use hubledger::rejection::{Fault, Reason, Rejected};
use hubledger::tree::{Branch, ForkTree, Source};
use serde_json::{Map, Value, json};

use crate::args::{ForkAt, ForkOffer, ForkResolve, ForkShow};
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::transactions::{fault_of, in_file};

pub(crate) fn show(args: &ForkShow, output: &Output) -> Result {
    let reader = ChainReader::open(args.store.open_read_only()?)?;
    let tree = reader.fork_tree(SystemClock.now_us())?;
    let branches = tree.branches().into_iter().map(|side| {
        let mut value = branch(&side.branch);
        value["common"] = side.common.into();
        value
    });
    output.document(&json!({
        "chain": reader.spec().id(),
        "final": tree.final_height(),
        "best": branch(&tree.best()),
        "branches": branches.collect::<Vec<_>>(),
    }));
    if !output.is_json() {
        output.raw(tree.draw().as_bytes());
    }
    Ok(())
}

pub(crate) fn at(args: &ForkAt, output: &Output) -> Result {
    let reader = ChainReader::open(args.store.open_read_only()?)?;
    let tree = reader.fork_tree(SystemClock.now_us())?;
    let height = args.height;
    let blocks = match tree.fork_at(height) {
        found if found.is_empty() && height < tree.final_height() => {
            // What is final has no rivals.
            let hash = reader.hash_at(height)?;
            let only = json!({ "hash": hash, "is_in_chain": true, "is_final": true });
            vec![only]
        }
        found => found.iter().map(|block| described(&tree, block)).collect(),
    };
    let is_known = !blocks.is_empty();
    output.print(&json!({ "height": height, "blocks": blocks }));
    if is_known {
        Ok(())
    } else {
        Err(Failure::Negative)
    }
}

fn described(tree: &ForkTree, block: &Branch) -> Value {
    let aside = tree.side_block(&block.head);
    let mut value = json!({
        "hash": block.head,
        "is_in_chain": aside.is_none(),
        "is_final": block.height <= tree.final_height(),
        "weight": block.weight.0.to_string(),
    });
    if let Some(aside) = aside {
        value["producer"] = aside.header().producer.as_str().into();
        value["timestamp"] = aside.header().timestamp.into();
        value["transactions"] = aside.header().transaction_count.into();
    }
    value
}

pub(crate) fn resolve(args: &ForkResolve, output: &Output) -> Result {
    let stop = output.stop();
    stop.in_order();
    let other = ChainReader::open(args.from.open_read_only()?)?;
    let mut ledger = Ledger::open(args.store.open()?, Arc::new(SystemClock))?;
    let source = Source::of(&args.from.to_string());
    let resolved = ledger.resolve(&other, source, &mut |_| stop.flow())?;
    tell(&args.store.to_string(), ledger, resolved, output)
}

pub(crate) fn offer(args: &ForkOffer, output: &Output) -> Result {
    output.stop().in_order();
    let mut ledger = Ledger::open(args.store.open()?, Arc::new(SystemClock))?;
    let mut resolved = Resolved::default();
    for path in &args.files {
        offer_file(path, &mut ledger, &mut resolved, output)?;
        if resolved.refused.is_some() {
            break;
        }
    }
    tell(&args.store.to_string(), ledger, resolved, output)
}

/// Offers the blocks of a file up to the first that is refused.
fn offer_file(
    path: &Path,
    ledger: &mut Ledger,
    resolved: &mut Resolved,
    output: &Output,
) -> Result {
    let mut file = BlockFileReader::open(path)?;
    if !ledger.spec().includes(file.spec()) {
        let (found, held) = (file.spec().id(), ledger.spec().id());
        let detail = format!("of chain {found}, the store has {held}");
        let fault = in_file(path, Fault::new(Reason::Chain, detail));
        return Err(Failure::refused(fault));
    }
    let source = Source::of(&path.display().to_string());
    while let Some((offset, bytes)) = file.next_block()? {
        if output.stop().is_asked() {
            let offered = resolved.offered;
            let detail = format!("{offered} blocks were offered; start it again to go on");
            return Err(output.stop().failure(detail, Map::new()));
        }
        let place = |detail: &str| format!("{}: byte {offset}: {detail}", path.display());
        let block = match Block::decode(&bytes) {
            Ok(block) => block,
            Err(error) => {
                let fault = fault_of(&error);
                return Err(Failure::refused(Fault::new(
                    fault.reason,
                    place(&fault.detail),
                )));
            }
        };
        let offer = ledger.offer(&block, source)?;
        resolved.changes.extend(offer.changes);
        match offer.placement {
            Placement::Refused(rejected) => {
                let detail = place(&rejected.detail);
                resolved.refused = Some(Rejected { detail, ..rejected });
                return Ok(());
            }
            Placement::Known => {}
            Placement::InChain | Placement::Aside | Placement::Orphan | Placement::NoRoom => {
                resolved.offered += 1;
            }
        }
    }
    Ok(())
}

/// Closes the ledger, and says what became of its chain.
fn tell(store: &str, mut ledger: Ledger, resolved: Resolved, output: &Output) -> Result {
    let tree = ledger.fork_tree()?;
    let mut document = json!({
        "store": store,
        "offered": resolved.offered,
        "changes": resolved.changes.iter().map(change).collect::<Vec<_>>(),
        "final": tree.final_height(),
        "best": branch(&tree.best()),
        "branches": tree.branches().len(),
        "orphans": tree.orphans(),
    });
    if let Some(alarm) = &resolved.alarm {
        document["alarm"] = json!({
            "height": alarm.height,
            "held": alarm.held,
            "offered": alarm.offered,
            "halts": alarm.halts(),
            "detail": alarm.to_string(),
        });
    }
    ledger.close()?;
    match resolved.refused {
        None => {
            output.print(&document);
            Ok(())
        }
        Some(rejected) => {
            let beside = document.as_object_mut().map(std::mem::take);
            Err(Failure::Invalid(rejected, beside.unwrap_or_default()))
        }
    }
}

fn branch(branch: &Branch) -> Value {
    json!({
        "head": branch.head,
        "height": branch.height,
        // Beyond what many readers of JSON take as a number.
        "weight": branch.weight.0.to_string(),
    })
}

fn change(change: &ChainChange) -> Value {
    json!({
        "common": change.common,
        "reverted": change.reverted,
        "committed": change.committed,
    })
}
