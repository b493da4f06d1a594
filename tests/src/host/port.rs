//! Free TCP ports on the loopback interface.

use std::{
    fs::{self, File},
    net::TcpListener,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, bail};

use crate::host::cache;

/// Below the range that the kernel gives to outgoing connections, so that a port stays free until its service listens.
const FIRST: u16 = 12_000;
const BLOCKS: u16 = 200;
const PORTS_IN_A_BLOCK: u16 = 100;

/// The ports of this process: a service listens only seconds after its port was chosen, and no other testbed may choose it meanwhile.
struct Block {
    first: u16,
    /// How many were tried, round and round.
    tried: u16,
    /// Locked as long as this process lives.
    _lock: File,
}

static BLOCK: Mutex<Option<Block>> = Mutex::new(None);

/// `N` different ports that nothing listens on.
pub fn free<const N: usize>() -> Result<[u16; N]> {
    let mut block = BLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let block = match &mut *block {
        Some(block) => block,
        none => none.insert(Block::take()?),
    };
    let mut held = Vec::new();
    let mut ports = [0; N];
    for slot in &mut ports {
        let mut port = || {
            for _ in 0..PORTS_IN_A_BLOCK {
                let candidate = block.first + block.tried % PORTS_IN_A_BLOCK;
                block.tried = block.tried.wrapping_add(1) % PORTS_IN_A_BLOCK;
                if let Ok(listener) = TcpListener::bind(("127.0.0.1", candidate)) {
                    held.push(listener);
                    return Ok(candidate);
                }
            }
            bail!("no free TCP port from {} to {} on 127.0.0.1", block.first, block.first + PORTS_IN_A_BLOCK - 1)
        };
        *slot = port()?;
    }
    Ok(ports)
}

impl Block {
    /// A block that no other process of this user has.
    fn take() -> Result<Self> {
        let folder = cache::dir()?.join("ports");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let from = rand::random_range(0..BLOCKS);
        for number in (0..BLOCKS).map(|n| (from + n) % BLOCKS) {
            let lock = File::create(folder.join(number.to_string())).context("cannot make a lock in the cache")?;
            if lock.try_lock().is_ok() {
                return Ok(Self { first: FIRST + number * PORTS_IN_A_BLOCK, tried: 0, _lock: lock });
            }
        }
        bail!("all {BLOCKS} blocks of ports are taken: end the testbeds that run")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_given_once_and_a_taken_one_never() {
        let first: [u16; 30] = free().unwrap();
        let _taken = TcpListener::bind(("127.0.0.1", first[29] + 1));
        let second: [u16; 30] = free().unwrap();
        assert!(second.iter().all(|p| !first.contains(p) && *p != first[29] + 1), "{first:?} {second:?}");
        let lock = cache::dir().unwrap().join("ports").join(((first[0] - FIRST) / PORTS_IN_A_BLOCK).to_string());
        assert!(File::create(lock).unwrap().try_lock().is_err(), "another process would take the same block");
    }
}
