//! `cargo xtask …`: the few commands that a newcomer needs. A thin launcher without dependencies, so that the first answer
//! comes within a minute on a slow machine; the work is in the programs of the `testbeds` package that it builds and runs.

mod docs;
mod image;
mod layers;
mod say;
mod times;
mod tools;

use std::process::ExitCode;

use tools::Words;

const USAGE: &str = "\
cargo xtask COMMAND

  demo [--for 4m] [--context NAME]            a live run on this machine, or in a cluster of yours: a control plane, the operator, a queue, a cloud
  demo --real [--for 10m] [--clouds openstack,ec2]
                                              the same with a real DIRAC and a real OpenStack; with an EC2 beside it, Spot first
  test [--only LAYER]... [--skip LAYER]...    all tests, installing what they need;
                                              layers: unit crds dirac ec2 openstack losses crash tutorial chart operator e2e
  test --full                                 the same, and what takes long of the layers that have a short form (losses, crash, chart)
  testbed up|down|status [controlplane] [dirac] [openstack] [ec2] [cluster] [--state DIR] [--at ADDRESS]
                                              the real systems by hand, in the background, and how to reach them
  image [--push REFERENCE] [--arch amd64|arm64]... [--base IMAGE] [--save FILE] [--tool podman|buildah|docker] [--roots FILE]
        [--program FILE]
                                              the operator's container image, under 40 MB
  image NAME [--set ARGUMENT=VALUE]... [--push REFERENCE] [--arch amd64|arm64]... [--base IMAGE] [--save FILE] [--tool TOOL]
                                              one of the images of what a site runs for its DIRAC, docs/images.md;
                                              NAME: debian dirac diracx mariadb opensearch redis s3
  docs                                        the pages of docs/ as a book
  generate                                    every generated file
  bench [--real]                              the figures of docs/figures.md, as a table
  bench --vms 20000 [--pools 500]             the operator with that many simulated VMs
  bench --clouds                              one cloud beside two that misbehave
  bench --plan [--world TEXT]                 the plan alone, in every world that is hard for it, or whose name has this text
  bench --hostile                             one namespace beside another that does its worst
  simulate SCENARIO.yaml [--seed N|A..B] [--policy sitedirector|operator] [--json FILE] [--plot FILE.svg]
                                              DIRAC, its pilots and clouds in virtual time; docs/simulator.md
  simulate --all                              every scenario of examples/scenarios; writes docs/simulations.md

Start with `cargo xtask demo`.";

/// The words of the programs, which are refused before anything is built; each program says the rest itself.
const DEMO: Words = Words { places: &[], valued: &["--for", "--context", "--clouds"], plain: &["--real"] };
const TESTBED: Words = Words {
    places: &[&["up", "down", "status"], &["controlplane", "dirac", "openstack", "ec2", "cluster"]],
    valued: &["--state", "--at"],
    plain: &[],
};
const BENCH: Words = Words {
    places: &[],
    valued: &["--vms", "--pools", "--world"],
    plain: &["--real", "--clouds", "--hostile", "--plan"],
};
const NONE: Words = Words { places: &[], valued: &[], plain: &[] };

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    if rest.iter().any(|word| word == "-h" || word == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let outcome = match command.as_str() {
        "demo" => DEMO.check("demo", &rest).and_then(|()| tools::run_program("demo", &rest)),
        "testbed" => TESTBED.check("testbed", &rest).and_then(|()| tools::run_program("testbed", &rest)),
        "bench" => BENCH.check("bench", &rest).and_then(|()| tools::run_bench(&rest)),
        "simulate" => tools::run_simulator(&rest),
        "image" => image::image(&rest),
        "docs" => NONE.check("docs", &rest).and_then(|()| docs::docs()),
        "generate" => NONE.check("generate", &rest).and_then(|()| tools::generate()),
        "test" => layers::test(&rest),
        "" | "help" | "-h" | "--help" => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        other => Err(format!("there is no command {other:?}\n\n{USAGE}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_one_program_are_refused_to_another_before_it_is_built() {
        let refused = |words: &Words, word: &str| words.check("it", &[word.to_owned()]).is_err();
        assert!(refused(&DEMO, "--hostile") && !refused(&BENCH, "--hostile"));
        assert!(!refused(&DEMO, "--clouds=openstack,ec2") && refused(&TESTBED, "--clouds=openstack,ec2"));
        assert!(refused(&BENCH, "--for=4m") && !refused(&DEMO, "--for=4m"));
        assert!(!refused(&DEMO, "--real") && !refused(&BENCH, "--real"));
    }

    #[test]
    fn every_testbed_can_be_started() {
        for name in ["controlplane", "dirac", "openstack", "ec2", "cluster"] {
            let words = ["up", name].map(str::to_owned);
            assert!(TESTBED.check("testbed", &words).is_ok() && USAGE.contains(&format!("[{name}]")), "{name}");
        }
    }
}
