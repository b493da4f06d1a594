//! Crash points: places between two outside calls where a test may have the operator die as if by SIGKILL.
//!
//! Compiled only with the cargo feature `crash-points`. `DIRAC_OPERATOR_CRASH_AT=<name>` aborts at the first time the point
//! is reached, `<name>:<n>` at the nth. Each name stands *before* the call it is named after:
//!
//! | name | the call that does not happen any more |
//! |---|---|
//! | `create-pilotvm` | the round makes the PilotVM object (its finalizer is on it from the start) |
//! | `finalizer` | the finalizer is put on a PilotVM that came without one |
//! | `record-attempt` | the attempt to make the VM is written in the PilotVM's status |
//! | `register-row` | DIRAC registers the pilot |
//! | `create-vm` | the cloud makes the VM |
//! | `row-waiting` | the row is told that the VM exists |
//! | `record-vm` | the VM is written in the PilotVM's status |
//! | `record-running` | the pilot's first request is written in the status |
//! | `keep-console` | the console log is kept |
//! | `record-end` | the end is written in the status |
//! | `delete-vm` | the cloud deletes the VM |
//! | `close-row` | DIRAC closes the row |
//! | `delete-pilotvm` | the PilotVM object is deleted |
//! | `remove-finalizer` | the finalizer is taken off |

/// Dies here when the environment names this point.
#[cfg(feature = "crash-points")]
pub fn crash_point(name: &str) {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    };
    static AT: OnceLock<Option<(String, u32)>> = OnceLock::new();
    static REACHED: AtomicU32 = AtomicU32::new(0);
    let at = AT.get_or_init(|| {
        let text = std::env::var("DIRAC_OPERATOR_CRASH_AT").ok()?;
        let (name, count) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), count.parse().unwrap_or(1)))
    });
    if let Some((at, count)) = at
        && at == name
        && REACHED.fetch_add(1, Ordering::SeqCst) + 1 == *count
    {
        std::process::abort();
    }
}

/// Does nothing: crash points are not compiled in.
#[cfg(not(feature = "crash-points"))]
pub fn crash_point(_: &str) {}
