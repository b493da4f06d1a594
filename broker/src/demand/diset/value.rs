//! DIRAC's return structure (`S_OK`, `S_ERROR`) and its dates in JSON (`Core/Utilities/JEncode.py`).

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde_json::Value;

/// DIRAC's number for "not authorised" (`Core/Utilities/DErrno.py`, ENOAUTH).
pub const UNAUTHORIZED: i64 = 1111;
/// DIRAC's number for "no pilot of this reference" (`EWMSNOPILOT`).
pub const NO_PILOT: i64 = 1550;

/// What a service answers.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// DIRAC's `S_OK`, with its value.
    Ok(Value),
    /// `S_ERROR`.
    Err {
        /// The number; 0: none said.
        errno: i64,
        /// DIRAC's words.
        message: String,
    },
}

/// An upper bound of the number of values in this JSON: each value follows a comma, a colon or an opening bracket, or is the whole.
pub fn count(body: &[u8]) -> usize {
    body.iter().filter(|b| matches!(b, b',' | b':' | b'[' | b'{')).count() + 1
}

/// Takes the return structure apart; `None` when the JSON is something else.
pub fn answer(body: &[u8]) -> Option<Answer> {
    /// In characters. Errors of DIRAC may hold whole tracebacks, and their beginning is enough to know them by.
    const LONGEST_MESSAGE: usize = 500;
    let mut value: Value = serde_json::from_slice(body).ok()?;
    let object = value.as_object_mut()?;
    match object.get("OK")?.as_bool()? {
        true => Some(Answer::Ok(object.remove("Value").unwrap_or(Value::Null))),
        false => Some(Answer::Err {
            errno: object.get("Errno").and_then(Value::as_i64).unwrap_or(0),
            message: object
                .get("Message")
                .and_then(Value::as_str)
                .unwrap_or("no message")
                .chars()
                .take(LONGEST_MESSAGE)
                .collect(),
        }),
    }
}

/// The text of what JSON has no word for, by its class: `{"__dCls": CLASS, "obj": TEXT}`.
pub fn object<'a>(value: &'a Value, class: &str) -> Option<&'a str> {
    value.get("obj").filter(|_| value.get("__dCls").and_then(Value::as_str) == Some(class))?.as_str()
}

/// A date, `{"__dCls": "dt", "obj": "2026-11-23 02:01:54"}`, always UTC.
pub fn date(value: &Value) -> Option<Timestamp> {
    let civil: DateTime = object(value, "dt")?.replacen(' ', "T", 1).parse().ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(value: &Value) -> usize {
        1 + match value {
            Value::Array(all) => all.iter().map(values).sum::<usize>(),
            Value::Object(all) => all.values().map(values).sum::<usize>(),
            _ => 0,
        }
    }

    #[test]
    fn no_json_has_more_values_than_are_counted() {
        let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
        for value in
            [json!(1), json!([]), json!([[1], [2], []]), json!({"a": {"b": [1, {}]}, "c": "x,y"}), json!([deep, deep])]
        {
            assert!(count(value.to_string().as_bytes()) >= values(&value), "{value}");
        }
    }
}
