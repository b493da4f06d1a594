//! A real Kubernetes cluster of one node on this machine: a control plane, a scheduler, and a node with containerd, kubelet and kube-proxy;
//! CoreDNS for names, and a program that gives volumes, and addresses to Services. All are plain processes.
//!
//! Pods run as anywhere: from images, with limits, probes, logs, Services, names, volumes and `kubectl exec`. Images are loaded from files;
//! nothing is pulled. What is unlike a usual cluster: `docs/cluster-testbed.md`.

pub mod images;
mod names;
mod namespaces;
mod network;
mod node;
mod programs;

use std::{fs, net::Ipv4Addr, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{
    host::{apt, port, process::Process},
    systems::{
        controlplane::{ControlPlane, NODE, PATIENCE, build},
        kubectl::Kubectl,
    },
};

use names::Names;
use namespaces::Namespaces;
use network::Network;
use node::Node;

/// Debian's packages of a node, and what makes its one own image.
const PACKAGES: [&str; 7] =
    ["buildah", "catatonit", "containerd", "containernetworking-plugins", "iptables", "iproute2", "runc"];

/// A running cluster. Dropping it ends it with all its pods; its folder stays.
pub struct Cluster {
    /// In the order in which they end.
    node: Node,
    names: Names,
    _provider: Process,
    _scheduler: Process,
    plane: ControlPlane,
}

impl Cluster {
    /// Starts one in the folder `state`, in half a minute; builds the programs and installs the packages first where they are
    /// missing. Its node is ready. Needs Debian and root.
    pub async fn start(state: &Path) -> Result<Self> {
        ensure!(nix::unistd::geteuid().is_root(), "a cluster with a node needs namespaces and mounts: run it as root");
        apt::ensure("a cluster with a node", &PACKAGES)?;
        let (bin, own) = (build::node()?, programs::built()?);
        let pause = images::pause()?;
        let folder = state.join("node");
        let network = Network::take()?;
        let namespaces = Namespaces::start(&folder)?;
        network.join(&namespaces)?;
        let plane = ControlPlane::start_at(&state.join("controlplane"), network.machine()).await?;
        let scheduler = scheduler(&bin, &plane, &state.join("controlplane/log"))?;
        let ports = port::free()?;
        plane.kubectl().apply(&filled(
            include_str!("files/system.yaml"),
            &[
                ("SERVICE", names::SERVICE),
                ("ADDRESS", &network.machine().to_string()),
                ("PORT", &ports[0].to_string()),
            ],
        )?)?;
        // They have their rights by now: who is refused first tries again late.
        let mut names = Names::start(&own, &plane, state, network.machine(), ports)?;
        let provider = provider(&own, &plane, state, &network)?;
        let mut node = Node::start(&folder, &bin, &plane, namespaces, network)?;
        node.load(&pause)?;
        node.join(&plane)?;
        names.wait()?;
        Ok(Self { node, names, _provider: provider, _scheduler: scheduler, plane })
    }

    /// The control plane, with everything that it can.
    pub fn plane(&self) -> &ControlPlane {
        &self.plane
    }

    /// The address at which pods reach what listens on this machine.
    pub fn machine(&self) -> Ipv4Addr {
        self.node.machine()
    }

    /// The addresses of Services of the type LoadBalancer, at which this machine reaches them.
    pub fn addresses(&self) -> String {
        self.node.addresses()
    }

    /// What listens while the cluster is well: name, and host:port.
    pub fn listens(&self) -> [(&'static str, String); 3] {
        [
            ("kube-apiserver", self.plane.address().to_owned()),
            ("kubelet", self.node.kubelet()),
            ("CoreDNS", self.names.listens()),
        ]
    }

    /// Loads the images of an archive, as `cargo xtask image --save` or `docker save` writes it.
    pub fn load(&self, archive: &Path) -> Result<()> {
        self.node.load(archive)
    }

    /// The words of a shell that load an archive, which they lack at their end.
    pub fn load_words(&self) -> String {
        self.node.load_words()
    }

    /// The last words of the kubelet, for a failure.
    pub fn last_words(&self) -> String {
        self.node.last_words()
    }
}

fn scheduler(bin: &Path, plane: &ControlPlane, log: &Path) -> Result<Process> {
    let [port] = port::free()?;
    let mut command = Command::new(bin.join("kube-scheduler"));
    command.arg("--kubeconfig").arg(plane.kubeconfig_of("scheduler")).args([
        "--bind-address=127.0.0.1",
        &format!("--secure-port={port}"),
        "--leader-elect=false",
    ]);
    Process::spawn("kube-scheduler", command, &log.join("kube-scheduler.log"))
}

/// Gives volumes, and addresses to Services.
fn provider(bin: &Path, plane: &ControlPlane, state: &Path, network: &Network) -> Result<Process> {
    let volumes = state.join("volumes");
    fs::create_dir_all(&volumes)?;
    let mut command = Command::new(bin.join("provider"));
    command.arg("-kubeconfig").arg(plane.kubeconfig_of("provider")).args([
        "-volumes",
        text(&volumes.canonicalize()?)?,
        "-node",
        NODE,
        "-addresses",
        &network.services(),
    ]);
    Process::spawn("the provider of volumes and addresses", command, &state.join("log/provider.log"))
}

/// Whether the node says that pods may run on it.
fn is_ready(kubectl: &Kubectl) -> bool {
    let ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
    kubectl.run(&["get", "node", NODE, "--output", ready]).is_ok_and(|status| status == "True")
}

/// A file of this folder with its places filled in.
fn filled(template: &str, places: &[(&str, &str)]) -> Result<String> {
    let text = places.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("@{name}@"), value));
    let left = text.split('@').nth(1).filter(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase()));
    match left {
        None => Ok(text),
        Some(name) => Err(anyhow::anyhow!("nothing was said for @{name}@")),
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("the path {} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_place_of_a_file_is_left_open() {
        assert_eq!(filled("a: @ONE@/@TWO@", &[("ONE", "1"), ("TWO", "2")]).unwrap(), "a: 1/2");
        let error = filled("a: @ONE@/@TWO@", &[("ONE", "1")]).unwrap_err().to_string();
        assert!(error.contains("@TWO@"), "{error}");
    }
}
