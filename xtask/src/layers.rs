//! `cargo xtask test`: the layers, one after the other, and one line for each at the end.

use std::time::{Duration, Instant};

use crate::{
    say::{Step, human},
    tools::{cargo, require_compiler, run},
};

/// A layer's name, what it is, and the cargo commands that run it.
struct Layer {
    name: &'static str,
    what: &'static str,
    commands: &'static [&'static [&'static str]],
}

const LAYERS: [Layer; 8] = [
    Layer {
        name: "unit",
        what: "unit and property tests of every package",
        commands: &[
            &["test", "--workspace", "--exclude", "testbeds"],
            &["test", "--package", "testbeds", "--lib", "--bins"],
        ],
    },
    Layer {
        name: "crds",
        what: "what a real API server accepts and refuses; the testbed by hand",
        commands: &[
            &["test", "--package", "testbeds", "--test", "crds"],
            &["test", "--package", "testbeds", "--test", "testbed"],
        ],
    },
    Layer {
        name: "chart",
        what: "the Helm chart in a real control plane",
        commands: &[&["build", "--package", "operator"], &["test", "--package", "testbeds", "--test", "chart"]],
    },
    Layer {
        name: "dirac",
        what: "DISET, matching and pilot rows against real DIRAC services",
        commands: &[&["test", "--package", "testbeds", "--test", "dirac"]],
    },
    Layer {
        name: "openstack",
        what: "one contract for both cloud drivers, and OpenStack's own failures against real services",
        commands: &[
            &["test", "--package", "testbeds", "--test", "testbed_openstack"],
            &["test", "--package", "testbeds", "--test", "openstack"],
        ],
    },
    Layer {
        name: "operator",
        what: "the operator on a real API server: the whole loop simulated, and a real DIRAC",
        commands: &[&["build", "--package", "operator"], &["test", "--package", "testbeds", "--test", "operator"]],
    },
    Layer {
        name: "crash",
        what: "the operator dies between any two outside calls, with a real DIRAC and a real Nova",
        // The same folder as without the feature: cargo keeps both, and every layer says which one it wants.
        commands: &[
            &["build", "--package", "operator", "--features", "crash-points"],
            &["test", "--package", "testbeds", "--test", "crash"],
        ],
    },
    Layer {
        name: "e2e",
        what: "forty real jobs of DIRAC on the guests of a real Nova, from submission to Done",
        commands: &[&["build", "--package", "operator"], &["test", "--package", "testbeds", "--test", "e2e"]],
    },
];

/// Runs all layers, or those named by `--only`, without those named by `--skip`.
pub fn test(args: &[String]) -> Result<(), String> {
    let (only, skip) = parse(args)?;
    require_compiler()?;
    let chosen = |l: &&Layer| (only.is_empty() || only.contains(&l.name)) && !skip.contains(&l.name);
    let begun = Instant::now();
    let mut lines: Vec<(&str, bool, Duration)> = Vec::new();
    for layer in LAYERS.iter().filter(chosen) {
        let step = Step::start(&format!("layer {}: {}", layer.name, layer.what));
        let outcome = layer.commands.iter().try_for_each(|c| {
            let mut command = cargo();
            // One test at a time: each layer starts real systems, and two cores are all there may be.
            command.args(*c);
            if c.contains(&"--test") {
                command.args(["--", "--test-threads=1", "--nocapture"]);
            }
            run(&format!("cargo {}", c.join(" ")), &mut command)
        });
        if let Err(message) = &outcome {
            eprintln!("{message}");
        }
        lines.push((layer.name, outcome.is_ok(), step.end(outcome.is_ok())));
    }
    summary(&lines, &skip, begun.elapsed())
}

fn parse(args: &[String]) -> Result<(Vec<&'static str>, Vec<&'static str>), String> {
    let (mut only, mut skip) = (Vec::new(), Vec::new());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let list = match arg.as_str() {
            "--only" => &mut only,
            "--skip" => &mut skip,
            other => {
                return Err(format!(
                    "cargo xtask test does not know {other:?}; it takes --only LAYER and --skip LAYER"
                ));
            }
        };
        let wanted = args.next().map(String::as_str).unwrap_or_default();
        let layer = LAYERS.iter().find(|l| l.name == wanted).ok_or_else(|| {
            let names: Vec<&str> = LAYERS.iter().map(|l| l.name).collect();
            format!("there is no layer {wanted:?}; the layers are {}", names.join(", "))
        })?;
        list.push(layer.name);
    }
    Ok((only, skip))
}

fn summary(lines: &[(&str, bool, Duration)], skip: &[&str], total: Duration) -> Result<(), String> {
    eprintln!();
    for (name, ok, took) in lines {
        eprintln!("{name:<10} {:<7} {}", if *ok { "passed" } else { "FAILED" }, human(*took));
    }
    for name in skip {
        eprintln!("{name:<10} skipped as asked");
    }
    let failed: Vec<&str> = lines.iter().filter(|(_, ok, _)| !ok).map(|(name, ..)| *name).collect();
    eprintln!("{} in {}", if failed.is_empty() { "all passed" } else { "some FAILED" }, human(total));
    println!("{} passed, {} failed, {} skipped", lines.len() - failed.len(), failed.len(), skip.len());
    match failed.first() {
        None => Ok(()),
        Some(first) => Err(format!("failed: {}; look closer with: cargo xtask test --only {first}", failed.join(", "))),
    }
}
