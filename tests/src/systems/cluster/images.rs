//! The images that a cluster of tests has without a registry, made of Debian's programs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::host::{apt, cache, process::run};

use super::text;

/// In which a pod waits: containerd needs one for each pod, and the usual one is in a registry.
pub(super) const PAUSE: &str = "localhost/pause:1";
/// With a shell, a web server, a client, and the C library's way to look names up (`getent`).
pub const SHELL: &str = "localhost/shell:1";

/// An archive of [`PAUSE`], which is Debian's catatonit; made once, in the cache.
pub(super) fn pause() -> Result<PathBuf> {
    built("pause-image-1", PAUSE, r#"ENTRYPOINT ["/pause", "-P"]"#, |root| {
        fs::copy("/usr/bin/catatonit", root.join("pause")).context("there is no catatonit").map(drop)
    })
}

/// An archive of [`SHELL`], for tests of what pods can do; made once, in the cache.
pub fn shell() -> Result<PathBuf> {
    apt::ensure("an image with a shell", &["buildah", "busybox-static"])?;
    built("shell-image-1", SHELL, "ENV PATH=/bin", |root| {
        let bin = root.join("bin");
        fs::create_dir(&bin)?;
        fs::copy("/bin/busybox", bin.join("busybox")).context("there is no busybox")?;
        for name in run("busybox --list", Command::new("/bin/busybox").arg("--list"))?.lines() {
            // It is one of its own list.
            if name != "busybox" {
                std::os::unix::fs::symlink("busybox", bin.join(name))?;
            }
        }
        // A static program cannot look names up as others do.
        fs::copy("/usr/bin/getent", bin.join("getent"))?;
        for library in libraries("/usr/bin/getent")? {
            let place = root.join(library.strip_prefix("/").unwrap_or(&library));
            fs::create_dir_all(place.parent().context("a library without a folder")?)?;
            fs::copy(&library, place)?;
        }
        Ok(())
    })
}

/// The files that a dynamic program loads: its loader and its libraries.
fn libraries(program: &str) -> Result<Vec<PathBuf>> {
    let said = run("ldd", Command::new("ldd").arg(program))?;
    Ok(said.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}

/// An archive of an image with one layer, which `fill` puts into a folder.
fn built(key: &str, name: &str, words: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let folder = cache::built(key, |folder| {
        let work = tempfile::tempdir()?;
        let root = work.path().join("root");
        fs::create_dir(&root)?;
        fill(&root)?;
        fs::write(work.path().join("Containerfile"), format!("FROM scratch\nCOPY root /\n{words}\n"))?;
        let buildah = |args: &[&str]| {
            let mut command = Command::new("buildah");
            // Its images are in a folder of its own, which needs no mount.
            command.arg("--root").arg(work.path().join("images")).arg("--runroot").arg(work.path().join("run"));
            command.args(["--storage-driver", "vfs"]);
            run(&format!("buildah {}", args.join(" ")), command.args(args)).map(|_| ())
        };
        buildah(&["build", "--quiet", "--tag", name, text(work.path())?])?;
        buildah(&["push", "--quiet", name, &format!("docker-archive:{}:{name}", folder.join("image.tar").display())])
    })?;
    Ok(folder.join("image.tar"))
}
