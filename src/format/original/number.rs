//! Numbers as MPREG (Python) reads, compares and prints them.
//!
//! MPREG hashes and signs the *printed* form of its numbers, so `1`, `1.0` and `1e0` are three texts of
//! which the last two print alike. A JSON number without `.`, `e` or `E` is an integer of any size; every
//! other is an IEEE 754 double, printed with the fewest digits that read back to it. Comparison is by
//! exact mathematical value, never by rounding the integer to a double.
//!
//! Invariant: no value is NaN (JSON has none), so the order is total; [`Number`] has `-0.0 == 0`.

mod print;

use std::cmp::Ordering;
use std::fmt;

/// The most digits that Python converts between text and integer (its default
/// `sys.int_info.default_max_str_digits`); it refuses longer ones, and so does this module.
pub const MAX_INTEGER_DIGITS: usize = 4300;

/// The text is not a number that MPREG could have read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NumberError {
    /// The text doesn't follow JSON's grammar for numbers.
    #[error("not a JSON number")]
    Syntax,
    /// The integer has more than [`MAX_INTEGER_DIGITS`] digits.
    #[error("an integer of more than {MAX_INTEGER_DIGITS} digits")]
    TooManyDigits,
}

/// An integer of any size or a double; see the module's description.
///
/// Equality and order go by value (`1 == 1.0`), the printed form tells the two apart.
#[derive(Debug, Clone)]
pub struct Number(Form);

#[derive(Debug, Clone)]
enum Form {
    Small(i64),
    /// Canonical decimal text outside the range of `i64`: no leading zero, `-` if negative.
    Big(Box<str>),
    Float(f64),
}

impl Number {
    /// Reads one JSON number.
    ///
    /// # Errors
    /// [`NumberError::Syntax`] if `text` is anything but a JSON number without surrounding space,
    /// [`NumberError::TooManyDigits`] for an integer beyond Python's limit.
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let is_integer = check_syntax(text.as_bytes())?;
        if !is_integer {
            let value = text.parse().map_err(|_| NumberError::Syntax)?;
            return Ok(Self(Form::Float(value)));
        }
        if let Ok(small) = text.parse() {
            return Ok(Self(Form::Small(small)));
        }
        if text.trim_start_matches('-').len() > MAX_INTEGER_DIGITS {
            return Err(NumberError::TooManyDigits);
        }
        Ok(Self(Form::Big(text.into())))
    }

    /// The number that isn't negative and whose printed form is `text`; `None` if there is none, and for some that are rare.
    /// So a number that Python printed needn't be printed again, which takes longer than reading it.
    pub fn from_printed(text: &str) -> Option<Self> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::parse(text).ok();
        }
        let value = text.parse().ok()?;
        print::is_printed(value, text).then_some(Self(Form::Float(value)))
    }

    /// The double `value`, or `None` for NaN.
    #[must_use]
    pub fn from_f64(value: f64) -> Option<Self> {
        (!value.is_nan()).then_some(Self(Form::Float(value)))
    }

    /// Whether Python would hold this as `int`.
    #[must_use]
    pub const fn is_integer(&self) -> bool {
        !matches!(self.0, Form::Float(_))
    }

    /// Whether the value is below zero; `-0.0` is not.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        match &self.0 {
            Form::Small(value) => *value < 0,
            Form::Big(text) => text.starts_with('-'),
            Form::Float(value) => *value < 0.0,
        }
    }

    /// Whether the value is above zero.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        match &self.0 {
            Form::Small(value) => *value > 0,
            Form::Big(text) => !text.starts_with('-'),
            Form::Float(value) => *value > 0.0,
        }
    }

    /// The integer, if it is one and fits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match &self.0 {
            Form::Small(value) => u64::try_from(*value).ok(),
            Form::Big(text) => text.parse().ok(),
            Form::Float(_) => None,
        }
    }

    /// The integer, if it is one and fits.
    #[must_use]
    pub fn as_i128(&self) -> Option<i128> {
        match &self.0 {
            Form::Small(value) => Some(i128::from(*value)),
            Form::Big(text) => text.parse().ok(),
            Form::Float(_) => None,
        }
    }

    /// The nearest double; an integer beyond the range of doubles gives an infinity.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        match &self.0 {
            // Rounds to nearest, as the conversion of Python does.
            Form::Small(value) => *value as f64,
            // Every decimal text parses as f64; the fallback is unreachable and harmless.
            Form::Big(text) => text.parse().unwrap_or(f64::INFINITY),
            Form::Float(value) => *value,
        }
    }

    /// `self + seconds` as Python adds an `int` to it: exact for integers, one rounding for doubles.
    #[must_use]
    pub fn plus(&self, seconds: u32) -> Self {
        match &self.0 {
            Form::Small(value) => Self::from(i128::from(*value) + i128::from(seconds)),
            Form::Big(text) => Self(Form::Big(add_to_decimal(text, seconds))),
            Form::Float(value) => Self(Form::Float(value + f64::from(seconds))),
        }
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::from(i128::from(value))
    }
}

impl From<i128> for Number {
    fn from(value: i128) -> Self {
        Self(i64::try_from(value).map_or_else(|_| Form::Big(value.to_string().into()), Form::Small))
    }
}

impl fmt::Display for Number {
    /// The text that Python's `str` gives.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Small(value) => write!(f, "{value}"),
            Form::Big(text) => f.write_str(text),
            Form::Float(value) => print::write_float(f, *value),
        }
    }
}

impl serde::Serialize for Number {
    /// As a JSON number; one out of JSON's or `i64`'s range as a string of its printed form.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Form::Small(value) => serializer.serialize_i64(*value),
            Form::Float(value) if value.is_finite() => serializer.serialize_f64(*value),
            Form::Big(_) | Form::Float(_) => serializer.collect_str(self),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        /// Doubles hold every integer up to this magnitude exactly.
        const EXACT: u64 = 1 << 53;
        match (&self.0, &other.0) {
            (Form::Small(a), Form::Small(b)) => a.cmp(b),
            (Form::Float(a), Form::Float(b)) => compare_floats(*a, *b),
            (Form::Small(a), Form::Float(b)) if a.unsigned_abs() <= EXACT => {
                compare_floats(*a as f64, *b)
            }
            (Form::Float(_), Form::Small(_) | Form::Big(_)) => other.cmp(self).reverse(),
            (_, Form::Float(b)) => compare_with_float(&self.to_string(), *b),
            (_, Form::Small(_) | Form::Big(_)) => {
                compare_decimals(&self.to_string(), &other.to_string())
            }
        }
    }
}

fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).expect("no number is NaN: JSON has none")
}

/// Compares canonical decimal integers.
fn compare_decimals(a: &str, b: &str) -> Ordering {
    let magnitude = |a: &str, b: &str| a.len().cmp(&b.len()).then_with(|| a.cmp(b));
    match (a.strip_prefix('-'), b.strip_prefix('-')) {
        (None, None) => magnitude(a, b),
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => magnitude(b, a),
    }
}

/// Compares a canonical decimal integer with a double, exactly: first with the double's integer part,
/// which prints without loss, then by the sign of what that left over.
fn compare_with_float(integer: &str, float: f64) -> Ordering {
    if float.is_infinite() {
        return if float > 0.0 {
            Ordering::Less
        } else {
            Ordering::Greater
        };
    }
    let whole = float.trunc();
    let text = if whole == 0.0 {
        "0".to_owned()
    } else {
        format!("{whole:.0}")
    };
    compare_decimals(integer, &text).then_with(|| compare_floats(whole, float))
}

/// Adds to a canonical decimal integer whose magnitude exceeds `addend`.
fn add_to_decimal(text: &str, addend: u32) -> Box<str> {
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or(("", text), |digits| ("-", digits));
    let mut carry = i64::from(addend) * if sign.is_empty() { 1 } else { -1 };
    let mut sum: Vec<u8> = Vec::with_capacity(digits.len() + 1);
    for digit in digits.bytes().rev() {
        let value = i64::from(digit - b'0') + carry;
        let low = u8::try_from(value.rem_euclid(10)).expect("a remainder of ten is one digit");
        sum.push(b'0' + low);
        carry = value.div_euclid(10);
    }
    while carry > 0 {
        let low = u8::try_from(carry % 10).expect("a remainder of ten is one digit");
        sum.push(b'0' + low);
        carry /= 10;
    }
    let text: String = sum.iter().rev().map(|digit| char::from(*digit)).collect();
    format!("{sign}{}", text.trim_start_matches('0')).into()
}

/// Checks JSON's grammar for numbers; says whether the text is an integer.
fn check_syntax(text: &[u8]) -> Result<bool, NumberError> {
    let digits = |from: usize| {
        text[from..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let mut at = usize::from(text.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || (whole > 1 && text[at] == b'0') {
        return Err(NumberError::Syntax);
    }
    at += whole;
    let mut is_integer = true;
    if text.get(at) == Some(&b'.') {
        is_integer = false;
        let fraction = digits(at + 1);
        if fraction == 0 {
            return Err(NumberError::Syntax);
        }
        at += 1 + fraction;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        is_integer = false;
        at += 1;
        at += usize::from(matches!(text.get(at), Some(b'+' | b'-')));
        let exponent = digits(at);
        if exponent == 0 {
            return Err(NumberError::Syntax);
        }
        at += exponent;
    }
    if at == text.len() {
        Ok(is_integer)
    } else {
        Err(NumberError::Syntax)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).expect(text)
    }

    #[test]
    fn refuses_what_is_not_a_json_number() {
        for text in [
            "", "-", "01", "+1", "1.", ".5", "1e", "1e+", " 1", "1 ", "NaN", "Infinity", "0x1",
        ] {
            assert_eq!(
                Number::parse(text).map(|n| n.to_string()),
                Err(NumberError::Syntax),
                "{text}"
            );
        }
    }

    #[test]
    fn bounds_integers_but_not_floats() {
        let longest = "9".repeat(MAX_INTEGER_DIGITS);
        assert_eq!(number(&longest).to_string(), longest);
        assert_eq!(
            number(&format!("-{longest}")).to_string(),
            format!("-{longest}")
        );
        assert_eq!(
            Number::parse(&format!("{longest}9")).err(),
            Some(NumberError::TooManyDigits)
        );
        assert_eq!(number(&format!("{longest}9.0")).to_string(), "inf");
    }

    #[test]
    fn compares_integers_and_floats_by_exact_value() {
        let ascending = [
            "-1e400",
            "-9223372036854775809",
            "-9223372036854775808",
            "-1.5",
            "-1",
            "0",
            "5e-324",
            "1",
            "1.5",
            "2",
            "9007199254740992.0",
            "9007199254740993",
            "9007199254740994.0",
            "9223372036854775807",
            "9223372036854775808.0",
            "9223372036854775809",
            "99999999999999999999",
            "1e20",
            "100000000000000000001",
            "1e400",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(number(a).cmp(&number(b)), i.cmp(&j), "{a} against {b}");
            }
        }
        for (a, b) in [
            ("1", "1.0"),
            ("-0.0", "0"),
            ("1e20", "100000000000000000000"),
        ] {
            assert_eq!(number(a), number(b));
        }
    }

    #[test]
    fn adds_seconds_without_losing_integer_digits() {
        for (start, sum) in [
            ("0", "300"),
            ("9223372036854775800", "9223372036854776100"),
            ("99999999999999999999", "100000000000000000299"),
            ("-10000000000000000000", "-9999999999999999700"),
            ("-100000000000000000299", "-99999999999999999999"),
            ("0.5", "300.5"),
            ("1e400", "inf"),
        ] {
            assert_eq!(number(start).plus(300).to_string(), sum);
        }
    }
}
