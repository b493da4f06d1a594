use broker::demand::Fault;
use serde_json::{Value, json};

use super::*;

fn object<K: serde::de::DeserializeOwned>(spec: &Value, name: &str, status: Value) -> Arc<K> {
    let metadata = json!({"name": name, "namespace": "dirac"});
    Arc::new(serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status})).unwrap())
}

fn pool(machine: &Value, matching: &Value) -> Arc<PilotPool> {
    let spec = json!({
        "siteRef": {"name": "lyon"}, "vos": ["biomed"], "clouds": [{"name": "os"}], "machine": machine, "matching": matching,
        "scaling": {"max": 10, "maxLifetime": "2d"},
    });
    object(&spec, "cpu", Value::Null)
}

/// One installation, VO, site and cloud with three flavors, and this pool.
fn objects(pool: Arc<PilotPool>) -> Objects {
    let flavor =
        |name: &str, cores: i64, gpus: i64| json!({"name": name, "cores": cores, "ramMiB": cores * 2048, "gpus": gpus});
    let flavors = json!({"flavors": [flavor("c4", 4, 0), flavor("c8", 8, 0), flavor("g8", 8, 1)]});
    let external = json!({
        "matcher": "dips://d.example.org:9170/WorkloadManagement/Matcher",
        "pilotManager": "dips://d.example.org:9171/WorkloadManagement/PilotManager",
        "credentials": {"certificateSecretRef": {"name": "cert"}, "group": "dirac_admin"},
    });
    let vo = json!({
        "installationRef": {"name": "egi"}, "diracName": "biomed.eu", "pilot": {"group": "biomed_pilot"},
        "groups": [{"name": "biomed_pilot", "properties": ["GenericPilot"]}],
    });
    let cloud = json!({"siteRef": {"name": "lyon"}, "images": {"default": {"name": "EL9"}}});
    let site = json!({"installationRef": {"name": "egi"}, "diracName": "CLOUD.Lyon.fr", "vos": ["biomed"]});
    Objects {
        installations: vec![object(&json!({"external": external}), "egi", Value::Null)],
        vos: vec![object(&vo, "biomed", Value::Null)],
        sites: vec![object(&site, "lyon", Value::Null)],
        clouds: vec![object(&cloud, "os", flavors)],
        pools: vec![pool],
    }
}

fn of(pool: Arc<PilotPool>) -> Wanted {
    let objects = objects(pool);
    wanted(&objects.installations[0], &objects)
}

#[test]
fn each_flavor_that_a_pool_may_buy_has_a_queue_of_its_size() {
    let matching = json!({"maxCpuTime": "10h", "tags": ["GPU"], "requiredTags": ["GPU"]});
    let all = of(pool(&json!({"flavors": ["c8", "c4"]}), &matching));
    assert_eq!((all.operator.group.as_str(), all.vos[0].pilot_group.as_str()), ("dirac_admin", "biomed_pilot"));
    assert_eq!(all.sites, [Site { name: "CLOUD.Lyon.fr".into() }]);
    assert_eq!(all.unknown, []);
    let paths: Vec<String> = all.queues.iter().map(Queue::path).collect();
    let ce = "/Resources/Sites/CLOUD/CLOUD.Lyon.fr/CEs/cpu.dirac.dirac-operator/Queues";
    assert_eq!(paths, [format!("{ce}/c4"), format!("{ce}/c8")]);
    let first = &all.queues[0];
    assert_eq!(first.sizes, [Size { cores: 4, ram_mib: 8192 }]);
    assert_eq!((first.cpu_seconds, first.end_seconds), (36_000 + BEFORE_THE_FIRST_JOB, 172_800 + 36_000));
    assert_eq!(
        (first.tags.as_slice(), first.required_tags.as_slice()),
        (&["GPU".to_owned()][..], &["GPU".to_owned()][..])
    );
}

#[test]
fn a_queue_requires_the_tag_gpu_where_its_pilots_do() {
    let required = |matching: Value| of(pool(&json!({"flavors": ["c8"]}), &matching)).queues[0].required_tags.clone();
    assert_eq!(required(json!({"maxCpuTime": "10h", "tags": ["GPU"]})), ["GPU"]);
    assert_eq!(required(json!({"maxCpuTime": "10h", "tags": ["GPU"], "coresPerGPU": 2})), [""; 0]);
}

#[test]
fn a_queue_that_a_pool_names_has_all_sizes_and_requirements_choose_flavors_as_the_plan_does() {
    let matching = json!({"maxCpuTime": "10h", "ce": "ce.lyon", "queue": "all"});
    let all = of(pool(&json!({"requirements": {"cores": {"min": 4}}}), &matching));
    let sizes = [Size { cores: 4, ram_mib: 8192 }, Size { cores: 8, ram_mib: 16_384 }];
    assert_eq!(
        (all.queues.len(), all.queues[0].sizes.as_slice()),
        (1, &sizes[..]),
        "g8 has a GPU, for which nobody asked"
    );
    assert_eq!(all.queues[0].ce, "ce.lyon");
}

#[test]
fn what_no_cloud_has_said_yet_is_unknown_and_not_missing() {
    let matching = json!({"maxCpuTime": "10h"});
    let named = of(pool(&json!({"flavors": ["c4", "c99"]}), &matching));
    assert_eq!((named.queues.len(), named.unknown.len()), (1, 1));
    assert!(named.unknown[0].0.ends_with("/Queues/c99") && named.unknown[0].1.contains("\"c99\""), "{named:?}");
    let mut odd = objects(pool(&json!({"flavors": ["c 8}"]}), &matching));
    let flavors = json!({"flavors": [{"name": "c 8}", "cores": 8, "ramMiB": 8192}]});
    odd.clouds =
        vec![object(&json!({"siteRef": {"name": "lyon"}, "images": {"default": {"name": "EL9"}}}), "os", flavors)];
    let odd = wanted(&odd.installations[0], &odd);
    assert!(odd.queues.is_empty() && odd.unknown[0].1.contains("give spec.matching.queue"), "{odd:?}");
    let asked = of(pool(&json!({"requirements": {"cores": {"min": 64}}}), &matching));
    assert!(asked.queues.is_empty() && asked.unknown[0].0.ends_with("/Queues"), "{asked:?}");
}

#[test]
fn what_is_of_another_installation_is_left_out() {
    let mut all = objects(pool(&json!({"flavors": ["c4"]}), &json!({"maxCpuTime": "10h"})));
    let other: Arc<DiracInstallation> = object(&json!({"simulated": {"arrivals": []}}), "other", Value::Null);
    all.installations.push(other.clone());
    assert_eq!(wanted(&other, &all), Wanted::default());
}

#[test]
fn the_configuration_server_is_where_the_object_says_or_beside_the_matcher() {
    let mut external = External {
        matcher: "dips://a.org:9170/WorkloadManagement/Matcher, dips://[::1]:1/X/Y".into(),
        ..External::default()
    };
    assert_eq!(
        configuration_address(&external),
        "dips://a.org:9135/Configuration/Server, dips://[::1]:9135/Configuration/Server"
    );
    external.configuration = Some("dips://b.org:1/Configuration/Server".into());
    assert_eq!(configuration_address(&external), "dips://b.org:1/Configuration/Server");
}

#[test]
fn the_condition_names_the_first_that_lacks_and_what_is_unknown_is_never_false() {
    let key = Key { namespace: "dirac".into(), name: "egi".into() };
    let finding = |place: &str, state: State, fault: Option<Fault>| Finding {
        place: place.into(),
        state,
        needed: "GPU".into(),
        found: "nothing".into(),
        options: vec![],
        steps: vec![],
        fault,
    };
    let met = finding("/a", State::Met, None);
    let lacks = |n: usize| finding(&format!("/lacks/{n}"), State::Missing, None);
    let away = finding("/", State::Unknown, Some(Fault::Unreachable));
    assert_eq!(verdict(&key, std::slice::from_ref(&met)).1, Reason::Configured);
    let (holds, reason, text) = verdict(&key, &[met.clone(), away.clone()]);
    assert_eq!((holds, reason), (None, Reason::Unreachable));
    assert!(text.contains("/: nothing"), "{text}");
    assert_eq!(verdict(&key, &[finding("/", State::Unknown, None)]).1, Reason::NotReady);
    let (holds, reason, text) = verdict(&key, &[away, lacks(1), lacks(2), lacks(3), lacks(4), lacks(5)]);
    assert_eq!((holds, reason), (Some(false), Reason::NotConfigured));
    assert!(
        text.starts_with("/lacks/1 needs GPU, and there is nothing; ") && text.contains("; and 2 more; "),
        "{text}"
    );
    assert!(text.contains("`dirac-operator check --namespace dirac --installation egi` prints the lines"), "{text}");
    assert!(is_met(&[met]) && !is_met(&[lacks(1)]));
}
