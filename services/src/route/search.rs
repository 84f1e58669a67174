//! The best route between two nodes, by what the chain has seen: Dijkstra's algorithm ("A note on two problems in connexion with graphs", 1959) over
//! edges with their mean fee or latency.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::edges::Edge;
use super::reader::Routes;
use crate::view::Result;

/// The most edges that one search looks at.
pub const SEARCH_EDGES_MAX: usize = 1 << 16;

/// What a route is to be best in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// The lowest sum of mean fees.
    Cheapest,
    /// The lowest sum of mean latencies. Edges without one aren't used.
    Fastest,
}

/// What a search comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// No other route is better.
    Found(Route),
    /// The chain has seen no way between the two.
    None,
    /// Nothing was found among the first [`SEARCH_EDGES_MAX`] edges.
    TooLarge,
}

/// A way from one node to another, of hops that messages took before.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Route {
    /// The hops, in their order.
    pub hops: Vec<Step>,
    /// The sum of the mean fees.
    pub fee: u128,
    /// The sum of the mean latencies, in microseconds; `None` where one has none.
    pub latency: Option<u128>,
}

/// A hop of a route.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Step {
    /// The node that hands over.
    pub from: String,
    /// The node that takes.
    pub to: String,
    /// How often a message took this hop.
    pub hops: u64,
    /// The mean fee.
    pub fee: u64,
    /// The mean latency, in microseconds.
    pub latency: Option<u64>,
}

/// What a way costs; of two that cost the same, the shorter one is better.
type Cost = (u128, u32);

/// How a node was reached.
#[derive(Debug, Clone, Copy)]
struct Reached {
    cost: Cost,
    /// The node before, and the edge from there; `None` of the start.
    by: Option<(u32, Edge)>,
}

impl Aim {
    fn weight(self, edge: &Edge) -> Option<u64> {
        match self {
            Self::Cheapest => Some(edge.mean_fee()),
            Self::Fastest => edge.mean_latency(),
        }
    }
}

impl Routes {
    /// The best route from one node to another. O(edges · log edges), and never more than [`SEARCH_EDGES_MAX`] edges and those of one more node.
    ///
    /// # Errors
    /// The store failed.
    pub fn search(&self, from: &str, to: &str, aim: Aim) -> Result<Search> {
        let (Some(start), Some(end)) = (self.number_of(from)?, self.number_of(to)?) else {
            return Ok(Search::None);
        };
        let first = Reached {
            cost: (0, 0),
            by: None,
        };
        let mut reached = HashMap::from([(start, first)]);
        let mut open = BinaryHeap::from([Reverse((first.cost, start))]);
        let mut seen = 0;
        while let Some(Reverse((cost, node))) = open.pop() {
            if node == end {
                return Ok(Search::Found(self.route(end, &reached)?));
            }
            if reached[&node].cost < cost {
                // It was reached in a better way since.
                continue;
            }
            if seen >= SEARCH_EDGES_MAX {
                return Ok(Search::TooLarge);
            }
            let edges = self.edges_from(node)?;
            seen += edges.len();
            for (next, edge) in edges {
                let Some(weight) = aim.weight(&edge) else {
                    continue;
                };
                let cost = (cost.0 + u128::from(weight), cost.1 + 1);
                if reached.get(&next).is_none_or(|known| cost < known.cost) {
                    let by = Some((node, edge));
                    reached.insert(next, Reached { cost, by });
                    open.push(Reverse((cost, next)));
                }
            }
        }
        Ok(Search::None)
    }

    /// The way to a node that was reached.
    fn route(&self, end: u32, reached: &HashMap<u32, Reached>) -> Result<Route> {
        let (mut hops, mut at) = (Vec::new(), end);
        while let Some((before, edge)) = reached[&at].by {
            hops.push(Step {
                from: self.name_of(before)?,
                to: self.name_of(at)?,
                hops: edge.hops,
                fee: edge.mean_fee(),
                latency: edge.mean_latency(),
            });
            at = before;
        }
        hops.reverse();
        let latencies = hops.iter().map(|hop| hop.latency.map(u128::from));
        Ok(Route {
            fee: hops.iter().map(|hop| u128::from(hop.fee)).sum(),
            latency: latencies.sum(),
            hops,
        })
    }
}
