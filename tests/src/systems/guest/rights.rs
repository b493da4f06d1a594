//! Whether this machine lets a guest have what it needs. Root in a container often may not mount: better said at once than found by
//! a guest that never boots.

use std::process::Command;

use anyhow::{Result, bail, ensure};

use crate::host::process::output;

/// What a guest does first, one step after the other. Each says what it tries, so that the last word is what failed.
const STEPS: &str = r#"
set -e
echo "a mount namespace of its own"
mount --make-rprivate /
echo "a tmpfs"
mount -t tmpfs guest "$1"
mkdir "$1/fs" "$1/upper" "$1/work"
echo "an overlay of the root file system"
mount -t overlay guest -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/fs"
echo "a proc of its own"
mount -t proc proc "$1/fs/proc"
"#;

/// Tries in a child what a guest does first; the error says what is missing and what to do.
pub fn check() -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the guests of a testbed need mounts and namespaces, which only root may make: run this as root"
    );
    let folder = tempfile::tempdir()?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child=KILL", "sh", "-c", STEPS, "sh"]);
    let tried = output(command.arg(folder.path()), "")?;
    if tried.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&tried.stdout);
    let what = said.lines().last().unwrap_or("namespaces of its own");
    bail!(
        "a guest of a testbed needs {what}, and this machine refuses it to root ({}); in a container, start that with \
         the right to mount (docker run --privileged), or use a virtual machine",
        String::from_utf8_lossy(&tried.stderr).trim()
    )
}
