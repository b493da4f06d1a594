//! `cargo xtask image`: the operator as a static program, and the container image of it; and the images of what a site runs for its DIRAC.
//!
//! The operator is built by cargo on this machine and copied into the image, so that what is built once is built once: the compiler, the
//! caches and the certificates are those of every other command, and the image's own build needs no network.

mod build;
mod elf;
mod other;
mod recipe;
mod tool;
mod wish;

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    say::Step,
    tools::{root, run, targets},
};

use build::Arch;
use recipe::Recipe;
use tool::{Order, Tool};
use wish::{OPERATOR, Wish, parse};

/// The operator's image: its content may have this many bytes.
const LIMIT: u64 = 40_000_000;

/// Builds the image; pushes or saves it where that is asked for.
pub fn image(args: &[String]) -> Result<(), String> {
    let wish = parse(args)?;
    let tool = Tool::choose(wish.tool.as_deref())?;
    if wish.name == OPERATOR {
        wish.archs.iter().try_for_each(|arch| arch.can_be_built())?;
        let roots = build::roots(wish.roots.as_deref())?;
        let made = each(&wish, tool, &format!("dirac-operator:{VERSION}"), |arch, name| {
            operator(&wish, tool, arch, &roots, name)
        });
        if let Some(name) = &wish.push {
            made?;
            println!(
                "install it with: helm upgrade --install dirac-operator charts/dirac-operator --set image.reference={name}"
            );
            return Ok(());
        }
        return made;
    }
    let recipe = Recipe::read(&wish.name)?;
    recipe.check(&wish.name, &wish.set)?;
    let tag = format!("{}:{}", wish.name, recipe.version(&wish.set)?);
    each(&wish, tool, &tag, |arch, name| other::one(&wish, &recipe, tool, arch, name))
}

/// Has the image built for each processor, and saves or pushes what was built. `tag` is its name where it is not pushed.
fn each(wish: &Wish, tool: Tool, tag: &str, build: impl Fn(Arch, &str) -> Result<(), String>) -> Result<(), String> {
    let name = wish.push.clone().unwrap_or_else(|| format!("localhost/{tag}"));
    let mut made = Vec::new();
    for arch in &wish.archs {
        let own = if let [_] = wish.archs[..] { name.clone() } else { format!("{name}-{}", arch.name()) };
        build(*arch, &own)?;
        if let Some(file) = &wish.save {
            // Docker's archive takes no second image under one name.
            fs::remove_file(file).ok();
            run(tool.name(), &mut tool.save(&own, file))?;
            println!("it is in {}; for example: ctr --namespace k8s.io images import {0}", file.display());
        }
        made.push(own);
    }
    if wish.push.is_none() {
        return Ok(());
    }
    let step = Step::start(&format!("pushing {name}"));
    let pushed = push(tool, &name, &made);
    step.end(pushed.is_ok());
    pushed
}

/// The program of this machine's image, for the tests: as it is shipped, or `quick`, which is the one that other tests run, linked
/// statically.
pub fn program_for_here(quick: bool) -> Result<PathBuf, String> {
    let arch = Arch::here()?;
    arch.can_be_built()?;
    if quick { build::quick_program(arch) } else { build::program(arch) }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn operator(wish: &Wish, tool: Tool, arch: Arch, roots: &Path, name: &str) -> Result<(), String> {
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
    let args = [("BASE", base), ("VERSION", VERSION)].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let order = Order { file: &file, context: &context, arch: arch.name(), args: &args, name };
    let built = run(tool.name(), &mut tool.build(&order));
    step.end(built.is_ok());
    built?;
    let above = if base == "scratch" { String::new() } else { format!(", and what {base} has") };
    let limit = match &wish.program {
        Some(file) => format!("with {} as it was given", file.display()),
        None => format!("of at most {}", megabytes(LIMIT)),
    };
    println!("{name} for {}: {} {limit}{above}", arch.name(), megabytes(bytes));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_said_in_megabytes() {
        assert_eq!([0, 99_999, 23_456_789, LIMIT].map(megabytes), ["0.0 MB", "0.0 MB", "23.4 MB", "40.0 MB"]);
    }
}
