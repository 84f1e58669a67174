//! Numbers as a reader wants them.

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

/// Nanoseconds in the unit that suits them.
pub(super) fn duration(nanoseconds: f64) -> String {
    let (scaled, unit) = match nanoseconds {
        ns if ns >= 1e9 => (ns / 1e9, "s"),
        ns if ns >= 1e6 => (ns / 1e6, "ms"),
        ns if ns >= 1e3 => (ns / 1e3, "µs"),
        ns => (ns, "ns"),
    };
    format!("{} {unit}", short(scaled))
}

/// A part of something, in per cent; less than one per cent with a digit more.
pub(super) fn percent(part: f64) -> String {
    match part * 100.0 {
        percent if percent >= 1.0 => format!("{percent:.0} %"),
        percent => format!("{percent:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (number, expected) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (12.34, "12.3"),
            (1_500.0, "1500"),
            (123_400.0, "123k"),
            (2e6, "2M"),
        ] {
            assert_eq!(short(number), expected);
        }
    }

    #[test]
    fn durations_and_parts_have_their_units() {
        let texts = [5.0, 1_500.0, 2e6, 3.25e9].map(duration);
        assert_eq!(texts, ["5 ns", "1.5 µs", "2 ms", "3.25 s"]);
        assert_eq!([0.142, 0.004].map(percent), ["14 %", "0.4 %"]);
    }
}
