//! What a scenario's file may say, and that what it may not say is refused with the place.

use super::*;

/// A small scenario; `{}` of the arguments is put in.
pub fn small(arrivals: &str, more: &str) -> String {
    format!(
        "about: a test
lasts: 4h
{more}
manifests:
  - {{apiVersion: diracgrid.org/v1alpha1, kind: VirtualOrganization, metadata: {{name: biomed}}, spec: {{installationRef: {{name: d}}, diracName: biomed, groups: [{{name: biomed_user}}, {{name: biomed_pilot, properties: [GenericPilot]}}], pilot: {{group: biomed_pilot}}}}}}
  - {{apiVersion: diracgrid.org/v1alpha1, kind: Site, metadata: {{name: s}}, spec: {{installationRef: {{name: d}}, diracName: CLOUD.Test.fr, vos: [biomed]}}}}
  - {{apiVersion: diracgrid.org/v1alpha1, kind: Cloud, metadata: {{name: c}}, spec: {{siteRef: {{name: s}}, images: {{default: {{name: any}}}}, simulated: {{bootTime: 1m, flavors: [{{name: c8, cores: 8, ramGiB: 16, perHour: \"0.40\"}}]}}}}}}
  - {{apiVersion: diracgrid.org/v1alpha1, kind: PilotPool, metadata: {{name: cpu}}, spec: {{siteRef: {{name: s}}, vos: [biomed], clouds: [{{name: c}}], machine: {{flavors: [c8]}}, matching: {{maxCpuTime: 10d}}, scaling: {{max: 50}}}}}}
arrivals:
  - {{group: biomed_user, runTime: 30m, cpuTime: 6h, {arrivals}}}
"
    )
}

fn error(text: &str) -> String {
    format!("{:#}", parse("x", text).unwrap_err())
}

#[test]
fn a_scenario_is_read_with_dirac_as_it_is_shipped() {
    let loaded = parse("x", &small("jobs: 3", "")).unwrap();
    assert_eq!((loaded.model.vos.len(), loaded.model.clouds.len(), loaded.model.pools.len()), (1, 1, 1));
    let dirac = &loaded.words.dirac;
    assert_eq!((dirac.submission_delay.as_secs(), dirac.polling_time.as_secs()), (10, 20));
    assert_eq!((dirac.stop_after_failed_matches, dirac.max_cycles, dirac.minimum_time_left), (10, 5_000, 5_000));
    let pool = &loaded.model.pools[0];
    assert_eq!((pool.max, pool.cpu_time, pool.boot_deadline), (50, 864_000, 1_200_000));
    assert_eq!(loaded.model.clouds[0].flavors[0].price, Some(400_000));
}

#[test]
fn an_unknown_word_is_refused_with_its_place() {
    let said = error(&small("jobs: 3, cors: 2", ""));
    assert!(said.contains("cors"), "{said}");
    let said = error(&small("jobs: 3", "").replace("scaling: {max: 50}", "scaling: {max: 50, maxi: 3}"));
    assert!(said.contains("manifests[3], PilotPool cpu: there is no field spec.scaling.maxi"), "{said}");
    let said = error(&small("jobs: 3", "faults: {hangedPilots: 0.1}"));
    assert!(said.contains("hangedPilots"), "{said}");
}

#[test]
fn a_reference_to_nothing_is_refused_with_its_place() {
    let said = error(&small("jobs: 3", "").replace("clouds: [{name: c}]", "clouds: [{name: d}]"));
    assert!(said.contains("PilotPool cpu: spec.clouds: there is no Cloud \"d\""), "{said}");
    let said = error(&small("jobs: 3", "clouds: {d: {power: 3}}"));
    assert!(said.contains("clouds.d: there is no Cloud"), "{said}");
    let said = error(&small("jobs: 3", "").replace("group: biomed_user, runTime", "group: nobody, runTime"));
    assert!(said.contains("arrivals[0]: group \"nobody\""), "{said}");
}

#[test]
fn numbers_out_of_range_are_refused_with_their_place() {
    let said = error(&small("jobs: 3, perHour: 4", ""));
    assert!(said.contains("arrivals[0]: say how many jobs arrive"), "{said}");
    let said = error(&small("jobs: 3", "clouds: {c: {refused: 1.5}}"));
    assert!(said.contains("clouds.c.refused is 1.5"), "{said}");
    let said = error(&small("jobs: 3", "").replace("runTime: 30m", "runTime: {median: 30m, spread: 0.5}"));
    assert!(said.contains("spread is 0.5"), "{said}");
}

#[test]
fn what_would_be_left_aside_is_refused() {
    let said = error(&small("jobs: 3", "").replace("bootTime: 1m,", "bootTime: 1m, faults: {capacity: 0.1},"));
    assert!(said.contains("Cloud c: here the faults of a cloud stand in the scenario"), "{said}");
    let said = error(&small("jobs: 3", "clouds: {c: {flavors: [{name: x, cores: 1, ramGiB: 1}]}}"));
    assert!(said.contains("remove clouds.c.flavors"), "{said}");
}

#[test]
fn clouds_of_one_project_share_its_quota() {
    let second = "  - {apiVersion: diracgrid.org/v1alpha1, kind: Cloud, metadata: {name: b}, spec: {siteRef: {name: s}, images: {default: {name: any}}, simulated: {flavors: [{name: c8, cores: 8, ramGiB: 16}]}}}\narrivals:";
    let text =
        small("jobs: 1", "clouds: {c: {project: p, quota: {cores: 80}}, b: {project: p}}").replace("arrivals:", second);
    let model = parse("x", &text).unwrap().model;
    assert_eq!(model.projects.len(), 1);
    assert_eq!(model.clouds[0].project, model.clouds[1].project);
    assert_eq!(model.projects[0].quotas[0].0[1], Some(80));
}

#[test]
fn every_ready_scenario_is_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/scenarios");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 12);
    for file in files {
        let loaded = load(&file).unwrap();
        assert!(!loaded.words.about.is_empty() && !loaded.model.pools.is_empty(), "{}", file.display());
    }
}
