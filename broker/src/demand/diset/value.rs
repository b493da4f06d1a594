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
    /// `S_OK`.
    Ok(Value),
    /// `S_ERROR`.
    Err {
        /// The number; 0: none.
        errno: i64,
        /// The words.
        message: String,
    },
}

/// At most so many values are in this JSON: each but the first of a list or an object follows a comma, each field a colon.
pub fn count(body: &[u8]) -> usize {
    body.iter().filter(|b| matches!(b, b',' | b':')).count() + 1
}

/// Takes the return structure apart; `None` when it is none.
pub fn answer(body: &[u8]) -> Option<Answer> {
    /// Errors of DIRAC may hold whole tracebacks: so much of one is enough to know it by.
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

/// A date, `{"__dCls": "dt", "obj": "2026-11-23 02:01:54"}`, always UTC.
pub fn date(value: &Value) -> Option<Timestamp> {
    if value.get("__dCls")?.as_str()? != "dt" {
        return None;
    }
    let civil: DateTime = value.get("obj")?.as_str()?.replacen(' ', "T", 1).parse().ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp())
}
