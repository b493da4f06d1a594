//! The node's addresses: a wire of two ends between this machine and the node's namespace, and ranges for pods and Services behind it. All are of
//! 198.18.0.0/15, which no real network has. This machine gets one address and two routes, which go with the wire, and no packet filter.

use std::{
    fs::{self, File},
    net::Ipv4Addr,
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::host::{cache, process::run};

use super::namespaces::Namespaces;

/// A number that no other cluster of this machine has, and the addresses that follow from it.
pub(super) struct Network {
    number: u8,
    /// Locked as long as this lives.
    _lock: File,
}

impl Network {
    /// Takes a free number.
    pub(super) fn take() -> Result<Self> {
        let folder = cache::dir()?.join("clusters");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for number in 0..=u8::MAX {
            let lock = File::create(folder.join(number.to_string())).context("cannot make a lock in the cache")?;
            if lock.try_lock().is_ok() {
                return Ok(Self { number, _lock: lock });
            }
        }
        bail!("256 clusters run already: end some")
    }

    /// This machine's end of the wire: here the API server listens.
    pub(super) fn machine(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.number, 1)
    }

    /// The node's end.
    pub(super) fn node(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.number, 2)
    }

    /// The range of the pods' addresses.
    pub(super) fn pods(&self) -> String {
        format!("198.19.{}.0/24", self.number)
    }

    /// The addresses of Services of the type LoadBalancer: they are led to the node, whose kube-proxy does the rest.
    pub(super) fn services(&self) -> String {
        format!("198.18.{}.64/26", self.number)
    }

    /// The name of what belongs to this cluster and stands beside others': the wire, and the control groups.
    pub(super) fn name(&self) -> String {
        format!("dirac-node{}", self.number)
    }

    /// Lays the wire into a node's namespaces.
    pub(super) fn join(&self, namespaces: &Namespaces) -> Result<()> {
        let (wire, pid) = (self.name(), namespaces.pid.to_string());
        let here = |args: &str| run(&format!("ip {args}"), Command::new("ip").args(args.split(' '))).map(|_| ());
        let there = |args: &str| run(&format!("ip {args}"), namespaces.command("ip").args(args.split(' '))).map(|_| ());
        here(&format!("link add {wire} type veth peer name eth0 netns {pid}"))?;
        here(&format!("address add {}/30 dev {wire}", self.machine()))?;
        here(&format!("link set {wire} up"))?;
        there(&format!("address add {}/30 dev eth0", self.node()))?;
        there("link set eth0 up")?;
        there(&format!("route add default via {}", self.machine()))?;
        // Tests ask pods for their metrics, and VMs of testbeds reach Services.
        [self.pods(), self.services()]
            .iter()
            .try_for_each(|range| here(&format!("route add {range} via {}", self.node())))
    }
}

impl Drop for Network {
    /// The kernel takes the wire away with the node's namespace, but when it likes: the next cluster may have this number at once.
    fn drop(&mut self) {
        Command::new("ip").args(["link", "delete", &self.name()]).output().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clusters_have_nothing_in_common() {
        let (one, other) = (Network::take().unwrap(), Network::take().unwrap());
        let all = |n: &Network| [n.machine().to_string(), n.node().to_string(), n.pods(), n.services(), n.name()];
        assert!(all(&one).iter().all(|mine| !all(&other).contains(mine)));
        // A name of an interface has at most fifteen letters.
        assert!(format!("dirac-node{}", u8::MAX).len() <= 15);
    }
}
