//! How fast the VMs of a pool are replaced that are not as their pool says any more, and when.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{Duration, duration::between, rule::rules, text::as_text};

/// How many VMs of a pool drain by drift at the same moment, and when such a drain may begin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("!has(self.maxVMs) || !has(self.maxPercent)", "give maxVMs or maxPercent, not both: remove one of them"),
])))]
pub struct Disruption {
    /// The most VMs that drain by drift at the same moment, for example 5. 0: no drain begins, so that VMs stay as they are until they are
    /// older than scaling.maxLifetime or find no more work.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "maxVMs")]
    #[schemars(range(min = 0, max = 20_000))]
    pub max_vms: Option<i64>,
    /// The same as a part of the pool's VMs, for example 25: of 40 VMs 10. Rounded down, and at least one VM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub max_percent: Option<i64>,
    /// When such a drain may begin, for example `[{days: [Sat, Sun], start: "22:00", duration: 6h}]`. One that has begun goes on when the
    /// time is over: no job is killed, and a VM with a long job would never go otherwise. Absent: always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub schedule: Vec<Window>,
}

/// A time of the week, in UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// The days on which it begins, for example `[Sat, Sun]`. Absent: every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7), extend("x-kubernetes-list-type" = "set"))]
    pub days: Vec<Day>,
    /// When it begins, in UTC, for example `"22:00"`.
    pub start: TimeOfDay,
    /// How long it lasts, 1m to 7d, for example `6h`. It may go on beyond midnight, and beyond the end of the week.
    #[schemars(extend("x-kubernetes-validations" = between("1m", "7d")))]
    pub duration: Duration,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Day {
    /// All days; a week begins with Monday.
    pub const ALL: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];
}

/// A time of the day, in whole minutes since midnight, written with two digits each, for example `06:30`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeOfDay(u16);

/// Why a text is no [`TimeOfDay`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidTime(String);

const HOW: &str =
    "write a time of the day in UTC with two digits for hours and minutes, from 00:00 to 23:59, for example 22:00";

impl fmt::Display for InvalidTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a time of the day: {HOW}", self.0)
    }
}
impl std::error::Error for InvalidTime {}

impl TimeOfDay {
    /// Minutes since midnight.
    pub const fn minutes(self) -> u64 {
        self.0 as u64
    }
}

impl FromStr for TimeOfDay {
    type Err = InvalidTime;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |part: &str| match part.as_bytes() {
            [a, b] if a.is_ascii_digit() && b.is_ascii_digit() => part.parse::<u16>().ok(),
            _ => None,
        };
        let read = || {
            let (hours, minutes) = text.split_once(':')?;
            let (hours, minutes) = (number(hours)?, number(minutes)?);
            (hours < 24 && minutes < 60).then_some(Self(hours * 60 + minutes))
        };
        read().ok_or_else(|| InvalidTime(text.chars().take(40).collect()))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

as_text!(TimeOfDay);

impl JsonSchema for TimeOfDay {
    fn schema_name() -> Cow<'static, str> {
        "TimeOfDay".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "maxLength": 8,
            "x-kubernetes-validations": rules(&[("self.matches('^([01][0-9]|2[0-3]):[0-5][0-9]$')", HOW)]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_and_written_as_people_write_it() {
        for (text, minutes) in [("00:00", 0), ("06:30", 390), ("22:00", 1_320), ("23:59", 1_439)] {
            let time: TimeOfDay = text.parse().unwrap();
            assert_eq!((time.minutes(), time.to_string().as_str()), (minutes, text));
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in
            ["", "22", "22:0", "2:00", "24:00", "22:60", "22:00:00", "-1:00", "+1:00", "10 pm", "é2:00", "22:00Z"]
        {
            let error = text.parse::<TimeOfDay>().unwrap_err().to_string();
            assert!(error.contains("is not a time of the day: write a time"), "{text}: {error}");
        }
    }
}
