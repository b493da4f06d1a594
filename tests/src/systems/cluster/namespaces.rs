//! A node's own namespaces of this machine: network, mounts and processes, all held by one process. When it ends, however it comes,
//! the kernel ends every process in them and takes mounts, addresses and packet filters away.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::host::process::Process;

use super::PATIENCE;

/// Run as the first process: notes the number under which this machine knows it, and becomes one that reaps orphans and does no more.
/// What programs of a node write at places of their own goes to memory.
const FIRST: &str = r#"
set -e
read -r pid _ < /proc/self/stat
mount -t proc proc /proc
for place in /run /var/lib /var/log; do mount -t tmpfs tmpfs "$place"; done
ip link set lo up
echo "$pid" > "$1.half"
mv "$1.half" "$1"
exec catatonit -P
"#;
/// Those places: the state folder may not be below one of them.
const HIDDEN: [&str; 3] = ["/run", "/var/lib", "/var/log"];

/// The namespaces; they end when this is dropped.
pub(super) struct Namespaces {
    /// The first process in them, as this machine numbers it.
    pub(super) pid: u32,
    _first: Process,
}

impl Namespaces {
    /// Makes them. `folder` keeps the log and the number.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        let hidden = HIDDEN.iter().find(|place| folder.starts_with(place));
        ensure!(
            hidden.is_none(),
            "a node hides {} and cannot have its state below it, in {}; say --state DIR with another folder",
            hidden.copied().unwrap_or_default(),
            folder.display()
        );
        let noted: PathBuf = folder.join("pid");
        fs::remove_file(&noted).ok();
        let mut command = Command::new("unshare");
        command
            .args(["--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "sh", "-c", FIRST, "node"])
            .arg(&noted);
        let mut first = Process::spawn("a node's namespaces", command, &folder.join("log/namespaces.log"))?;
        first.wait_until("its first process", PATIENCE, || noted.exists())?;
        let pid = fs::read_to_string(&noted)?.trim().parse().context("the first process noted no number")?;
        Ok(Self { pid, _first: first })
    }

    /// A command that runs in them.
    pub(super) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid.to_string(), "--net", "--mount", "--pid", "--"]).arg(program.as_ref());
        // containerd looks for runc, and its plugins for iptables.
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/");
        command
    }
}
