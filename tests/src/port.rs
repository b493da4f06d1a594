//! Free TCP ports on the loopback interface.

use std::net::TcpListener;

use anyhow::{Context, Result};

/// `N` different ports that nothing listened on a moment ago, below the range that the kernel gives to outgoing
/// connections, so that they stay free until the service that asked for them listens.
pub fn free<const N: usize>() -> Result<[u16; N]> {
    let mut held = Vec::new();
    let mut port = || -> Result<u16> {
        for _ in 0..2_000 {
            let candidate = rand::random_range(12_000..32_000);
            if let Ok(listener) = TcpListener::bind(("127.0.0.1", candidate)) {
                held.push(listener);
                return Ok(candidate);
            }
        }
        anyhow::bail!("no free TCP port between 12000 and 32000 on 127.0.0.1")
    };
    let mut ports = [0; N];
    for slot in &mut ports {
        *slot = port().context("looking for free ports")?;
    }
    Ok(ports)
}
