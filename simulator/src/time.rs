//! Virtual time: milliseconds since the scenario began.

use crds::Duration;

/// Milliseconds since the scenario began.
pub type Ms = u64;

/// One second, in milliseconds.
pub const SECOND: Ms = 1_000;
/// One hour, in milliseconds.
pub const HOUR: Ms = 3_600 * SECOND;

/// A duration of a manifest or a scenario.
pub fn ms(duration: Duration) -> Ms {
    duration.as_secs().saturating_mul(SECOND)
}

/// This time in hours.
pub fn hours(ms: Ms) -> f64 {
    ms as f64 / HOUR as f64
}
