//! `route`: which way messages took, and the best way.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use hubledger::digest::TransactionId;
use hubledger_services::route::{
    Aim, Path as Way, RECEIPT_BYTES_MAX, Receipt, ReceiptError, RouteView, Routes, Search,
};
use hubledger_storage::RangeLimit;
use serde_json::{Value, json};

use super::views::{as_of, look};
use crate::args::{RouteCommand, RoutePath, RouteReceipt, RouteSearch, RouteShow, RouteVerify};
use crate::failure::{Failure, Result};
use crate::input;
use crate::output::Output;

pub(crate) fn route(command: &RouteCommand, output: &Output) -> Result {
    match command {
        RouteCommand::Show(args) => show(args, output),
        RouteCommand::Path(args) => path(args, output),
        RouteCommand::Cheapest(args) => search(args, Aim::Cheapest, output),
        RouteCommand::Fastest(args) => search(args, Aim::Fastest, output),
        RouteCommand::Receipt(args) => receipt(args, output),
        RouteCommand::Verify(args) => verify(args, output),
    }
}

fn show(args: &RouteShow, output: &Output) -> Result {
    let (snapshot, _) = look(&args.viewed, Box::new(RouteView))?;
    let routes = Routes::new(snapshot);
    let way = way(&routes, &args.message)?;
    let limit = RangeLimit {
        rows: args.limit,
        bytes: usize::MAX,
    };
    let claims = routes.claims(&args.message, None, limit)?;
    let claims: Vec<Value> = claims
        .iter()
        .map(|claim| {
            let mut about = json!({ "verdict": way.judge(claim).word() });
            crate::describe::extend(&mut about, json!(claim));
            about
        })
        .collect();
    output.print(&json!({
        "as_of": as_of(routes.as_of()),
        "message": way.id,
        "sent": way.message,
        "delivered": way.is_delivered(),
        "claims": claims,
    }));
    Ok(())
}

fn path(args: &RoutePath, output: &Output) -> Result {
    let (snapshot, _) = look(&args.viewed, Box::new(RouteView))?;
    let routes = Routes::new(snapshot);
    let way = way(&routes, &args.message)?;
    let hops: Vec<Value> = way
        .hops
        .iter()
        .map(|hop| {
            json!({
                "hop": hop.number,
                "node": hop.node,
                "verdict": way.judge(hop).word(),
                "latency_us": way.latency(hop.number),
                "height": hop.place.height,
                "index": hop.place.index,
                "id": hop.id,
            })
        })
        .collect();
    let missing = routes.missing(&way)?.into_iter();
    let missing: Vec<Value> = missing
        .map(|(hop, node)| json!({ "hop": hop, "node": node }))
        .collect();
    output.print(&json!({
        "as_of": as_of(routes.as_of()),
        "message": way.id,
        "delivered": way.is_delivered(),
        "latency_us": way.total_latency(),
        "fee": way.message.fee,
        "fee_per_hop": way.fee_per_hop(),
        "hops": hops,
        "missing": missing,
    }));
    Ok(())
}

fn way(routes: &Routes, message: &TransactionId) -> Result<Way> {
    let way = routes.path(message)?;
    way.ok_or_else(|| Failure::message(ReceiptError::Unknown(*message)))
}

fn search(args: &RouteSearch, aim: Aim, output: &Output) -> Result {
    let (snapshot, _) = look(&args.viewed, Box::new(RouteView))?;
    let routes = Routes::new(snapshot);
    let (from, to) = (&args.from, &args.to);
    let route = match routes.search(from, to, aim)? {
        Search::Found(route) => route,
        Search::None => {
            let problem = format!("the chain has seen no way from {from} to {to}");
            return Err(Failure::message(problem));
        }
        Search::TooLarge => {
            let problem = format!("no way from {from} to {to} is near enough to be found");
            return Err(Failure::message(problem));
        }
    };
    let hops = route.hops.len();
    output.print(&json!({
        "as_of": as_of(routes.as_of()),
        "from": from,
        "to": to,
        "hops": route.hops,
        "fee": route.fee,
        "latency_us": route.latency,
        "messages_paid": u32::try_from(hops).ok().map(|hops| routes.paid(hops)).transpose()?.flatten(),
    }));
    Ok(())
}

fn receipt(args: &RouteReceipt, output: &Output) -> Result {
    let (snapshot, chain) = look(&args.viewed, Box::new(RouteView))?;
    let routes = Routes::new(snapshot);
    let head = match args.head {
        Some(head) => head,
        None => chain.head()?.hash(),
    };
    let receipt =
        routes
            .receipt(&chain, &args.message, Some(&head))
            .map_err(|error| match error {
                ReceiptError::View(error) => error.into(),
                ReceiptError::Chain(error) => error.into(),
                error => Failure::message(error),
            })?;
    let is_json = args.out.extension().is_some_and(|ending| ending == "json");
    let bytes = match is_json {
        true => receipt.to_json().into_bytes(),
        false => receipt.encode(),
    };
    // A file that is begun is written.
    output.stop().in_order();
    write(&args.out, &bytes)?;
    output.print(&json!({
        "message": args.message,
        "head": head,
        "out": args.out.display().to_string(),
        "bytes": bytes.len(),
    }));
    Ok(())
}

fn verify(args: &RouteVerify, output: &Output) -> Result {
    let delivery = read(&args.file)?
        .and_then(|receipt| {
            receipt
                .verify(&args.head)
                .map_err(|error| error.to_string())
        })
        .and_then(
            |delivery| match args.tx.is_none_or(|id| id == delivery.message) {
                true => Ok(delivery),
                false => Err(format!("it is about message {}", delivery.message)),
            },
        );
    match delivery {
        Ok(delivery) => {
            let mut about = json!({ "verdict": "valid", "head": args.head });
            crate::describe::extend(&mut about, json!(delivery));
            output.print(&about);
            Ok(())
        }
        Err(problem) => {
            output.print(&json!({
                "verdict": "invalid",
                "file": args.file.display().to_string(),
                "detail": problem,
            }));
            Err(Failure::InvalidVerdict)
        }
    }
}

/// Writes a receipt into a new file.
fn write(path: &Path, bytes: &[u8]) -> Result {
    let place = || path.display().to_string();
    let mut file = File::create_new(path).with_context(place)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .with_context(place)?;
    Ok(())
}

/// Reads a receipt in either form; says what is wrong with what is none.
fn read(path: &Path) -> Result<std::result::Result<Receipt, String>> {
    let bytes = input::read(path, 4 * RECEIPT_BYTES_MAX as u64)?;
    Ok(match std::str::from_utf8(&bytes) {
        Ok(text) if text.trim_start().starts_with('{') => Receipt::from_json(text),
        _ => Receipt::decode(&bytes.into()).map_err(|error| error.to_string()),
    })
}
