//! Tables of text whose columns are aligned: the first ones, of words, to the left, figures to the right.

use std::fmt::Write as _;

/// Rows under a head.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    words: usize,
}

impl Table {
    /// A table of which the first `words` columns hold words.
    pub(crate) fn new(words: usize, head: &[&str]) -> Self {
        let head = head.iter().map(|&name| name.to_owned()).collect();
        Self {
            rows: vec![head],
            words,
        }
    }

    /// Adds a row of as many cells as the head has.
    pub(crate) fn push(&mut self, row: Vec<String>) {
        assert_eq!(
            row.len(),
            self.rows[0].len(),
            "a row has a cell for each column"
        );
        self.rows.push(row);
    }

    /// As aligned text.
    pub(crate) fn to_text(&self) -> String {
        let columns = 0..self.rows[0].len();
        let widths: Vec<usize> = columns
            .map(|column| {
                let cells = self.rows.iter().map(|row| row[column].chars().count());
                cells.max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                // Writing to a string can't fail.
                let _ = match column < self.words {
                    true => write!(line, "{cell:<width$}  "),
                    false => write!(line, "{cell:>width$}  "),
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// As comma-separated values. No cell holds a comma, a quote or a line's end.
    pub(crate) fn to_csv(&self) -> String {
        let lines = self.rows.iter().map(|row| row.join(",") + "\n");
        lines.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_aligned_to_the_left_and_figures_to_the_right() {
        let mut table = Table::new(1, &["name", "µs"]);
        table.push(vec!["a".to_owned(), "10.5".to_owned()]);
        table.push(vec!["longer".to_owned(), "2".to_owned()]);
        assert_eq!(
            table.to_text(),
            "name      µs\na       10.5\nlonger     2\n"
        );
        assert_eq!(table.to_csv(), "name,µs\na,10.5\nlonger,2\n");
    }
}
