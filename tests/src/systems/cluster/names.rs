//! The cluster's name service, CoreDNS. It listens at this machine's end of the wire, beside the API server: there it reaches whoever
//! answers this machine's own questions, and the node's namespace has no way to them.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::Command,
};

use anyhow::Result;

use crate::{host::process::Process, systems::controlplane::ControlPlane};

use super::{PATIENCE, filled, text};

/// The address of the Service `kube-dns`, by which pods reach it.
pub(super) const SERVICE: &str = "10.96.0.10";
/// What this machine asks.
const RESOLVERS: &str = "/etc/resolv.conf";

/// A running CoreDNS. It ends when this is dropped.
pub(super) struct Names {
    process: Process,
    address: Ipv4Addr,
    port: u16,
    /// Of 127.0.0.1, where it says that it has read the cluster's Services.
    ready: u16,
}

impl Names {
    /// Starts it at this address of this machine, with the port at which it answers, and one of 127.0.0.1 where it says that it is ready.
    pub(super) fn start(
        bin: &Path,
        plane: &ControlPlane,
        state: &Path,
        address: Ipv4Addr,
        [port, ready]: [u16; 2],
    ) -> Result<Self> {
        let resolvers = fs::read_to_string(RESOLVERS).unwrap_or_default();
        let machine = fs::read_to_string("/proc/sys/kernel/hostname")?;
        let corefile = filled(
            include_str!("files/Corefile"),
            &[
                ("PORT", &port.to_string()),
                ("READY", &ready.to_string()),
                ("ADDRESS", &address.to_string()),
                ("MACHINE", machine.trim()),
                ("KUBECONFIG", text(&plane.kubeconfig_of("names"))?),
                ("OTHERS", others(&resolvers)),
            ],
        )?;
        let file = state.join("Corefile");
        fs::write(&file, corefile)?;
        let mut command = Command::new(bin.join("coredns"));
        command.arg("-conf").arg(file).current_dir("/");
        let process = Process::spawn("CoreDNS", command, &state.join("log/coredns.log"))?;
        Ok(Self { process, address, port, ready })
    }

    /// Waits until it knows the cluster's Services.
    pub(super) fn wait(&mut self) -> Result<()> {
        let ready = self.ready;
        self.process.wait_until("the cluster's Services", PATIENCE, || is_ready(ready).unwrap_or_default())
    }

    /// Where it listens, as host:port.
    pub(super) fn listens(&self) -> String {
        format!("{}:{}", self.address, self.port)
    }
}

/// What is done with names that are not the cluster's. Where this machine asks nobody, there are none.
fn others(resolvers: &str) -> &'static str {
    let asks = resolvers.lines().any(|line| line.split_whitespace().next() == Some("nameserver"));
    if asks { "forward . /etc/resolv.conf" } else { "template ANY ANY . {\n        rcode NXDOMAIN\n    }" }
}

fn is_ready(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"GET /ready HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split(' ').nth(1) == Some("200"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_are_asked_of_whom_this_machine_asks() {
        assert!(others("search lyon.fr\nnameserver 192.0.2.53\n").starts_with("forward"));
        assert!(others("# nameserver 192.0.2.53\n").starts_with("template") && others("").starts_with("template"));
    }
}
