//! The images of what a site runs for its DIRAC, built as a person builds them, over a Debian that is made here. They are kept in the
//! cache by their versions; after a change of a file in `images/` only the steps from there on are done again.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};

use crate::{
    host::{apt, cache, process::run, root, say::Step},
    systems::operator::Operator,
};

/// What builds them.
const PACKAGES: [&str; 2] = ["buildah", "debootstrap"];
/// What lies under all others: the image `debian`.
const DEBIAN: &str = "localhost/debian:bookworm";

/// What nobody takes for so long is no longer kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// An image, and where it is.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its name, which a pod has.
    pub reference: String,
    /// The file that a node loads.
    pub archive: PathBuf,
}

/// The image `name` with these arguments of its Containerfile; without `VERSION` it has the version that its Containerfile says. From
/// nothing the largest takes some minutes.
pub fn built(name: &str, set: &[(&str, &str)]) -> Result<Image> {
    apt::ensure("images", &PACKAGES)?;
    let version = set.iter().find(|(argument, _)| *argument == "VERSION").map_or("default", |(_, value)| value);
    let kind = format!("image-{name}-{version}-{:08x}-", hash(|it| set.hash(it)) >> 32);
    let mut read = Ok(());
    let inputs = hash(|it| {
        read = ["debian", name].iter().try_for_each(|name| hash_folder(&root().join("images").join(name), it));
    });
    read?;
    let folder = cache::built(&format!("{kind}{inputs:016x}"), |folder| {
        let step = Step::start(format!("building the image {name} {version} (some minutes, once)"));
        fs::write(folder.join("reference"), build(name, set, &folder.join("image.tar"))?)?;
        step.done();
        Ok(())
    })?;
    // Kept for as long as somebody takes it; another worktree has other files.
    File::options().append(true).open(folder.join("reference"))?.set_modified(SystemTime::now())?;
    forget_others(&folder, &kind)?;
    let reference = fs::read_to_string(folder.join("reference")).context("the cache lost an image's name")?;
    Ok(Image { reference, archive: folder.join("image.tar") })
}

/// Builds it into an archive; its name.
fn build(name: &str, set: &[(&str, &str)], archive: &Path) -> Result<String> {
    let mut command = in_cache(Command::new(Operator::program("xtask", "cargo build --package xtask")?))?;
    command.args(["image", name, "--tool=buildah", "--save"]).arg(archive);
    if name != "debian" {
        beneath()?;
        command.args(["--base", DEBIAN]);
    }
    command.args(set.iter().flat_map(|(argument, value)| ["--set".to_owned(), format!("{argument}={value}")]));
    let said = run(&format!("cargo xtask image {name}"), &mut command)?;
    // "localhost/NAME:VERSION for PROCESSOR", after all that buildah has to say.
    let named = said.lines().rev().filter(|line| line.starts_with("localhost/"));
    let reference = named.filter_map(|line| line.split_once(" for ")).map(|(reference, _)| reference).next();
    reference.map(str::to_owned).with_context(|| format!("cargo xtask image {name} said no name: {said}"))
}

/// Has buildah know Debian: it is built, or taken from its archive where buildah's own folder is gone.
fn beneath() -> Result<()> {
    let debian = built("debian", &[])?;
    let mut known = in_cache(Command::new("buildah"))?;
    if run("buildah inspect", known.args(["inspect", "--type=image", DEBIAN])).is_err() {
        let archive = format!("docker-archive:{}", debian.archive.display());
        run("buildah pull", in_cache(Command::new("buildah"))?.args(["pull", "--quiet", &archive]))?;
    }
    Ok(())
}

/// A command whose buildah keeps its steps in our part of the cache, and runs them without namespaces, which a container may not have.
fn in_cache(mut command: Command) -> Result<Command> {
    let folder = cache::dir()?.join("images");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let at = |name: &str| folder.join(name).display().to_string();
    let text = format!("[storage]\ndriver = \"overlay\"\ngraphroot = {:?}\nrunroot = {:?}\n", at("steps"), at("run"));
    // Another process may read it just now: it is replaced, and always the same.
    let (file, new) = (folder.join("storage.conf"), folder.join(format!("storage.conf.{}", std::process::id())));
    fs::write(&new, text).and_then(|()| fs::rename(&new, &file)).context("cannot write buildah's settings")?;
    command.env("CONTAINERS_STORAGE_CONF", file).env("BUILDAH_ISOLATION", "chroot");
    Ok(command)
}

/// Takes away what the cache has of this image from before its files were changed, once nobody has taken it for a while.
fn forget_others(folder: &Path, kind: &str) -> Result<()> {
    for entry in fs::read_dir(folder.parent().context("the cache is a folder")?)? {
        let path = entry?.path();
        let ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(kind));
        // What is half built has none yet.
        let taken = path.join("reference").metadata().and_then(|it| it.modified()).ok();
        let old = taken.is_some_and(|taken| taken.elapsed().is_ok_and(|age| age > KEPT));
        if ours && path != folder && old {
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

fn hash(write: impl FnOnce(&mut DefaultHasher)) -> u64 {
    let mut hasher = DefaultHasher::new();
    write(&mut hasher);
    hasher.finish()
}

/// Names and contents of a folder's files, in one order.
fn hash_folder(folder: &Path, into: &mut DefaultHasher) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    for file in files {
        file.file_name().hash(into);
        fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?.hash(into);
    }
    Ok(())
}
