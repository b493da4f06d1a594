//! Money as decimal text: no floating point between the manifest and the sum.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::{rule::rules, text::as_text};

/// A non-negative amount of money, kept in millionths, written as decimal text, for example `"0.05"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(u64);

impl Price {
    /// Millionths of the currency unit.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }
    /// Millionths of the currency unit.
    pub const fn micros(self) -> u64 {
        self.0
    }
}

impl FromStr for Price {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || {
            format!(
                "{:?} is not an amount: write a decimal number, for example \"0.05\", with at most six decimals",
                text.chars().take(40).collect::<String>()
            )
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 6 {
            return Err(bad());
        }
        let whole: u64 = whole.parse().map_err(|_| bad())?;
        let fraction: u64 = format!("{fraction:0<6}").parse().map_err(|_| bad())?;
        whole.checked_mul(1_000_000).and_then(|w| w.checked_add(fraction)).map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000);
        let trimmed = text.trim_end_matches('0');
        f.write_str(trimmed)?;
        if trimmed.ends_with('.') { f.write_str("00") } else { Ok(()) }
    }
}

as_text!(Price);

impl JsonSchema for Price {
    fn schema_name() -> Cow<'static, str> {
        "Price".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "maxLength": 16,
            "x-kubernetes-validations": rules(&[(
                "self.matches('^[0-9]{1,9}([.][0-9]{1,6})?$')",
                "write an amount as a quoted decimal number, for example \"0.05\": no sign, no currency, at most nine digits before the point and six after it",
            )]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_printed_without_loss() {
        for (text, micros, printed) in [
            ("0.05", 50_000, "0.05"),
            ("500", 500_000_000, "500.00"),
            ("1.20", 1_200_000, "1.2"),
            ("0.000001", 1, "0.000001"),
            ("999999999.999999", 999_999_999_999_999, "999999999.999999"),
            ("0", 0, "0.00"),
        ] {
            let price: Price = text.parse().unwrap();
            assert_eq!((price.micros(), price.to_string().as_str()), (micros, printed), "{text}");
            assert_eq!(printed.parse(), Ok(price));
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "1.0000001", "5 EUR", "99999999999999999999", "NaN"]
        {
            let error = text.parse::<Price>().unwrap_err();
            assert!(error.contains("is not an amount: write a decimal number"), "{text}: {error}");
        }
    }
}
