//! `simulate`: runs scenarios and prints the figures. `cargo xtask simulate` builds and starts it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use simulator::{
    policy::{Operator, Policy, SiteDirector},
    report::{Figures, page, picture, summary, text},
    run::run,
    scenario::{Loaded, load},
};

/// Simulates DIRAC, its pilots and clouds under a policy.
#[derive(Parser)]
struct Args {
    /// A scenario's file. Absent: give --all.
    scenario: Option<PathBuf>,
    /// Every scenario of examples/scenarios under both policies; writes docs/simulations.md and its pictures.
    #[arg(long, conflicts_with_all = ["scenario", "json", "plot", "policy", "seed"])]
    all: bool,
    /// A seed, or a range of seeds A..B, both included. Absent: the scenario's.
    #[arg(long)]
    seed: Option<String>,
    /// Who decides. Absent: both, one after the other.
    #[arg(long)]
    policy: Option<Who>,
    /// Writes the figures of all runs as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Writes a picture of the runs.
    #[arg(long)]
    plot: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Who {
    Sitedirector,
    Operator,
}

impl Who {
    const BOTH: [Self; 2] = [Self::Sitedirector, Self::Operator];

    fn run(self, loaded: &Loaded, seed: u64) -> Figures {
        let mut policy: Box<dyn Policy> = match self {
            Self::Sitedirector => Box::new(SiteDirector::new(loaded)),
            Self::Operator => Box::new(Operator::new(loaded)),
        };
        run(loaded, seed, policy.as_mut())
    }
}

fn main() -> ExitCode {
    match simulate(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn simulate(args: &Args) -> Result<()> {
    let Some(path) = &args.scenario else {
        ensure!(args.all, "name a scenario's file, for example examples/scenarios/burst.yaml, or give --all");
        return all(&root());
    };
    let loaded = load(path)?;
    let who = args.policy.map_or(Who::BOTH.to_vec(), |who| vec![who]);
    let mut runs = Vec::new();
    let seeds = seeds(args.seed.as_deref(), loaded.words.seed)?;
    for seed in &seeds {
        for who in &who {
            let figures = who.run(&loaded, *seed);
            print!("{}", text(&figures));
            runs.push(figures);
        }
    }
    if seeds.len() > 1 {
        print!("{}", summary(&runs));
    }
    if let Some(file) = &args.json {
        write(file, &serde_json::to_string_pretty(&runs)?)?;
    }
    if let Some(file) = &args.plot {
        write(file, &picture(&loaded.name, &runs))?;
    }
    Ok(())
}

/// The workspace's root: this program is part of it.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

fn all(root: &Path) -> Result<()> {
    let folder = root.join("examples/scenarios");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "yaml"));
    files.sort();
    ensure!(!files.is_empty(), "there is no scenario in {}", folder.display());
    let mut done = Vec::new();
    for file in files {
        let loaded = load(&file)?;
        let mut runs = Vec::new();
        for who in Who::BOTH {
            let figures = who.run(&loaded, loaded.words.seed);
            print!("{}", text(&figures));
            runs.push(figures);
        }
        write(&root.join("docs/simulations").join(format!("{}.svg", loaded.name)), &picture(&loaded.name, &runs))?;
        done.push((loaded, runs));
    }
    let file = root.join("docs/simulations.md");
    write(&file, &page(&done, "cargo xtask simulate --all"))?;
    println!("wrote {}", file.display());
    Ok(())
}

fn write(file: &Path, content: &str) -> Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(file, content).with_context(|| format!("cannot write {}", file.display()))
}

/// One seed, or all of a range.
fn seeds(written: Option<&str>, default: u64) -> Result<Vec<u64>> {
    let Some(written) = written else { return Ok(vec![default]) };
    let number = |text: &str| -> Result<u64> {
        text.trim().parse().with_context(|| format!("--seed {written:?}: write a number, or a range such as 1..10"))
    };
    let Some((from, to)) = written.split_once("..") else { return Ok(vec![number(written)?]) };
    let (from, to) = (number(from)?, number(to)?);
    if to < from {
        bail!("--seed {written:?}: the range ends before it begins");
    }
    ensure!(to - from < 10_000, "--seed {written:?}: that is more than 10000 runs");
    Ok((from..=to).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_one_or_a_range() {
        assert_eq!(seeds(None, 7).unwrap(), [7]);
        assert_eq!(seeds(Some("3"), 7).unwrap(), [3]);
        assert_eq!(seeds(Some("3..5"), 7).unwrap(), [3, 4, 5]);
        for bad in ["x", "5..3", "1..", "0..99999999"] {
            assert!(seeds(Some(bad), 7).is_err(), "{bad}");
        }
    }
}
