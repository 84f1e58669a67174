//! A tree of branches as text: the chain in the first column with its last block on top, and each branch beside the block that it leaves behind.

use std::collections::HashMap;
use std::fmt::Write;

use super::{Branch, ForkTree};
use crate::format::digest::BlockHash;

/// Blocks in a row that nothing leaves are told by their number, if there are more than this.
const ROW_MAX: usize = 4;
/// The most lines.
const LINES_MAX: usize = 10_000;

impl ForkTree {
    /// Draws the blocks from the last final one on, the highest on top: `●` is the chain's, `○` is beside it. A row of blocks that nothing leaves is shortened.
    /// At most 10,000 lines.
    #[must_use]
    pub fn draw(&self) -> String {
        let chain: Vec<Branch> = self.chain().collect();
        let mut drawing = Drawing {
            children: HashMap::new(),
            chain: chain.iter().map(|block| block.head).collect(),
            lines: Vec::new(),
        };
        for block in self.side_blocks() {
            let node = self.branch_to(&block.hash());
            let children = drawing.children.entry(block.header().previous_hash);
            children.or_default().extend(node);
        }
        drawing.sort();
        drawing.row(&chain, "");
        let mut out = String::new();
        for line in drawing.lines.into_iter().take(LINES_MAX) {
            out.push_str(&line);
            out.push('\n');
        }
        out
    }
}

struct Drawing {
    /// Of each block those beside the chain that follow it.
    children: HashMap<BlockHash, Vec<Branch>>,
    chain: Vec<BlockHash>,
    lines: Vec<String>,
}

impl Drawing {
    /// Sorts what follows each block by the best that one comes to from there: the best last, which is drawn nearest to the block.
    fn sort(&mut self) {
        let mut blocks: Vec<Branch> = self.children.values().flatten().copied().collect();
        // What follows a block is higher than the block.
        blocks.sort_unstable_by_key(|block| std::cmp::Reverse(block.height));
        let mut ends: HashMap<BlockHash, Branch> = HashMap::new();
        for block in blocks {
            let following = self.children.get_mut(&block.head);
            let end_of = |child: &Branch| ends.get(&child.head).copied().unwrap_or(*child);
            let best = following.and_then(|children| {
                children.sort_by_key(end_of);
                children.last().map(end_of)
            });
            ends.insert(block.head, best.unwrap_or(block));
        }
        let end_of = |child: &Branch| ends.get(&child.head).copied().unwrap_or(*child);
        for head in &self.chain {
            if let Some(children) = self.children.get_mut(head) {
                children.sort_by_key(end_of);
            }
        }
    }

    /// Draws blocks that follow each other, the lowest of which is the first, and before each what leaves it.
    fn row(&mut self, blocks: &[Branch], prefix: &str) {
        let is_chain = blocks.first().map(|block| block.head) == self.chain.first().copied();
        let mut plain: Vec<Branch> = Vec::new();
        for (at, block) in blocks.iter().enumerate().rev() {
            let next = blocks.get(at + 1).map(|next| next.head);
            let leaving: Vec<Branch> = self
                .children
                .get(&block.head)
                .into_iter()
                .flatten()
                .filter(|child| Some(child.head) != next)
                .copied()
                .collect();
            let is_end = at == 0 || at + 1 == blocks.len();
            if leaving.is_empty() && !is_end {
                plain.push(*block);
                continue;
            }
            self.plain(&mut plain, prefix, is_chain);
            for child in leaving {
                let branch = self.best_from(child);
                self.row(&branch, &format!("{prefix}│ "));
                self.lines.push(format!("{prefix}├─╯"));
            }
            let note = match (is_chain, at) {
                (true, _) if at + 1 == blocks.len() => "  the chain's last block",
                (true, 0) => "  final",
                _ => "",
            };
            self.block(block, prefix, is_chain, note);
        }
        self.plain(&mut plain, prefix, is_chain);
    }

    /// The branch that begins with this block and goes on with the best of those that follow each.
    fn best_from(&self, first: Branch) -> Vec<Branch> {
        let mut branch = vec![first];
        let mut last = first;
        while let Some(next) = self.children.get(&last.head).and_then(|all| all.last()) {
            last = *next;
            branch.push(last);
        }
        branch
    }

    /// Draws blocks that nothing leaves, given from the highest on.
    fn plain(&mut self, blocks: &mut Vec<Branch>, prefix: &str, is_chain: bool) {
        if blocks.len() > ROW_MAX {
            self.lines
                .push(format!("{prefix}⋮ {} blocks", blocks.len()));
            blocks.clear();
        }
        for block in std::mem::take(blocks) {
            self.block(&block, prefix, is_chain, "");
        }
    }

    fn block(&mut self, block: &Branch, prefix: &str, is_chain: bool, note: &str) {
        let dot = if is_chain { '●' } else { '○' };
        let mut line = String::new();
        // Writing to a text can't fail.
        let _ = write!(line, "{prefix}{dot} {} {}{note}", block.height, block.head);
        self.lines.push(line);
    }
}
