//! Lengths of time as administrators write them: `90s`, `20m`, `48h`, `7d`, `1h30m`.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use crate::{rule::rules, text::as_text};

/// A length of time in whole seconds, written with the units `d`, `h`, `m`, `s` from large to small (`1d12h`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u64);

/// Why a text is not a [`Duration`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDuration(String);

impl fmt::Display for InvalidDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a duration: write whole numbers with units d, h, m, s from large to small, for example 90s, 20m, 1h30m or 7d",
            self.0
        )
    }
}
impl std::error::Error for InvalidDuration {}

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Duration {
    /// A duration of this many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds)
    }
    /// Whole seconds.
    pub const fn as_secs(self) -> u64 {
        self.0
    }
}

impl From<Duration> for std::time::Duration {
    fn from(d: Duration) -> Self {
        Self::from_secs(d.0)
    }
}

impl FromStr for Duration {
    type Err = InvalidDuration;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || InvalidDuration(text.chars().take(40).collect());
        let (mut rest, mut total, mut units) = (text, 0_u64, UNITS.iter());
        if rest.is_empty() {
            return Err(bad());
        }
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
            let (number, tail) = rest.split_at(end);
            let unit = tail.chars().next().ok_or_else(bad)?;
            let (_, seconds) = units.find(|(u, _)| *u == unit).ok_or_else(bad)?;
            let number: u64 = number.parse().map_err(|_| bad())?;
            total = number.checked_mul(*seconds).and_then(|s| total.checked_add(s)).ok_or_else(bad)?;
            rest = &tail[unit.len_utf8()..];
        }
        Ok(Self(total))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, seconds) in UNITS {
            if rest >= seconds {
                write!(f, "{}{unit}", rest / seconds)?;
                rest %= seconds;
            }
        }
        Ok(())
    }
}

as_text!(Duration);

const FORMAT: &str = "^([0-9]{1,6}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,9}s)?$";

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 2,
            "maxLength": 24,
            "x-kubernetes-validations": rules(&[(
                &format!("self.matches('{FORMAT}')"),
                "write a duration as whole numbers with units d, h, m, s from large to small, for example 90s, 20m, 1h30m or 7d",
            )]),
        })
    }
}

/// Rules for a field that holds a duration of at least `least` and at most `most`, for example `between("1m", "24h")`.
pub fn between(least: &str, most: &str) -> Value {
    let bound = |text: &str| text.parse::<Duration>().unwrap_or_default().as_secs();
    let rule = format!(
        "self.matches('{FORMAT}') && [{}].all(s, s >= {} && s <= {})",
        seconds("self"),
        bound(least),
        bound(most)
    );
    let message = format!(
        "write a duration between {least} and {most}: whole numbers with units d, h, m, s from large to small, for example 90s, 20m, 1h30m or 7d"
    );
    rules(&[(&rule, &message)])
}

/// The CEL expression of a duration's seconds; CEL itself knows no days.
pub fn seconds(field: &str) -> String {
    UNITS
        .map(|(unit, seconds)| format!("int(('0' + {field}.find('[0-9]+{unit}')).replace('{unit}', '')) * {seconds}"))
        .join(" + ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_printed_in_its_shortest_form() {
        for (text, seconds, printed) in [
            ("90s", 90, "1m30s"),
            ("20m", 1_200, "20m"),
            ("1h30m", 5_400, "1h30m"),
            ("48h", 172_800, "2d"),
            ("7d", 604_800, "7d"),
            ("1d0h5s", 86_405, "1d5s"),
            ("0s", 0, "0s"),
        ] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!((duration.as_secs(), duration.to_string().as_str()), (seconds, printed), "{text}");
            assert_eq!(printed.parse(), Ok(duration));
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "5",
            "m",
            "5 m",
            "-5m",
            "1.5h",
            "5m1h",
            "5m5m",
            "1w",
            "20M",
            "99999999999999999999s",
            "999999999999999999d",
            "é",
            "5é",
        ] {
            let error = text.parse::<Duration>().unwrap_err().to_string();
            assert!(error.contains("is not a duration: write whole numbers"), "{text}: {error}");
        }
    }

    #[test]
    fn the_bounds_of_rules_are_durations() {
        assert!(between("1m", "24h").to_string().contains("s >= 60 && s <= 86400"));
    }
}
