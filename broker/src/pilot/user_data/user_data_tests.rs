//! What a template gives, and how what cannot be used is said.

use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::*;

fn rendered(pilot: &Pilot, template: &str) -> Value {
    let text = render(pilot, Some(template)).unwrap();
    assert!(text.expose_secret().starts_with("#cloud-config\n"));
    serde_saphyr::from_str(text.expose_secret()).unwrap()
}

#[test]
fn the_pools_part_is_filled_in_and_merged() {
    let pilot = Pilot { reference: "cloud://x".into(), cores: 4, tags: vec!["GPU".into()], ..Pilot::default() };
    let template = "write_files: [{path: /a, content: '{{ reference }}'}]\nruncmd:\n  - run {{ cores }} {{ pilot.tags | join(',') | quote }}\npower_state: {mode: reboot}\n";
    let config = rendered(&pilot, template);
    assert_eq!(config["write_files"].as_array().unwrap().len(), 3);
    assert_eq!(config["write_files"][2]["content"], "cloud://x");
    assert_eq!(config["runcmd"], json!(["run 4 'GPU'"]));
    assert_eq!(config["power_state"]["mode"], "reboot", "the pool is right");
}

#[test]
fn a_pilot_finds_its_gpus_in_its_environment_and_a_template_may_name_them() {
    let env = |pilot: &Pilot| rendered(pilot, "bootcmd: []")["write_files"][0]["content"].as_str().unwrap().to_owned();
    let model = "A100'; reboot".to_owned();
    let pilot = Pilot { gpus: 2, gpu_model: model, gpu_cores: 4, ..Pilot::default() };
    let text = env(&pilot);
    let lines = ["DIRAC_GPUS='2'\n", r"DIRAC_GPU_MODEL='A100'\''; reboot'", "DIRAC_GPU_CORES='4'\n"];
    assert!(lines.iter().all(|line| text.contains(line)), "{text}");
    assert!(env(&Pilot::default()).contains("DIRAC_GPU_MODEL=''\n"), "a name that is not set would end a script");
    let l4 = Pilot { gpu_model: "L4".into(), ..pilot };
    let config = rendered(&l4, "runcmd:\n- [driver, '{{ gpus }}', '{{ gpu_model }}']\n");
    assert_eq!(config["runcmd"], json!([["driver", "2", "L4"]]));
}

#[test]
fn what_cannot_be_used_is_said_with_its_line() {
    let said = |template: &str| check(template).unwrap_err().to_string();
    assert!(said("runcmd:\n  - {{ referense }}").contains("line 2"), "{}", said("runcmd:\n  - {{ referense }}"));
    assert!(said("{{ referense }}").contains("\"referense\"; known names are ce"), "{}", said("{{ referense }}"));
    assert!(said("{{ pilot.voo }}").contains("\"pilot.voo\""), "{}", said("{{ pilot.voo }}"));
    assert!(
        said("{% for x in range(10000) %}{% for y in range(10000) %}x{% endfor %}{% endfor %}").contains("repeats")
    );
    assert!(said("- a list").contains("write a map"));
    assert!(said("a: [").contains("does not give a cloud-config"));
    assert!(said("{% if %}").contains("cannot be rendered"));
    assert!(said(&format!("x: {}", "y".repeat(60_000))).contains("smaller"));
    assert_eq!(check("runcmd: [true]"), Ok(()));
}

proptest! {
    #[test]
    fn whatever_the_names_the_values_arrive_as_they_are(vo in ".*", site in ".*") {
        let pilot = Pilot { vo: vo.clone(), site: site.clone(), ..Pilot::default() };
        let text = render(&pilot, None).unwrap();
        let config: Value = serde_saphyr::from_str(text.expose_secret()).unwrap();
        let kept: Value = serde_json::from_str(config["write_files"][1]["content"].as_str().unwrap()).unwrap();
        prop_assert_eq!(kept["vo"].as_str().unwrap(), vo);
        prop_assert_eq!(kept["site"].as_str().unwrap(), site);
    }
}

#[test]
fn a_template_is_known_by_its_text_alone_in_every_version() {
    assert_eq!(fingerprint(None), "cbf29ce484222325");
    assert_eq!(fingerprint(Some(" \n")), fingerprint(None));
    assert_eq!(fingerprint(Some("a")), "af63dc4c8601ec8c", "as FNV-1a is published");
    assert_eq!(fingerprint(Some("foobar")), "85944171f73967e8", "as FNV-1a is published");
    assert_ne!(fingerprint(Some("runcmd: [a]")), fingerprint(Some("runcmd: [b]")));
}
