//! The image in which a pod waits: containerd needs one for each pod, and the usual one is in a registry. Ours holds Debian's catatonit.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::host::{cache, process::run};

use super::text;

/// Its name in containerd.
pub(super) const NAME: &str = "localhost/pause:1";

/// An archive of the image; made once, in the cache.
pub(super) fn image() -> Result<PathBuf> {
    let folder = cache::built("pause-image-1", |folder| {
        let work = tempfile::tempdir()?;
        fs::copy("/usr/bin/catatonit", work.path().join("pause")).context("there is no catatonit")?;
        fs::write(
            work.path().join("Containerfile"),
            "FROM scratch\nCOPY pause /pause\nENTRYPOINT [\"/pause\", \"-P\"]\n",
        )?;
        let buildah = |args: &[&str]| {
            let mut command = buildah(work.path());
            run(&format!("buildah {}", args.join(" ")), command.args(args)).map(|_| ())
        };
        buildah(&["build", "--quiet", "--tag", NAME, text(work.path())?])?;
        buildah(&["push", "--quiet", NAME, &format!("docker-archive:{}:{NAME}", folder.join("image.tar").display())])
    })?;
    Ok(folder.join("image.tar"))
}

/// `buildah` with its images in a folder of its own, which needs no mount.
pub(super) fn buildah(folder: &std::path::Path) -> std::process::Command {
    let mut command = std::process::Command::new("buildah");
    command.arg("--root").arg(folder.join("images")).arg("--runroot").arg(folder.join("run"));
    command.args(["--storage-driver", "vfs"]);
    command
}
