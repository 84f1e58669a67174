//! Drawing: text that is safe in markup, scales, axes.

use std::fmt::Write as _;

/// Colours that are told apart also by people who see few (Okabe and Ito).
pub(super) const COLOURS: [&str; 7] = [
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7a6f00",
];

/// The colour of the n-th of several.
pub(super) fn colour(index: usize) -> &'static str {
    COLOURS[index % COLOURS.len()]
}

/// Text as it may stand in markup, within elements and attributes.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// A drawing that grows by elements.
pub(super) struct Drawing {
    width: f64,
    height: f64,
    title: String,
    body: String,
}

/// Where a text is held.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Drawing {
    pub(super) fn new(width: f64, height: f64, title: &str) -> Self {
        Self {
            width,
            height,
            title: title.to_owned(),
            body: String::new(),
        }
    }

    /// A filled rectangle, which says `tip` under a pointer.
    pub(super) fn bar(&mut self, [x, y, width, height]: [f64; 4], fill: &str, tip: &str) {
        // Writing to a string can't fail, here and below.
        let _ = write!(
            self.body,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{fill}\"><title>{}</title></rect>",
            width.max(0.0),
            height.max(0.0),
            escape(tip)
        );
    }

    pub(super) fn line(&mut self, [x1, y1, x2, y2]: [f64; 4], class: &str) {
        let _ = write!(
            self.body,
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        );
    }

    pub(super) fn text(&mut self, x: f64, y: f64, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let _ = write!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            escape(text)
        );
    }

    /// A line through points, with a mark at each that says its tip.
    pub(super) fn path(&mut self, points: &[(f64, f64, String)], stroke: &str) {
        let mut along = String::new();
        for (x, y, _) in points {
            let _ = write!(along, "{x:.1},{y:.1} ");
        }
        let _ = write!(
            self.body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"2\"/>",
            along.trim_end()
        );
        for (x, y, tip) in points {
            let _ = write!(
                self.body,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{stroke}\"><title>{}</title></circle>",
                escape(tip)
            );
        }
    }

    pub(super) fn finish(self) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 {0:.0} {1:.0}\" width=\"{0:.0}\" \
             height=\"{1:.0}\"><title>{2}</title>{3}</svg>\n",
            self.width,
            self.height,
            escape(&self.title),
            self.body
        )
    }
}

/// Round numbers from zero to at least `most`, about five of them.
pub(super) fn ticks(most: f64) -> Vec<f64> {
    if !most.is_finite() || most <= 0.0 {
        return vec![0.0, 1.0];
    }
    let rough = most / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power);
    let step = step
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(10.0 * power);
    let count = (most / step).ceil() as u32;
    (0..=count.max(1))
        .map(|index| f64::from(index) * step)
        .collect()
}

/// A number with as many digits as a reader wants, large ones with k and M.
pub(super) fn short(number: f64) -> String {
    let (scaled, unit) = match number.abs() {
        size if size >= 1e9 => (number / 1e9, "G"),
        size if size >= 1e6 => (number / 1e6, "M"),
        size if size >= 1e4 => (number / 1e3, "k"),
        _ => (number, ""),
    };
    let digits = match scaled.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{scaled:.digits$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_escaped_can_end_an_element_or_attribute() {
        assert_eq!(
            escape("<b a=\"1\" c='2'>&amp;"),
            "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;"
        );
        let mut drawing = Drawing::new(10.0, 10.0, "</svg><script>");
        drawing.bar([0.0, 0.0, -1.0, 1.0], "red", "</title><script>");
        drawing.text(0.0, 0.0, Anchor::Middle, "<script>");
        let text = drawing.finish();
        assert!(!text.contains("<script>") && text.ends_with("</svg>\n"));
        assert!(!text.contains("width=\"-"));
    }

    #[test]
    fn ticks_are_round_and_reach_the_most() {
        assert_eq!(ticks(10.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(
            ticks(0.9),
            [0.0, 0.2, 0.4, 0.600_000_000_000_000_1, 0.8, 1.0]
        );
        assert_eq!(ticks(f64::NAN), [0.0, 1.0]);
        for most in [1e-9, 3.3, 7e5, 1e12] {
            let ticks = ticks(most);
            assert!(ticks.len() < 9 && ticks.last().is_some_and(|last| *last >= most));
        }
    }

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.0, "0"),
            (0.25, "0.25"),
            (12.34, "12.3"),
            (9999.0, "9999"),
            (2e6, "2M"),
        ];
        for (number, expected) in cases
            .into_iter()
            .chain([(123_400.0, "123k"), (1_500.0, "1500")])
        {
            assert_eq!(short(number), expected);
        }
    }
}
