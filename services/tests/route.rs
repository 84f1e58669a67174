//! Routes against naive ones.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;

use hubledger::digest::TransactionId;
use hubledger::model::{Block, Draft, Operation};
use hubledger::testing::{Chain, Numbers, key};
use hubledger_services::route::{
    Aim, Claim, EDGES_PER_NODE_MAX, Message, MessageForward, Place, RoutePayload, RouteView,
    RoutedMessage, Routes, Search, Verdict,
};
use hubledger_services::testing::{Trial, made_anew, memory};
use hubledger_services::view::{CommittedBlock, Snapshot};
use hubledger_storage::{RangeLimit, StoreUrl};

const NODES: [&str; 5] = ["alice", "hub_us", "hub_eu", "hub_asia", "node_bob"];
const ALL: RangeLimit = RangeLimit {
    rows: usize::MAX,
    bytes: usize::MAX,
};

fn node(numbers: &mut Numbers) -> String {
    NODES[numbers.below(NODES.len() as u64) as usize].to_owned()
}

/// Some message of the chain: the later, the more often.
fn some_message(numbers: &mut Numbers, chain: &Chain) -> Option<(TransactionId, RoutedMessage)> {
    let recent = chain.blocks.iter().rev().take(4);
    let messages: Vec<_> = recent
        .flat_map(|block| block.transactions())
        .filter_map(
            |transaction| match RoutePayload::of_transaction(transaction)? {
                RoutePayload::RoutedMessage(said) => Some((transaction.id(), said)),
                _ => None,
            },
        )
        .collect();
    let at = numbers.below(messages.len().max(1) as u64) as usize;
    messages.into_iter().nth(at)
}

fn speak(numbers: &mut Numbers, chain: &Chain) -> Draft {
    let mut draft = chain.draft(&node(numbers), 1);
    draft.timestamp -= numbers.below(1000);
    draft.fee += numbers.below(9);
    let target = some_message(numbers, chain).filter(|_| numbers.below(8) > 1);
    let said = match target {
        None => RoutePayload::RoutedMessage(RoutedMessage {
            path: (0..=numbers.below(3)).map(|_| node(numbers)).collect(),
            body: b"hello".to_vec(),
        }),
        Some((id, message)) => {
            let number = numbers.below(4);
            let is_honest = numbers.below(5) > 0;
            let honest = message.path.get(number as usize).filter(|_| is_honest);
            if let Some(honest) = honest {
                draft.sender.clone_from(honest);
            }
            draft.operation = Operation::NodeUpdate;
            RoutePayload::MessageForward(MessageForward {
                original_message_id: id,
                hop_number: number as u32,
                timestamp: numbers.below(2) * (draft.timestamp + numbers.below(1000)),
                next_hop: (numbers.below(3) == 0).then(|| node(numbers)),
            })
        }
    };
    draft.payload = match numbers.below(8) {
        0 => said.to_json().into_bytes(),
        1 => b"{\"action\":\"message_forward\",\"hop_number\":\"0\"}".to_vec(),
        2 => said.encode()[..said.encode().len() - 1].to_vec(),
        _ => said.encode(),
    };
    if numbers.below(20) == 0 {
        draft.operation = Operation::ALL[1 + numbers.below(2) as usize * 4];
    }
    draft
}

#[derive(Default)]
struct Naive {
    messages: BTreeMap<TransactionId, Message>,
    claims: BTreeMap<TransactionId, Vec<Claim>>,
}

impl Naive {
    fn of(blocks: &[Block]) -> Self {
        let mut naive = Self::default();
        for block in blocks {
            for entry in CommittedBlock::new(block).entries() {
                let (transaction, place) = (
                    entry.transaction(),
                    Place {
                        height: block.height(),
                        index: entry.index,
                    },
                );
                match RoutePayload::of(&entry) {
                    Some(RoutePayload::RoutedMessage(said)) => {
                        let message = Message {
                            place,
                            sender: transaction.sender().to_owned(),
                            receiver: transaction.receiver().to_owned(),
                            timestamp: transaction.timestamp(),
                            fee: transaction.fee(),
                            path: said.path,
                        };
                        naive.messages.insert(entry.id(), message);
                    }
                    Some(RoutePayload::MessageForward(said)) => {
                        let claims = naive.claims.entry(said.original_message_id).or_default();
                        claims.push(Claim {
                            number: said.hop_number,
                            node: transaction.sender().to_owned(),
                            place,
                            id: entry.id(),
                            timestamp: match said.timestamp {
                                0 => transaction.timestamp(),
                                said => said,
                            },
                            fee: transaction.fee(),
                            next: said.next_hop,
                        });
                    }
                    _ => {}
                }
            }
        }
        naive
    }

    /// Believed hops of a message, and whether it has arrived.
    fn hops(&self, id: &TransactionId) -> (Vec<Claim>, bool) {
        let path = &self.messages[id].path;
        let claims = self.claims.get(id).map_or(&[][..], |claims| claims);
        let mut hops: Vec<Claim> = Vec::new();
        loop {
            let number = hops.len();
            let last = hops.last();
            if number >= path.len() && last.is_some_and(|hop| hop.next.is_none()) {
                return (hops, true);
            }
            let named = path.get(number).cloned();
            let named = named.or_else(|| last?.next.clone()).unwrap();
            let found = claims
                .iter()
                .find(|claim| claim.number as usize == number && claim.node == named);
            match found {
                Some(claim) => hops.push(claim.clone()),
                None => return (hops, false),
            }
        }
    }
}

/// By the nodes from and to: hops, their fees, those with a latency, and their latencies.
type Edges = BTreeMap<(String, String), (u64, u128, u64, u128)>;

/// The cost of the best route, by going over all edges again and again (Bellman and Ford).
fn naive_cost(edges: &Edges, from: &str, to: &str, aim: Aim) -> Option<u128> {
    let mut costs = BTreeMap::from([(from, 0)]);
    for _ in NODES {
        for ((from, to), (hops, fees, timed, latencies)) in edges {
            let weight = match aim {
                Aim::Cheapest => Some(fees / u128::from(*hops)),
                Aim::Fastest => latencies.checked_div(u128::from(*timed)),
            };
            let (Some(weight), Some(cost)) = (weight, costs.get(&**from)) else {
                continue;
            };
            let cost = cost + weight;
            let known = costs.entry(to).or_insert(cost);
            *known = cost.min(*known);
        }
    }
    costs.get(to).copied()
}

fn compare_searches(routes: &Routes, edges: &Edges) {
    for from in NODES {
        for to in NODES.into_iter().filter(|to| *to != from) {
            for aim in [Aim::Cheapest, Aim::Fastest] {
                let found = match routes.search(from, to, aim).unwrap() {
                    Search::Found(route) => {
                        assert_eq!(route.hops.first().unwrap().from, from);
                        assert_eq!(route.hops.last().unwrap().to, to);
                        let joints = route.hops.windows(2);
                        assert!(joints.into_iter().all(|pair| pair[0].to == pair[1].from));
                        match aim {
                            Aim::Cheapest => Some(route.fee),
                            Aim::Fastest => route.latency,
                        }
                    }
                    Search::None => None,
                    Search::TooLarge => panic!("too large"),
                };
                assert_eq!(found, naive_cost(edges, from, to, aim));
            }
        }
    }
}

fn compare(blocks: &[Block], snapshot: &Snapshot) {
    let (routes, naive) = (Routes::new(snapshot.clone()), Naive::of(blocks));
    let mut edges = Edges::new();
    let mut paid: BTreeMap<u32, (u64, u128)> = BTreeMap::new();
    for (id, message) in &naive.messages {
        let path = routes.path(id).unwrap().unwrap();
        let (hops, is_delivered) = naive.hops(id);
        assert_eq!(&path.message, message);
        assert_eq!(path.hops, hops);
        assert_eq!(path.is_delivered(), is_delivered);
        if is_delivered {
            let entry = paid.entry(hops.len() as u32).or_default();
            *entry = (entry.0 + 1, entry.1 + u128::from(message.fee));
            assert_eq!(routes.missing(&path).unwrap(), []);
        }
        let (mut from, mut time) = (message.sender.clone(), message.timestamp);
        for hop in &hops {
            if from != hop.node {
                let edge = edges.entry((from, hop.node.clone())).or_default();
                edge.0 += 1;
                edge.1 += u128::from(hop.fee);
                if let Some(latency) = hop.timestamp.checked_sub(time) {
                    edge.2 += 1;
                    edge.3 += u128::from(latency);
                }
            }
            let latency = path.latency(hop.number);
            assert_eq!(latency, hop.timestamp.checked_sub(time));
            (from, time) = (hop.node.clone(), hop.timestamp);
        }
    }
    for (id, claims) in &naive.claims {
        let mut found = routes.claims(id, None, ALL).unwrap();
        found.sort_by_key(|claim| claim.place);
        assert_eq!(&found, claims);
    }
    for ((from, to), &(hops, fee_sum, timed, latency_sum)) in &edges {
        let edge = routes.edge(from, to).unwrap().unwrap();
        assert_eq!((edge.hops, edge.fee_sum), (hops, fee_sum));
        assert_eq!((edge.timed, edge.latency_sum), (timed, latency_sum));
    }
    compare_searches(&routes, &edges);
    for hops in 0..8 {
        let found = routes.paid(hops).unwrap();
        let found = found.map(|paid| (paid.messages, paid.fee_sum));
        assert_eq!(found, paid.get(&hops).copied());
    }
}

#[test]
fn whatever_happens_to_the_chain_routes_are_what_naive_ones_are() {
    for seed in 0..60 {
        let trial = Trial {
            view: &|| Box::new(RouteView),
            store: &memory(),
            speak: &speak,
            naive: &compare,
        };
        trial.run(seed, 40);
    }
}

#[test]
fn the_same_in_a_store_with_files() {
    for seed in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let url: StoreUrl = format!("log:{}", folder.path().join("views").display())
            .parse()
            .unwrap();
        let trial = Trial {
            view: &|| Box::new(RouteView),
            store: &|| url.open_or_create().unwrap(),
            speak: &speak,
            naive: &compare,
        };
        trial.run(seed, 40);
    }
}

/// A message of alice's by way of nodes, and hops of it in one block after the other.
struct Way {
    chain: Chain,
    message: TransactionId,
    nonce: u64,
}

impl Way {
    fn begin(path: &[&str]) -> Self {
        let mut chain = Chain::new(1, |_| {});
        let said = RoutePayload::RoutedMessage(RoutedMessage {
            path: path.iter().map(|&name| name.to_owned()).collect(),
            body: b"hello".to_vec(),
        });
        let sent = chain.signed("alice", 1, |draft| draft.payload = said.encode());
        chain.extend(std::slice::from_ref(&sent));
        Self {
            chain,
            message: sent.id(),
            nonce: 1,
        }
    }

    fn hop(mut self, sender: &str, hop_number: u32, next_hop: Option<&str>) -> Self {
        self.nonce += 1;
        let said = RoutePayload::MessageForward(MessageForward {
            original_message_id: self.message,
            hop_number,
            timestamp: 0,
            next_hop: next_hop.map(str::to_owned),
        });
        let mut draft = self.chain.draft(sender, self.nonce);
        (draft.operation, draft.payload) = (Operation::NodeUpdate, said.encode());
        let hop = draft.sign(&[&key(sender)]).unwrap();
        self.chain.extend(&[hop]);
        self
    }

    fn routes(&self) -> Routes {
        Routes::new(made_anew(&self.chain, Box::new(RouteView), 0))
    }

    /// What is to be thought of all claims, in their order.
    fn verdicts(&self) -> Vec<Verdict> {
        let routes = self.routes();
        let path = routes.path(&self.message).unwrap().unwrap();
        let mut claims = routes.claims(&self.message, None, ALL).unwrap();
        claims.sort_by_key(|claim| claim.place);
        claims.iter().map(|claim| path.judge(claim)).collect()
    }
}

#[test]
fn hops_of_the_nodes_that_are_named_carry_a_message_to_its_end() {
    let way = Way::begin(&["hub_us", "hub_eu"])
        .hop("hub_us", 0, None)
        .hop("hub_eu", 1, Some("node_bob"))
        .hop("node_bob", 2, None);
    assert_eq!(way.verdicts(), [Verdict::Verified; 3]);
    let path = way.routes().path(&way.message).unwrap().unwrap();
    assert!(path.is_delivered());
    assert_eq!(path.total_latency(), Some(3_000_000));
    assert_eq!(path.latency(1), Some(1_000_000));
}

#[test]
fn a_stranger_cannot_put_itself_into_a_way() {
    let way = Way::begin(&["hub_us"])
        .hop("mallory", 0, None)
        .hop("hub_us", 0, Some("node_bob"))
        .hop("mallory", 1, None)
        .hop("mallory", 2, None)
        .hop("node_bob", 1, None)
        .hop("mallory", 2, None);
    let verdicts = way.verdicts();
    assert_eq!(
        verdicts,
        [
            Verdict::Forged,
            Verdict::Verified,
            Verdict::Forged,
            Verdict::Forged,
            Verdict::Verified,
            Verdict::Forged,
        ]
    );
}

#[test]
fn missing_repeated_and_early_hops_are_told_apart() {
    let way = Way::begin(&["hub_us", "hub_eu"])
        .hop("hub_us", 0, None)
        .hop("hub_us", 0, Some("mallory"))
        .hop("node_bob", 2, None);
    let repeated = [Verdict::Verified, Verdict::Repeated, Verdict::Unnamed];
    assert_eq!(way.verdicts(), repeated);
    let routes = way.routes();
    let path = routes.path(&way.message).unwrap().unwrap();
    let missing = routes.missing(&path).unwrap();
    assert_eq!(missing, [(1, "hub_eu".to_owned())]);
    assert!(!path.is_delivered());

    let way = Way::begin(&["hub_us", "hub_eu"]).hop("hub_eu", 1, None);
    assert_eq!(way.verdicts(), [Verdict::Waiting]);
    let way = way.hop("hub_us", 0, None);
    assert_eq!(way.verdicts(), [Verdict::OutOfOrder, Verdict::Verified]);
    assert!(
        way.routes()
            .path(&way.message)
            .unwrap()
            .unwrap()
            .is_delivered()
    );
}

#[test]
fn a_node_keeps_the_edges_that_were_used_last() {
    let mut chain = Chain::new(1, |_| {});
    let mut transactions = Vec::new();
    // One more than are kept, and the second of them used again.
    let targets = (0..=EDGES_PER_NODE_MAX).map(|number| format!("node-{number}"));
    let targets: Vec<String> = targets.collect();
    for (nonce, target) in (1..).zip(targets[..2].iter().chain(&targets[1..])) {
        let said = RoutePayload::RoutedMessage(RoutedMessage {
            path: vec![target.clone()],
            body: Vec::new(),
        });
        let sent = chain.signed("alice", nonce, |draft| draft.payload = said.encode());
        let said = RoutePayload::MessageForward(MessageForward {
            original_message_id: sent.id(),
            hop_number: 0,
            timestamp: 0,
            next_hop: None,
        });
        let hop = chain.signed(target, nonce, |draft| {
            (draft.operation, draft.payload) = (Operation::NodeUpdate, said.encode());
        });
        transactions.extend([sent, hop]);
    }
    for few in transactions.chunks(64) {
        chain.extend(few);
    }
    let routes = Routes::new(made_anew(&chain, Box::new(RouteView), 0));
    assert_eq!(routes.edge("alice", "node-0").unwrap(), None);
    for target in &targets[1..] {
        let edge = routes.edge("alice", target).unwrap().unwrap();
        assert_eq!(edge.hops, 1 + u64::from(target == "node-1"));
    }
}
