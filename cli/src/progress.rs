//! Progress on standard error, and only on a terminal: blocks and transactions a second.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over a known or unknown amount of work.
pub(crate) struct Progress {
    bar: ProgressBar,
    started: Instant,
    blocks: u64,
    transactions: u64,
}

impl Progress {
    /// A bar over `length` units, or a spinner.
    pub(crate) fn new(what: &'static str, length: Option<u64>) -> Self {
        let (bar, template) = match length {
            Some(length) => (
                ProgressBar::new(length),
                "{prefix} [{elapsed}] {wide_bar} {percent}% {msg}, {eta} left",
            ),
            None => (
                ProgressBar::new_spinner(),
                "{prefix} [{elapsed}] {spinner} {msg}",
            ),
        };
        let style = ProgressStyle::with_template(template);
        let bar = bar.with_prefix(what);
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self {
            bar,
            started: Instant::now(),
            blocks: 0,
            transactions: 0,
        }
    }

    /// One more block is done; `position` is in the bar's units.
    pub(crate) fn block(&mut self, transactions: u64, position: u64) {
        self.blocks += 1;
        self.transactions += transactions;
        self.bar.set_position(position);
        let seconds = self.seconds().max(1e-9);
        self.bar.set_message(format!(
            "{} blocks ({:.0}/s), {} transactions ({:.0}/s)",
            self.blocks,
            self.blocks as f64 / seconds,
            self.transactions,
            self.transactions as f64 / seconds,
        ));
    }

    /// The work has come to `position` of `length` in a stage of its own.
    pub(crate) fn stage(&mut self, stage: &'static str, position: u64, length: u64) {
        self.bar.set_length(length);
        self.bar.set_position(position);
        self.bar
            .set_message(format!("{stage} {position} of {length}"));
    }

    /// Seconds since the start.
    pub(crate) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Takes the bar away and returns the seconds since the start.
    pub(crate) fn finish(self) -> f64 {
        self.bar.finish_and_clear();
        self.seconds()
    }
}
