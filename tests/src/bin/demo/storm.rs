//! EC2 takes Spot VMs back, once in a demo, and as soon as there is something to see.

use std::time::Duration;

use anyhow::Result;

use crate::home::{Home, Lives};

/// How long before its end a VM is announced to be taken back: AWS gives two minutes, for which nobody here would wait.
const NOTICE: Duration = Duration::from_secs(5);
/// Fewer Spot VMs have no third.
const FEWEST: usize = 3;

/// Whether it has come.
#[derive(Default)]
pub struct Storm {
    came: bool,
}

impl Storm {
    /// Takes a third of the Spot VMs when enough of them run jobs; what was taken, as a sentence.
    pub async fn strike(&mut self, home: &Home) -> Result<Option<String>> {
        let Lives::ForReal(real) = &home.lives else { return Ok(None) };
        if self.came {
            return Ok(None);
        }
        let (all, busy) = real.spot_at_work(&real.lives().await?)?;
        if all < FEWEST || busy.len() < all.div_ceil(3) {
            return Ok(None);
        }
        self.came = true;
        let taken = real.storm(&busy, NOTICE).await?;
        let ids: Vec<&str> = taken.iter().map(|life| life.id.as_str()).collect();
        Ok(Some(format!("EC2 takes back {} of {all} Spot VMs, with the jobs on them: {}", ids.len(), ids.join(", "))))
    }
}
