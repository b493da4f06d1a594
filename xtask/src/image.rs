//! `cargo xtask image`: the operator as a static program, and the container image of it.
//!
//! The program is built by cargo on this machine and copied into the image, so that what is built once is built once: the compiler, the
//! caches and the certificates are those of every other command, and the image's own build needs no network.

mod build;
mod elf;
mod tool;

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    say::Step,
    tools::{root, run, targets},
};

use build::Arch;
use tool::Tool;

/// The image's content may have this many bytes.
const LIMIT: u64 = 40_000_000;

/// What `cargo xtask image` is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    archs: Vec<Arch>,
    base: Option<String>,
    push: Option<String>,
    save: Option<PathBuf>,
    roots: Option<PathBuf>,
    tool: Option<String>,
    /// One that is built already.
    program: Option<PathBuf>,
}

/// Builds the image; pushes or saves it where that is asked for.
pub fn image(args: &[String]) -> Result<(), String> {
    let wish = parse(args)?;
    let tool = Tool::choose(wish.tool.as_deref())?;
    wish.archs.iter().try_for_each(|arch| arch.can_be_built())?;
    let roots = build::roots(wish.roots.as_deref())?;
    let name = wish.push.clone().unwrap_or_else(|| format!("localhost/dirac-operator:{VERSION}"));
    let mut made = Vec::new();
    for arch in &wish.archs {
        let own = if let [_] = wish.archs[..] { name.clone() } else { format!("{name}-{}", arch.name()) };
        one(&wish, tool, *arch, &roots, &own)?;
        made.push(own);
    }
    if wish.push.is_some() {
        let step = Step::start(&format!("pushing {name}"));
        let pushed = push(tool, &name, &made);
        step.end(pushed.is_ok());
        pushed?;
        println!(
            "install it with: helm upgrade --install dirac-operator charts/dirac-operator --set image.reference={name}"
        );
    }
    Ok(())
}

/// The program of this machine's image, for the tests: as it is shipped, or `quick`, which is the one that other tests run, linked
/// statically.
pub fn program_for_here(quick: bool) -> Result<PathBuf, String> {
    let arch = Arch::here()?;
    arch.can_be_built()?;
    if quick { build::quick_program(arch) } else { build::program(arch) }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn one(wish: &Wish, tool: Tool, arch: Arch, roots: &Path, name: &str) -> Result<(), String> {
    let program = match &wish.program {
        Some(file) => file.clone(),
        None => build::program(arch)?,
    };
    let content = fs::read(&program).map_err(|e| format!("cannot read {}: {e}", program.display()))?;
    if !elf::is_static(&content) {
        return Err(format!(
            "{} is no program that is linked statically: it would not start in the image",
            program.display()
        ));
    }
    let context = context(&program, roots, arch)?;
    let bytes = size(&context)?;
    // A program that is given is as large as it is: it may be one for tests.
    if bytes > LIMIT && wish.program.is_none() {
        return Err(format!("the image would hold {}, and {} is the limit", megabytes(bytes), megabytes(LIMIT)));
    }
    let step = Step::start(&format!("{} builds {name}", tool.name()));
    let base = wish.base.as_deref().unwrap_or("scratch");
    let file = root().join("images/operator/Containerfile");
    let built = run(tool.name(), &mut tool.build(&file, &context, arch.name(), base, VERSION, name));
    step.end(built.is_ok());
    built?;
    let above = if base == "scratch" { String::new() } else { format!(", and what {base} has") };
    let limit = match &wish.program {
        Some(file) => format!("with {} as it was given", file.display()),
        None => format!("of at most {}", megabytes(LIMIT)),
    };
    println!("{name} for {}: {} {limit}{above}", arch.name(), megabytes(bytes));
    if let Some(file) = &wish.save {
        // Docker's archive takes no second image under one name.
        fs::remove_file(file).ok();
        run(tool.name(), &mut tool.save(name, file))?;
        println!("it is in {}; for example: ctr --namespace k8s.io images import {0}", file.display());
    }
    Ok(())
}

fn push(tool: Tool, name: &str, made: &[String]) -> Result<(), String> {
    made.iter().try_for_each(|one| run(tool.name(), &mut tool.push(one)))?;
    if made == [name] {
        return Ok(());
    }
    tool.push_together(name, made).iter_mut().try_for_each(|command| run(tool.name(), command))
}

/// A folder with what the Containerfile copies, and nothing else.
fn context(program: &Path, roots: &Path, arch: Arch) -> Result<PathBuf, String> {
    let folder = targets()?.join("image-context").join(arch.name());
    fs::create_dir_all(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
    let copied = |from: &Path, name: &str| {
        let to = folder.join(name);
        fs::copy(from, &to).map_err(|e| format!("cannot copy {} to {}: {e}", from.display(), to.display()))
    };
    copied(program, "dirac-operator")?;
    copied(roots, "ca-certificates.crt")?;
    Ok(folder)
}

fn size(folder: &Path) -> Result<u64, String> {
    let failed = |e: std::io::Error| format!("cannot read {}: {e}", folder.display());
    let mut bytes = 0;
    for entry in fs::read_dir(folder).map_err(failed)? {
        bytes += entry.and_then(|entry| entry.metadata()).map_err(failed)?.len();
    }
    Ok(bytes)
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

fn parse(args: &[String]) -> Result<Wish, String> {
    let mut wish = Wish::default();
    let mut words = args.iter().flat_map(|arg| match arg.split_once('=') {
        Some((option, value)) if option.starts_with("--") => vec![option.to_owned(), value.to_owned()],
        _ => vec![arg.clone()],
    });
    while let Some(option) = words.next() {
        let known = ["--push", "--save", "--base", "--arch", "--roots", "--tool", "--program"];
        if !known.contains(&option.as_str()) {
            return Err(format!("cargo xtask image does not know {option:?}; it takes {}", known.join(", ")));
        }
        let value = words.next().ok_or_else(|| format!("cargo xtask image: {option} needs a value"))?;
        match option.as_str() {
            "--push" => wish.push = Some(reference(value)?),
            "--save" => wish.save = Some(value.into()),
            "--base" => wish.base = Some(value),
            "--roots" => wish.roots = Some(value.into()),
            "--tool" => wish.tool = Some(value),
            "--program" => wish.program = Some(value.into()),
            _ => wish.archs.push(Arch::named(&value)?),
        }
    }
    if wish.archs.is_empty() {
        wish.archs.push(Arch::here()?);
    }
    wish.archs.sort();
    wish.archs.dedup();
    match wish {
        Wish { save: Some(_), ref archs, .. } if archs.len() > 1 => {
            Err("--save writes one image into a file: name one --arch".to_owned())
        }
        Wish { program: Some(_), ref archs, .. } if archs.len() > 1 => {
            Err("--program is for one processor: name one --arch".to_owned())
        }
        wish => Ok(wish),
    }
}

/// A full reference: registry, path and tag.
fn reference(text: String) -> Result<String, String> {
    let refused = |why: &str| {
        Err(format!("--push {text}: {why}; for example registry.example.org/dirac/dirac-operator:{VERSION}"))
    };
    let Some((registry, path)) = text.split_once('/') else { return refused("it names no registry") };
    if registry != "localhost" && !registry.contains(['.', ':']) {
        return refused("it begins with no registry");
    }
    if text.contains('@') {
        return refused("an image is pushed to a tag, never to a digest");
    }
    let tag = path.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
    match tag {
        Some(tag) if !tag.is_empty() => Ok(text),
        _ => refused("it has no tag"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Wish, String> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn an_image_is_pushed_to_a_full_reference() {
        for good in ["r.example.org/dirac-operator:0.1.0", "localhost:5000/a/b:1", "localhost/dirac-operator:x"] {
            assert_eq!(parsed(&format!("--push {good}")).unwrap().push.as_deref(), Some(good));
        }
        for (bad, said) in [
            ("dirac-operator:1", "names no registry"),
            ("library/dirac-operator:1", "begins with no registry"),
            ("r.example.org/dirac-operator", "no tag"),
            ("localhost:5000/dirac-operator", "no tag"),
            ("r.example.org/dirac-operator:", "no tag"),
            ("r.example.org/o@sha256:00", "never to a digest"),
        ] {
            assert!(parsed(&format!("--push={bad}")).unwrap_err().contains(said), "{bad}");
        }
    }

    #[test]
    fn what_is_asked_for_is_read_and_nonsense_is_refused_before_anything_is_built() {
        let wish = parsed("--arch arm64 --arch=amd64 --arch arm64 --base=b.org/static --tool buildah").unwrap();
        assert_eq!(wish.archs, [Arch::Amd64, Arch::Arm64], "each once");
        assert_eq!((wish.base.as_deref(), wish.tool.as_deref()), (Some("b.org/static"), Some("buildah")));
        assert_eq!(parsed("").unwrap().archs, [Arch::here().unwrap()]);
        for (bad, said) in [
            ("--arch sparc", "amd64, arm64"),
            ("--push", "needs a value"),
            ("now", "--push, --save, --base"),
            ("--save f --arch amd64 --arch arm64", "one --arch"),
            ("--program f --arch amd64 --arch arm64", "one --arch"),
        ] {
            assert!(parsed(bad).unwrap_err().contains(said), "{bad}");
        }
    }

    #[test]
    fn sizes_are_said_in_megabytes() {
        assert_eq!([0, 99_999, 23_456_789, LIMIT].map(megabytes), ["0.0 MB", "0.0 MB", "23.4 MB", "40.0 MB"]);
    }
}
