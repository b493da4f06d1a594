//! The node's processes: containerd, kubelet and kube-proxy, in namespaces of their own.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::{
    host::process::{Process, run},
    systems::controlplane::{ControlPlane, NODE},
};

use super::{PATIENCE, filled, images, is_ready, names, namespaces::Namespaces, network::Network, text};

/// Where control groups are.
const CGROUPS: &str = "/sys/fs/cgroup";

/// A node. Dropping it ends it with all its pods.
pub(super) struct Node {
    state: PathBuf,
    /// Newest first, then their namespaces with all that runs in them, then their control groups: in this order they are dropped.
    processes: Vec<Process>,
    namespaces: Namespaces,
    _groups: Groups,
    network: Network,
    bin: PathBuf,
}

impl Node {
    /// Starts containerd.
    pub(super) fn start(
        folder: &Path,
        bin: &Path,
        plane: &ControlPlane,
        namespaces: Namespaces,
        network: Network,
    ) -> Result<Self> {
        let state = folder.canonicalize()?;
        let write = |name: &str, template: &str, places: &[(&str, &str)]| -> Result<()> {
            let path = state.join(name);
            fs::create_dir_all(path.parent().context("a file without a folder")?)?;
            fs::write(path, filled(template, places)?)?;
            Ok(())
        };
        let place = text(&state)?;
        write("containerd.toml", include_str!("files/containerd.toml"), &[("STATE", place), ("PAUSE", images::PAUSE)])?;
        let pods = [("STATE", place), ("PODS", &network.pods())];
        write("cni/10-bridge.conflist", include_str!("files/bridge.conflist"), &pods)?;
        write(
            "kubelet.yaml",
            include_str!("files/kubelet.yaml"),
            &[
                ("STATE", place),
                ("ADDRESS", &network.node().to_string()),
                ("AUTHORITY", text(&plane.authority())?),
                ("CGROUP", &network.name()),
                ("NAMES", names::SERVICE),
            ],
        )?;
        write("resolv.conf", "nameserver @NAMES@\n", &[("NAMES", names::SERVICE)])?;
        let groups = Groups::make(&network.name())?;
        let mut command = namespaces.command("containerd");
        command.arg("--config").arg(state.join("containerd.toml"));
        let mut containerd = Process::spawn("containerd", command, &state.join("log/containerd.log"))?;
        let mut it = Self { state, processes: Vec::new(), namespaces, _groups: groups, network, bin: bin.to_owned() };
        containerd.wait_until("containerd's API", PATIENCE, || it.ctr(&["version"]).is_ok())?;
        it.processes.push(containerd);
        Ok(it)
    }

    /// Starts kubelet and kube-proxy; the node is ready.
    pub(super) fn join(&mut self, plane: &ControlPlane) -> Result<()> {
        let mut command = self.namespaces.command(self.bin.join("kubelet"));
        command.arg("--config").arg(self.state.join("kubelet.yaml")).arg("--root-dir").arg(self.state.join("kubelet"));
        command.arg("--kubeconfig").arg(plane.kubeconfig_of("node"));
        command.args(["--hostname-override", NODE, "--node-ip", &self.network.node().to_string()]);
        let kubelet = Process::spawn("kubelet", command, &self.state.join("log/kubelet.log"))?;
        self.processes.insert(0, kubelet);

        let mut command = self.namespaces.command(self.bin.join("kube-proxy"));
        command.arg("--kubeconfig").arg(plane.kubeconfig_of("proxy")).args([
            "--proxy-mode=iptables",
            "--hostname-override",
            NODE,
            &format!("--bind-address={}", self.network.node()),
            &format!("--cluster-cidr={}", self.network.pods()),
            // The table of connections is the whole machine's: it stays as it is.
            "--conntrack-max-per-core=0",
        ]);
        let proxy = Process::spawn("kube-proxy", command, &self.state.join("log/kube-proxy.log"))?;
        self.processes.insert(0, proxy);
        let kubectl = plane.kubectl();
        self.processes[1].wait_until("a node that is ready", PATIENCE, || is_ready(&kubectl))
    }

    /// This machine's end of the wire.
    pub(super) fn machine(&self) -> Ipv4Addr {
        self.network.machine()
    }

    /// The addresses of Services of the type LoadBalancer.
    pub(super) fn addresses(&self) -> String {
        self.network.services()
    }

    /// Where the kubelet listens, as host:port.
    pub(super) fn kubelet(&self) -> String {
        format!("{}:10250", self.network.node())
    }

    /// Loads the images of an archive.
    pub(super) fn load(&self, archive: &Path) -> Result<()> {
        let archive = archive.canonicalize().with_context(|| format!("there is no {}", archive.display()))?;
        self.ctr(&["images", "import", text(&archive)?]).map(|_| ())
    }

    /// The last words of the kubelet.
    pub(super) fn last_words(&self) -> String {
        let kubelet = self.processes.iter().rev().nth(1);
        kubelet.map(Process::last_words).unwrap_or_default()
    }

    /// What a person writes before an archive's name to load it.
    pub(super) fn load_words(&self) -> String {
        let mut command = self.ctr_command();
        command.args(["images", "import"]);
        let words = [command.get_program()].into_iter().chain(command.get_args());
        words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    fn ctr(&self, args: &[&str]) -> Result<String> {
        run(&format!("ctr {}", args.join(" ")), self.ctr_command().args(args))
    }

    fn ctr_command(&self) -> Command {
        let mut command = self.namespaces.command("ctr");
        command.arg("--address").arg(self.state.join("containerd.sock")).args(["--namespace", "k8s.io"]);
        command
    }
}

/// The control groups below which the kubelet makes those of its pods: of this cluster alone, since it takes away others that it finds.
struct Groups(Vec<PathBuf>);

impl Groups {
    /// In the one hierarchy, or in each of the older kind.
    fn make(name: &str) -> Result<Self> {
        let root = Path::new(CGROUPS);
        let hierarchies = if root.join("cgroup.controllers").exists() {
            vec![root.to_owned()]
        } else {
            let all = fs::read_dir(root).with_context(|| format!("cannot read {CGROUPS}"))?;
            all.flatten().map(|entry| entry.path()).filter(|path| path.join("cgroup.procs").exists()).collect()
        };
        let it = Self(hierarchies.into_iter().map(|path| path.join(name)).collect());
        // A run that was killed left them.
        it.remove();
        for group in &it.0 {
            fs::create_dir_all(group).with_context(|| format!("cannot make the control group {}", group.display()))?;
        }
        Ok(it)
    }

    /// Takes them away, with those below; processes that were killed may still be in them for a moment.
    fn remove(&self) {
        let begun = Instant::now();
        while !self.0.iter().all(|group| removed(group)) && begun.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Whether a group and all below it are gone. Its files are the kernel's and go with it.
fn removed(group: &Path) -> bool {
    let Ok(entries) = fs::read_dir(group) else { return !group.exists() };
    let below = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    for entry in below {
        removed(&entry.path());
    }
    // It fails as long as one is left below.
    fs::remove_dir(group).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_go_with_those_below_and_one_that_is_in_use_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (idle, used) = (folder.path().join("idle"), folder.path().join("used"));
        for group in [&idle, &used] {
            fs::create_dir_all(group.join("kubepods/burstable")).unwrap();
        }
        // No group has files that can be deleted, so one in use is like a folder with a file.
        fs::write(used.join("kubepods/procs"), "7").unwrap();
        assert!(removed(&idle) && !idle.exists());
        assert!(!removed(&used) && !used.join("kubepods/burstable").exists());
        assert!(removed(&folder.path().join("never")), "there is nothing to remove");
    }
}
