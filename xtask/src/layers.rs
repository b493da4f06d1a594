//! `cargo xtask test`: what the layers need is built, they run in three lanes, and there is one line for each at the end.

use std::{
    fs,
    path::PathBuf,
    sync::{Mutex, OnceLock},
    thread,
    time::{Duration, Instant},
};

use crate::{
    image,
    say::{Step, human},
    times::Figure,
    tools::{cargo, require_compiler, run, run_prefixed},
};

/// A layer's name, what it is, the operators it starts, and the arguments of `cargo test` that run it.
struct Layer {
    name: &'static str,
    what: &'static str,
    operators: &'static [Operator],
    tests: &'static [&'static [&'static str]],
}

/// Which build of the operator.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Shipped,
    CrashPoints,
    /// The static one of the container image: with `--full` as it is shipped, a build of its own, which takes some minutes; else the
    /// one that the other layers run, only linked statically.
    Image,
}

/// Real systems are started by all but the first layer and mostly waited for: three layers at a time keep two cores busy.
const LANES: usize = 3;

/// Tells tests to run also what takes long; `testbeds::host::choice` reads it.
const FULL: &str = "DIRAC_OPERATOR_TEST_FULL";
/// Tells tests where the program for the image is.
const PROGRAM: &str = "DIRAC_OPERATOR_IMAGE_PROGRAM";
/// Built before the layers run.
static IMAGE_PROGRAM: OnceLock<PathBuf> = OnceLock::new();

const LAYERS: [Layer; 12] = [
    Layer {
        name: "unit",
        what: "unit and property tests of every package",
        operators: &[],
        tests: &[
            &["--workspace", "--exclude", "testbeds"],
            &["--package", "testbeds", "--lib", "--bins", "--test", "rooms", "--test", "reasons", "--test", "book"],
        ],
    },
    Layer {
        name: "crds",
        what: "what a real API server accepts and refuses; the testbed by hand; a control plane that hangs and is restored",
        operators: &[],
        tests: &[
            &["--package", "testbeds", "--test", "crds"],
            &["--package", "testbeds", "--test", "testbed"],
            &["--package", "testbeds", "--test", "testbed_controlplane"],
        ],
    },
    Layer {
        name: "dirac",
        what: "DISET, matching and pilot rows against real DIRAC services",
        operators: &[],
        tests: &[&["--package", "testbeds", "--test", "dirac"]],
    },
    Layer {
        name: "ec2",
        what: "the contract of all cloud drivers for EC2, AWS's own failures, and the policy of the how-to, against a stand-in",
        operators: &[],
        tests: &[&["--package", "testbeds", "--test", "testbed_ec2"], &["--package", "testbeds", "--test", "ec2"]],
    },
    Layer {
        name: "openstack",
        what: "one contract for all cloud drivers, and OpenStack's own failures against real services",
        operators: &[],
        tests: &[
            &["--package", "testbeds", "--test", "testbed_openstack"],
            &["--package", "testbeds", "--test", "openstack"],
        ],
    },
    Layer {
        name: "losses",
        what: "clouds, clusters and people that misbehave: no job is lost and no VM is left (all of it with --full)",
        operators: &[Operator::Shipped],
        tests: &[&["--package", "testbeds", "--test", "losses"]],
    },
    Layer {
        name: "crash",
        what: "operators that die anywhere, with leader election, real jobs and the histories of Nova and EC2; no secret is told",
        operators: &[Operator::CrashPoints],
        tests: &[&["--package", "testbeds", "--test", "crash"]],
    },
    Layer {
        name: "tutorial",
        what: "the pages' commands word for word: from the image and an empty cluster to a job that is Done, and back",
        operators: &[Operator::Image],
        tests: &[&["--package", "testbeds", "--test", "tutorial"]],
    },
    Layer {
        name: "chart",
        what: "the Helm chart in a real control plane; the image in a real kubelet; what pods of tests have; the demo as a person meets it",
        operators: &[Operator::Shipped, Operator::Image],
        tests: &[&["--package", "testbeds", "--test", "chart"], &["--package", "testbeds", "--test", "demo"]],
    },
    Layer {
        name: "operator",
        what: "the operator on a real API server: the whole loop simulated, and a real DIRAC",
        operators: &[Operator::Shipped],
        tests: &[&["--package", "testbeds", "--test", "operator"]],
    },
    Layer {
        name: "services",
        what: "the images of a DIRAC; a whole one from one manifest, in pods of a real cluster, and jobs that a user submits to it",
        operators: &[Operator::Image],
        tests: &[&["--package", "testbeds", "--test", "images"], &["--package", "testbeds", "--test", "services"]],
    },
    Layer {
        name: "e2e",
        what: "forty real jobs of DIRAC on the guests of a real Nova and of an EC2 that takes VMs back, from submission to Done",
        operators: &[Operator::Shipped],
        tests: &[&["--package", "testbeds", "--test", "e2e"]],
    },
];

/// How a layer ended.
struct Outcome {
    layer: &'static str,
    ok: bool,
    took: Duration,
}

/// What `cargo xtask test` is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    only: Vec<&'static str>,
    skip: Vec<&'static str>,
    /// Also what takes long.
    full: bool,
}

/// Runs all layers, or those named by `--only`, without those named by `--skip`; with `--full` also what takes long.
pub fn test(args: &[String]) -> Result<(), String> {
    let Wish { only, skip, full } = parse(args)?;
    require_compiler()?;
    let chosen = |l: &&Layer| (only.is_empty() || only.contains(&l.name)) && !skip.contains(&l.name);
    let chosen: Vec<&'static Layer> = LAYERS.iter().filter(chosen).collect();
    let (begun, figure) = (Instant::now(), Figure::of("test"));
    build(&chosen, full)?;
    let mut outcomes = in_lanes(&chosen, full);
    outcomes.sort_by_key(|o| LAYERS.iter().position(|l| l.name == o.layer));
    if !full && outcomes.len() == LAYERS.len() && outcomes.iter().all(|o| o.ok) {
        figure.note(begun.elapsed());
    }
    summary(&outcomes, &skip, begun.elapsed())
}

/// Builds what the layers run, so that no lane waits for cargo in another.
fn build(layers: &[&Layer], full: bool) -> Result<(), String> {
    let step = Step::start(
        "building what the tests need (the first time takes some minutes, and 8 GB of memory for the driver of EC2)",
    );
    let built = build_all(layers, full);
    step.end(built.is_ok());
    built
}

fn build_all(layers: &[&Layer], full: bool) -> Result<(), String> {
    let wants = |operator| layers.iter().any(|l| l.operators.contains(&operator));
    if wants(Operator::CrashPoints) {
        run("cargo build", cargo().args(["build", "--package", "operator", "--features", "crash-points"]))?;
        // Under a name of its own: the other layers run what is shipped, at the same time.
        let own = std::env::current_exe().map_err(|e| format!("where are we? {e}"))?;
        let (from, to) = (own.with_file_name("dirac-operator"), own.with_file_name("dirac-operator-crash-points"));
        fs::copy(&from, &to).map_err(|e| format!("cannot copy {} to {}: {e}", from.display(), to.display()))?;
    }
    if wants(Operator::Image) {
        let program = image::program_for_here(!full)?;
        IMAGE_PROGRAM.get_or_init(|| program);
    }
    // Last: its program has the name that the others take too.
    if wants(Operator::Shipped) {
        run("cargo build", cargo().args(["build", "--package", "operator"]))?;
    }
    let tests = layers.iter().flat_map(|l| l.tests);
    tests.into_iter().try_for_each(|t| run("cargo test --no-run", cargo().args(["test", "--no-run"]).args(*t)))
}

/// The first layer alone, for it is quick and keeps all cores busy; the others three at a time, the longest first.
fn in_lanes(layers: &[&'static Layer], full: bool) -> Vec<Outcome> {
    if let [one] = layers {
        return vec![run_layer(one, full, false)];
    }
    let units = layers.iter().filter(|l| l.name == "unit");
    let mut outcomes: Vec<Outcome> = units.map(|l| run_layer(l, full, false)).collect();
    // The table ends in the longest, with those apart that start an OpenStack: their guests need the cores.
    let waiting: Mutex<Vec<_>> = Mutex::new(layers.iter().copied().filter(|l| l.name != "unit").collect());
    // A function of its own: in the loop's head the lock would be held while the layer runs.
    let next = || locked(&waiting).pop();
    let done = Mutex::new(&mut outcomes);
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(layer) = next() {
                    let outcome = run_layer(layer, full, true);
                    locked(&done).push(outcome);
                }
            });
        }
    });
    outcomes
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Runs a layer; `beside` another, each of its lines says whose it is.
fn run_layer(layer: &'static Layer, full: bool, beside: bool) -> Outcome {
    let step = Step::start(&format!("layer {}: {}", layer.name, layer.what));
    let outcome = layer.tests.iter().try_for_each(|test| {
        let what = format!("cargo test {}", test.join(" "));
        let mut command = cargo();
        command.arg("test").args(*test);
        if full {
            command.env(FULL, "1");
        }
        if let Some(program) = IMAGE_PROGRAM.get() {
            command.env(PROGRAM, program);
        }
        if test.contains(&"--test") {
            // One test at a time: each starts real systems.
            command.args(["--", "--test-threads=1", "--nocapture"]);
        }
        if beside { run_prefixed(layer.name, &what, &mut command) } else { run(&what, &mut command) }
    });
    if let Err(message) = &outcome {
        eprintln!("{message}");
    }
    Outcome { layer: layer.name, ok: outcome.is_ok(), took: step.end(outcome.is_ok()) }
}

fn parse(args: &[String]) -> Result<Wish, String> {
    let mut wish = Wish::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let list = match arg.as_str() {
            "--only" => &mut wish.only,
            "--skip" => &mut wish.skip,
            "--full" => {
                wish.full = true;
                continue;
            }
            other => {
                return Err(format!(
                    "cargo xtask test does not know {other:?}; it takes --only LAYER, --skip LAYER and --full"
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
    let Wish { only, skip, .. } = &wish;
    if LAYERS.iter().all(|l| skip.contains(&l.name) || !(only.is_empty() || only.contains(&l.name))) {
        return Err("no layer is left to run: what --only names, --skip takes away".to_owned());
    }
    Ok(wish)
}

fn summary(outcomes: &[Outcome], skip: &[&str], total: Duration) -> Result<(), String> {
    eprintln!();
    for Outcome { layer, ok, took } in outcomes {
        eprintln!("{layer:<10} {:<7} {}", if *ok { "passed" } else { "FAILED" }, human(*took));
    }
    for name in skip {
        eprintln!("{name:<10} skipped as asked");
    }
    let failed: Vec<&str> = outcomes.iter().filter(|o| !o.ok).map(|o| o.layer).collect();
    eprintln!("{} in {}", if failed.is_empty() { "all passed" } else { "some FAILED" }, human(total));
    println!("{} passed, {} failed, {} skipped", outcomes.len() - failed.len(), failed.len(), skip.len());
    match failed.first() {
        None => Ok(()),
        Some(first) => Err(format!("failed: {}; look closer with: cargo xtask test --only {first}", failed.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_nothing_is_refused() {
        let words = |line: &str| parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert!(words("--only e2e --skip e2e").unwrap_err().contains("no layer is left"));
        let wish = Wish { only: vec!["e2e"], skip: vec!["unit"], full: false };
        assert_eq!(words("--only e2e --skip unit"), Ok(wish));
        assert_eq!(words("--full"), Ok(Wish { full: true, ..Wish::default() }));
    }
}
