//! Forging proofs: an input is read as a choice of a genuine proof and a list of edits to it, so that what is tried
//! stays close to what a verifier accepts.
//!
//! Each edit is a fixed number of bytes, so that a fuzzer can drop, repeat and reorder them. Half of the edits work on
//! the bytes of the encoding, half on the fields, through the JSON form (which is thereby tried as well). An edit that
//! doesn't apply changes nothing.

use bytes::Bytes;
use hubledger::model::{Header, HeaderFields};
use hubledger::proof::Proof;
use serde_json::{Value, json};

use crate::Chain;

/// Bytes of one edit: what, `u16` where, `u16` with what, one byte more.
pub const EDIT_BYTES: usize = 6;

/// Edits after this many are ignored.
pub const EDITS_MAX: usize = 12;

/// The lists of hashes in a proof's JSON form.
const PATHS: [&str; 4] = ["path", "history", "consistency", "inclusion"];

/// The headers in it.
const HEADERS: [&str; 4] = ["head", "header", "old", "new"];

struct Edit {
    what: u8,
    at: usize,
    with: usize,
    byte: u8,
}

/// The bytes of a forged proof: `input` begins with the number of a genuine one, then come the edits.
#[must_use]
pub fn forge(chain: &Chain, input: &[u8]) -> Vec<u8> {
    let (base, edits) = input.split_first_chunk::<2>().unwrap_or((&[0, 0], &[]));
    let base = u16::from_le_bytes(*base) as usize % chain.proofs.len();
    let mut bytes = chain.proofs[base].bytes.to_vec();
    for edit in edits.chunks_exact(EDIT_BYTES).take(EDITS_MAX) {
        let edit = Edit {
            what: edit[0],
            at: u16::from_le_bytes([edit[1], edit[2]]).into(),
            with: u16::from_le_bytes([edit[3], edit[4]]).into(),
            byte: edit[5],
        };
        if edit.what.is_multiple_of(2) {
            edit_bytes(chain, &mut bytes, &edit);
        } else if let Some(edited) = edit_fields(chain, &bytes, &edit) {
            bytes = edited;
        }
    }
    bytes
}

fn edit_bytes(chain: &Chain, bytes: &mut Vec<u8>, edit: &Edit) {
    if bytes.is_empty() {
        return;
    }
    let at = edit.at % bytes.len();
    let with = edit.with % bytes.len();
    match edit.what / 2 % 8 {
        0 => bytes[at] ^= 1 << (edit.byte % 8),
        1 => bytes[at] = edit.byte,
        2 => bytes.insert(at, edit.byte),
        3 => {
            let end = (at + 1 + usize::from(edit.byte)).min(bytes.len());
            bytes.drain(at..end);
        }
        // Lengths and counts are u32.
        4 => {
            let number = (edit.with as u32).to_le_bytes();
            let end = (at + 4).min(bytes.len());
            bytes[at..end].copy_from_slice(&number[..end - at]);
        }
        // A hash over another.
        5 => {
            let length = 32.min(bytes.len() - at.max(with));
            bytes.copy_within(with..with + length, at);
        }
        6 => bytes.truncate(at),
        // The tail of another genuine proof.
        _ => {
            let other = &chain.proofs[edit.with % chain.proofs.len()].bytes;
            bytes.truncate(at);
            bytes.extend_from_slice(&other[at.min(other.len())..]);
        }
    }
}

fn edit_fields(chain: &Chain, bytes: &[u8], edit: &Edit) -> Option<Vec<u8>> {
    let proof = Proof::decode(&Bytes::copy_from_slice(bytes)).ok()?;
    let mut json: Value = serde_json::from_str(&proof.to_json()).ok()?;
    let other = &chain.proofs[edit.with % chain.proofs.len()].proof;
    let other: Value = serde_json::from_str(&other.to_json()).ok()?;
    match edit.what / 2 % 8 {
        0..=2 => edit_path(&mut json, &other, edit)?,
        3 => json["index"] = json!(edit.with),
        4 => *json.get_mut("id")? = other.get("id")?.clone(),
        5 => *json.get_mut("witness")? = other.get("witness")?.clone(),
        6 => {
            let header = json.get_mut(HEADERS[edit.at % HEADERS.len()])?;
            *header = match edit.byte % 2 {
                0 => other
                    .get(HEADERS[usize::from(edit.byte / 2) % HEADERS.len()])?
                    .clone(),
                _ => json!(hex_of(&edit_header(
                    chain,
                    &bytes_of(header.as_str()?)?,
                    edit
                )?)),
            };
        }
        _ => edit_presence(&mut json, &other, edit)?,
    }
    Some(Proof::from_json(&json.to_string()).ok()?.encode())
}

/// Drops, repeats, swaps, takes or moves nodes of a path.
fn edit_path(json: &mut Value, other: &Value, edit: &Edit) -> Option<()> {
    let name = PATHS[usize::from(edit.byte) % PATHS.len()];
    let foreign = PATHS
        .iter()
        .filter_map(|path| other.get(path)?.get(edit.at % 4))
        .next()
        .cloned();
    let path = json.get_mut(name)?.as_array_mut()?;
    let place = |at: usize| if path.is_empty() { 0 } else { at % path.len() };
    let (at, with) = (place(edit.at), place(edit.with));
    match edit.byte / 4 % 6 {
        0 if !path.is_empty() => drop(path.remove(at)),
        1 if !path.is_empty() => path.insert(with, path[at].clone()),
        2 if !path.is_empty() => path.swap(at, with),
        3 => path.insert(at, foreign?),
        4 if !path.is_empty() => path[at] = foreign?,
        // From the end of one path to the start of another, as though the boundary were elsewhere.
        5 => {
            let node = path.pop()?;
            let next = PATHS[(usize::from(edit.byte) + 1 + edit.at % 3) % PATHS.len()];
            json.get_mut(next)?.as_array_mut()?.insert(0, node);
        }
        _ => {}
    }
    Some(())
}

/// Gives or takes the way from an earlier block to the head, or all fields of another proof but one.
fn edit_presence(json: &mut Value, other: &Value, edit: &Edit) -> Option<()> {
    match edit.byte % 3 {
        0 => {
            let object = json.as_object_mut()?;
            object.remove("header");
            object.remove("history");
        }
        1 => {
            json["header"] = other.get("header")?.clone();
            json["history"] = other.get("history")?.clone();
        }
        _ => {
            let fields = json.as_object()?.len();
            let name = json.as_object()?.keys().nth(edit.at % fields)?.clone();
            let kept = json.get(&name)?.clone();
            *json = other.clone();
            json[name] = kept;
        }
    }
    Some(())
}

/// The header with one field changed, so that the rest of it stays plausible.
fn edit_header(chain: &Chain, bytes: &[u8], edit: &Edit) -> Option<Vec<u8>> {
    let header = Header::decode(Bytes::copy_from_slice(bytes)).ok()?;
    let mut fields: HeaderFields = (*header).clone();
    let other = chain.blocks[edit.with % chain.blocks.len()].header();
    let number = edit.with as u64;
    match edit.at / HEADERS.len() % 10 {
        0 => fields.height = number,
        1 => fields.transaction_count = edit.with as u32,
        2 => fields.merkle_root = other.merkle_root,
        3 => fields.history_root = other.history_root,
        4 => fields.previous_hash = other.previous_hash,
        5 => fields.timestamp = fields.timestamp.wrapping_add(number),
        6 => fields.difficulty = number,
        7 => fields.nonce = number,
        8 => fields.body_size = edit.with as u32,
        _ => fields.vector_clock = other.vector_clock.clone(),
    }
    Some(Header::new(fields).ok()?.bytes().to_vec())
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    hex.as_bytes()
        .chunks_exact(2)
        .map(|pair| Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8))
        .collect()
}
