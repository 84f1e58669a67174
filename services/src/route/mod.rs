//! Which way messages took, with proof.
//!
//! A message is a transaction that names nodes; each node that has it says so in a transaction of its own, a *hop*, which names the message and how
//! many nodes had it before. All of that is on the chain, and nothing is this hub's alone.
//!
//! # Which hops are believed
//!
//! Hop 0 is believed from the first node in the message's path; hop n from the n-th node in the path or, behind the path's end, from the node that
//! hop n - 1 named as the next, once that hop is believed. The first that the node says about it counts. So a way is as true as its nodes, each of
//! which vouches for the next, and no stranger can put itself into it. A message has arrived when the last node of the path had it, and behind that
//! each that was named, and the last of them named nobody.
//!
//! Everything else that is said about hops is kept too, and [`Path::judge`] tells what to think of it. Blocks order transactions of several senders
//! as they like; a hop whose transaction stands before that of the hop before is believed once that is, and is `out_of_order`.
//!
//! # What follows from hops
//!
//! Latencies come from what nodes say about the time, and nobody else knows better. The fee of an edge is that of the transactions of its hops;
//! what the message itself pays, by the length of its way, stands beside it. The cheapest and the fastest route follow from both.

mod edges;
mod path;
mod payload;
mod reader;
mod receipt;
mod receipt_error;
mod receipt_json;
mod rows;
mod search;
mod view;

pub use self::edges::{EDGES_PER_NODE_MAX, Edge, Paid};
pub use self::path::{Claim, Path, Verdict};
pub use self::payload::{
    HOPS_MAX, MessageForward, ROUTED_BYTES_MAX, RoutePayload, RoutedMessage, RoutingFee,
};
pub use self::reader::Routes;
pub use self::receipt::{Delivery, ProvenHop, RECEIPT_BYTES_MAX, Receipt};
pub use self::receipt_error::{InvalidReceipt, ReceiptError};
pub use self::rows::{Message, Place};
pub use self::search::{Aim, Route, SEARCH_EDGES_MAX, Search, Step};
pub use self::view::RouteView;
