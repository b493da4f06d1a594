//! Waiting until something holds, as every layer does.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::host::process::check_interrupted;

/// How often it is looked, at most.
const PAUSE: Duration = Duration::from_millis(500);
/// How often it is said what is waited for.
const SAY: Duration = Duration::from_secs(20);

/// Looks until `holds` gives `Ok`; the time that it took. `Err` says what is lacking now, which is said now and then and is in the error
/// after `patience`. What must never be is an assertion of the caller's in `holds`.
pub async fn until(
    what: &str,
    patience: Duration,
    mut holds: impl AsyncFnMut() -> Result<(), String>,
) -> Result<Duration> {
    let begun = Instant::now();
    let mut said = Instant::now();
    loop {
        check_interrupted()?;
        match holds().await {
            Ok(()) => {
                eprintln!("    {:>4} s  {what}", begun.elapsed().as_secs());
                return Ok(begun.elapsed());
            }
            Err(now) if begun.elapsed() > patience => bail!("{what}: not within {} s: {now}", patience.as_secs()),
            Err(now) if said.elapsed() > SAY => {
                said = Instant::now();
                eprintln!("    {:>4} s  waiting until {what}: {now}", begun.elapsed().as_secs());
            }
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_never_holds_is_an_error_that_says_what_is_lacking() {
        let mut left = 2;
        let counts = async || {
            left -= 1;
            if left == 0 { Ok(()) } else { Err(format!("{left} are left")) }
        };
        until("all are gone", Duration::from_secs(10), counts).await.unwrap();
        let never = until("it rains", Duration::ZERO, async || Err("the sun shines".to_owned())).await;
        let error = never.unwrap_err().to_string();
        assert!(error.contains("it rains") && error.contains("the sun shines"), "{error}");
    }
}
