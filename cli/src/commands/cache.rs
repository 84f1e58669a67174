//! `cache`: what stands at each key of a common cache.

use hubledger::sparse::PathError;
use hubledger_services::cache::{Cache, CacheProof, CacheView};
use hubledger_storage::RangeLimit;
use serde_json::{Value, json};

use super::views::{as_of, look};
use super::{read_file, write_new};
use crate::args::{CacheCommand, CacheKey, CacheProve, CacheSince, CacheVerify};
use crate::failure::{Failure, Result};
use crate::output::Output;

/// Bytes of values in one answer, at most.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// No proof is longer.
const PROOF_BYTES_MAX: u64 = 16 << 10;
/// So many of the last checkpoints are looked at.
const VOUCHING_MAX: usize = 1000;

pub(crate) fn cache(command: &CacheCommand, output: &Output) -> Result {
    match command {
        CacheCommand::Get(args) => get(args, output),
        CacheCommand::Since(args) => since(args, output),
        CacheCommand::Prove(args) => prove(args, output),
        CacheCommand::Verify(args) => verify(args, output),
    }
}

fn get(args: &CacheKey, output: &Output) -> Result {
    let (snapshot, _) = look(&args.viewed, Box::new(CacheView))?;
    let cache = Cache::new(snapshot);
    let entry = cache.entry(&args.namespace, &args.key)?;
    let has_value = entry.as_ref().is_some_and(|entry| entry.value.is_some());
    output.print(&json!({
        "as_of": as_of(cache.as_of()),
        "namespace": args.namespace,
        "key": args.key,
        "entry": entry.map(|entry| entry.to_json()),
    }));
    match has_value {
        true => Ok(()),
        false => Err(Failure::Negative),
    }
}

fn since(args: &CacheSince, output: &Output) -> Result {
    let (snapshot, _) = look(&args.viewed, Box::new(CacheView))?;
    let cache = Cache::new(snapshot);
    let limit = RangeLimit {
        rows: args.limit.max(1),
        bytes: ANSWER_BYTES_MAX,
    };
    let missed = cache.since(&args.namespace, (args.from, args.index), limit)?;
    let entries = missed.entries.iter().map(|(key, entry)| {
        let mut said = json!({ "key": key });
        crate::describe::extend(&mut said, entry.to_json());
        said
    });
    output.print(&json!({
        "as_of": as_of(cache.as_of()),
        "namespace": args.namespace,
        "entries": entries.collect::<Vec<_>>(),
        "next": place(missed.next),
    }));
    Ok(())
}

/// Where to go on.
pub(super) fn place(next: Option<(u64, u32)>) -> Value {
    next.map_or(
        Value::Null,
        |(height, index)| json!({ "height": height, "index": index }),
    )
}

fn prove(args: &CacheProve, output: &Output) -> Result {
    let (snapshot, _) = look(&args.of.viewed, Box::new(CacheView))?;
    let cache = Cache::new(snapshot);
    let (namespace, key) = (&args.of.namespace, &args.of.key);
    let tree = cache.tree()?;
    let root = tree.root();
    let proof = tree.prove(namespace, key);
    let proof = proof.ok_or_else(|| Failure::message("it can be no namespace or no key"))?;
    let height = cache.as_of().map_or(0, |as_of| as_of.height);
    let limit = RangeLimit {
        rows: VOUCHING_MAX,
        bytes: ANSWER_BYTES_MAX,
    };
    let checkpoints = cache.checkpoints(0..height.saturating_add(1), limit)?;
    let vouching = checkpoints.iter().filter(|one| one.root == root);
    let vouching = vouching
        .map(|one| json!({ "sender": one.sender, "height": one.height, "id": one.recorded.id }));
    let vouching: Vec<Value> = vouching.collect();
    let mut about = proven(&proof, &proof.verify(&root).map_err(Failure::message)?);
    write_new(&args.out, &proof.encode())?;
    let more = json!({
        "root": root,
        "as_of": as_of(cache.as_of()),
        "vouching": vouching,
        "out": args.out.display().to_string(),
    });
    crate::describe::extend(&mut about, more);
    output.print(&about);
    Ok(())
}

fn verify(args: &CacheVerify, output: &Output) -> Result {
    let place = args.proof.display();
    let bytes = read_file(&args.proof, PROOF_BYTES_MAX)?;
    let proof = CacheProof::decode(&bytes);
    let proof = proof.map_err(|error| Failure::message(format!("{place}: {error}")))?;
    let verdict: std::result::Result<_, PathError> = proof.verify(&args.root);
    match verdict {
        Ok(standing) => {
            let mut about = json!({ "verdict": "valid" });
            crate::describe::extend(&mut about, proven(&proof, &standing));
            output.print(&about);
            Ok(())
        }
        Err(error) => {
            output.print(&json!({ "verdict": "invalid", "detail": error.to_string() }));
            Err(Failure::InvalidVerdict)
        }
    }
}

/// What a proof proves.
fn proven(proof: &CacheProof, standing: &Option<hubledger_services::cache::Standing>) -> Value {
    let (namespace, key) = proof.key();
    let standing = standing.map(|standing| {
        json!({
            "is_value": standing.is_value,
            "height": standing.recorded.height,
            "index": standing.recorded.index,
            "id": standing.recorded.id,
        })
    });
    json!({ "namespace": namespace, "key": key, "standing": standing })
}
