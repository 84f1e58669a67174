//! Doubles in the text of Python's `repr`.

use std::fmt::{self, Write as _};

/// Python's `repr` of a float: fixed notation for decimal exponents from -4 to 15, else scientific with a
/// sign and at least two digits in the exponent.
///
/// Both languages print the shortest digits that read back, and of those the nearest to the value. They
/// differ where two are equally near: Python takes the even digit, Rust's shortest form may take the other.
/// [`is_halfway`] tells when; then the digits come from rounding to that precision, which goes to even.
pub(super) fn write_float(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    if value.is_infinite() {
        return f.write_str(if value > 0.0 { "inf" } else { "-inf" });
    }
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-4..1e16).contains(&magnitude) {
        write_fixed(f, value)
    } else {
        write_scientific(f, value)
    }
}

/// Whether `text` is what [`write_float`] writes for `value`; no for some values that are rare, such as those in scientific
/// notation.
pub(super) fn is_printed(value: f64, text: &str) -> bool {
    // The shortest digits, of those the nearest, as here; where two are equally near it may take the others.
    let mut shortest = zmij::Buffer::new();
    (1e-4..1e16).contains(&value)
        && shortest.format_finite(value) == text
        && text
            .find('.')
            .is_some_and(|point| !is_halfway(value, (text.len() - point - 1) as i64))
}

fn write_fixed(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    let mut text = ShortText::default();
    write!(text, "{value}")?;
    let Some(point) = text.as_str().find('.') else {
        return write!(f, "{}.0", text.as_str());
    };
    let decimals = text.as_str().len() - point - 1;
    if is_halfway(value, decimals as i64) {
        let mut even = ShortText::default();
        write!(even, "{value:.decimals$}")?;
        if even.as_str().parse() == Ok(value) {
            text = even;
        }
    }
    f.write_str(text.as_str())
}

fn write_scientific(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    let mut text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').ok_or(fmt::Error)?;
    let exponent: i64 = exponent.parse().map_err(|_| fmt::Error)?;
    let precision = digits
        .split_once('.')
        .map_or(0, |(_, fraction)| fraction.len());
    if is_halfway(value, precision as i64 - exponent) {
        let even = format!("{value:.precision$e}");
        if even.parse() == Ok(value) {
            text = even;
        }
    }
    let (digits, exponent) = text.split_once('e').ok_or(fmt::Error)?;
    let exponent: i64 = exponent.parse().map_err(|_| fmt::Error)?;
    let sign = if exponent < 0 { '-' } else { '+' };
    write!(f, "{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// Whether `value`, not zero, lies halfway between two numbers of so many `decimals`.
///
/// The value is an odd integer over a power of two, 2^k. For k > 0 its exact expansion has k decimals and ends in
/// 5, so it is halfway for k - 1 decimals and no other number of them. (Without a fraction, k <= 0, a dropped
/// 5 would be worth more than the distance to the neighbouring doubles, so that the shorter text wouldn't read
/// back.)
fn is_halfway(value: f64, decimals: i64) -> bool {
    const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
    let bits = value.to_bits();
    let fraction = bits & ((1 << FRACTION_BITS) - 1);
    let biased = i64::from((bits >> FRACTION_BITS) as u16 & 0x7ff);
    let significand = if biased == 0 {
        fraction
    } else {
        fraction | 1 << FRACTION_BITS
    };
    let lowest_bit = biased.max(1) - 1075 + i64::from(significand.trailing_zeros());
    decimals == -lowest_bit - 1
}

/// A text of at most 40 bytes on the stack; the fixed form of a double from 1e-4 to 1e16 has at most 23.
struct ShortText {
    bytes: [u8; 40],
    length: usize,
}

impl Default for ShortText {
    fn default() -> Self {
        Self {
            bytes: [0; 40],
            length: 0,
        }
    }
}

impl ShortText {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).expect("only whole texts are written")
    }
}

impl fmt::Write for ShortText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        self.bytes
            .get_mut(self.length..end)
            .ok_or(fmt::Error)?
            .copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::format::original::Number;

    fn number(text: &str) -> Number {
        Number::parse(text).expect(text)
    }

    #[test]
    fn prints_as_python_does() {
        for (json, python) in [
            ("0", "0"),
            ("-0", "0"),
            ("-7", "-7"),
            ("9223372036854775808", "9223372036854775808"),
            ("-9223372036854775809", "-9223372036854775809"),
            ("100000000000000000000", "100000000000000000000"),
            ("0.0", "0.0"),
            ("-0.0", "-0.0"),
            ("1e0", "1.0"),
            ("1E+2", "100.0"),
            ("5e-324", "5e-324"),
            ("1e-05", "1e-05"),
            ("0.00010", "0.0001"),
            ("0.00009999", "9.999e-05"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("1000000000000000.0", "1000000000000000.0"),
            ("9999999999999998.0", "9999999999999998.0"),
            ("10000000000000000.0", "1e+16"),
            ("1.5e16", "1.5e+16"),
            ("1.5e300", "1.5e+300"),
            ("1e400", "inf"),
            ("-1e400", "-inf"),
            ("1700000000.434364", "1700000000.434364"),
            ("-123.25", "-123.25"),
            ("1474897284068655.25", "1474897284068655.2"),
            ("1474897284068655.75", "1474897284068655.8"),
            ("-1474897284068655.5", "-1474897284068655.5"),
            ("1125899906842624.0", "1125899906842624.0"),
            ("1125899906842623.875", "1125899906842623.9"),
            ("2251799813685247.75", "2251799813685247.8"),
            ("2251799813685248.5", "2251799813685248.5"),
            ("700000000000000.25", "700000000000000.2"),
            ("200000000000000.125", "200000000000000.12"),
            ("200000000000000.375", "200000000000000.38"),
            ("1700000000.00390625", "1700000000.0039062"),
            ("1700000000.01171875", "1700000000.0117188"),
            ("-1700000000.00390625", "-1700000000.0039062"),
        ] {
            assert_eq!(number(json).to_string(), python, "{json}");
        }
    }

    #[test]
    fn what_is_taken_for_printed_is_what_is_printed() {
        let mut bits = 1_u64;
        let mut taken = 0;
        for round in 0..200_000_u64 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let value = match round % 4 {
                // Times of today, to microseconds and to all that a double holds.
                0 => (bits >> 13) as f64 / 1e6,
                1 => 1.7e9 + (bits >> 32) as f64 / 4096.0,
                2 => (bits >> 11) as f64 / (1_u64 << (round % 60)) as f64,
                _ => f64::from_bits(bits),
            };
            let Some(number) = Number::from_f64(value) else {
                continue;
            };
            let printed = number.to_string();
            let own = value.to_string();
            for text in [
                printed.as_str(),
                &own,
                &format!("{own}0"),
                &format!("0{own}"),
                &format!("{own}."),
            ] {
                if let Some(read) = Number::from_printed(text) {
                    taken += 1;
                    assert_eq!(read.to_string(), text);
                    assert_eq!(Number::parse(text), Ok(read));
                }
            }
        }
        assert!(taken > 100_000, "{taken}");
        for text in [
            "", ".", "1.", ".5", "01.5", "1.50", "00", "-1", "1e5", "0.0", "1e+16",
        ] {
            assert!(Number::from_printed(text).is_none(), "{text}");
        }
    }

    #[test]
    fn every_form_reads_back() {
        let mut bits = 1_u64;
        for _ in 0..20_000 {
            // Knuth's multiplier for linear congruences.
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let value = f64::from_bits(bits);
            if value.is_finite() {
                let text = Number::from_f64(value).expect("not NaN").to_string();
                assert_eq!(text.parse(), Ok(value), "{text}");
            }
        }
    }
}
