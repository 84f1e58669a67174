//! A tree of branches as text: the chain in the first column with its last block on top, and each branch beside the block that it leaves behind.

use std::cmp::Reverse;
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
            children: self.side_children(),
            chain: chain.iter().map(|block| block.head).collect(),
            lines: Vec::new(),
        };
        drawing.row(&chain, "");
        let mut out = String::new();
        for line in drawing.lines.into_iter().take(LINES_MAX) {
            out.push_str(&line);
            out.push('\n');
        }
        out
    }

    /// Of each block those beside the chain that follow it, the one that leads to the best branch last: it is drawn nearest to the block that it follows.
    fn side_children(&self) -> HashMap<BlockHash, Vec<Branch>> {
        let mut sides: Vec<(Branch, BlockHash)> = self
            .side
            .values()
            .map(|side| (side.node.branch, side.node.header.previous_hash))
            .collect();
        // What follows a block comes before it.
        sides.sort_unstable_by_key(|(block, _)| Reverse(block.height));
        let mut best_behind: HashMap<BlockHash, Branch> = HashMap::new();
        let mut children: HashMap<BlockHash, Vec<(Branch, Branch)>> = HashMap::new();
        for (block, parent) in sides {
            let leads_to = best_behind
                .get(&block.head)
                .map_or(block, |best| block.max(*best));
            let best = best_behind.entry(parent).or_insert(leads_to);
            *best = leads_to.max(*best);
            children.entry(parent).or_default().push((leads_to, block));
        }
        let in_order = |(parent, mut all): (BlockHash, Vec<(Branch, Branch)>)| {
            all.sort_unstable();
            (parent, all.into_iter().map(|(_, block)| block).collect())
        };
        children.into_iter().map(in_order).collect()
    }
}

struct Drawing {
    /// Of each block those beside the chain that follow it, the one that leads to the best branch last.
    children: HashMap<BlockHash, Vec<Branch>>,
    chain: Vec<BlockHash>,
    lines: Vec<String>,
}

impl Drawing {
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
