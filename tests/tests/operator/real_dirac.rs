//! A real DIRAC: its queues are read, and each of its failures, its credentials' and its impostors' is a condition with a sentence.

use std::{path::Path, time::Duration};

use broker::demand::diset::Credentials;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use testbeds::systems::{
    dirac::Dirac,
    pki::{Authority, Identity},
};

use super::{Fixture, Operator, fixture, impostor, until};

#[tokio::test]
async fn a_real_dirac_s_queues_are_read_and_its_failures_are_conditions() {
    let state = tempfile::tempdir().unwrap();
    let log_file = state.path().join("operator.log");
    let mut dirac = Dirac::start_matching(&state.path().join("dirac")).await.unwrap();
    let f = fixture(state.path()).await;
    let jobs: Vec<(u64, Value)> = (1..=9)
        .map(|job| {
            let group = ["biomed_user", "enmr_user", "lonely_user"][usize::try_from(job).unwrap() % 3];
            (job, json!({"Owner": "opuser", "OwnerGroup": group, "CPUTime": 3_600}))
        })
        .collect();
    assert_eq!(dirac.fill_task_queues(&jobs).unwrap(), []);

    f.kubectl.run(&["create", "namespace", "real"]).unwrap();
    let manifest = format!(
        r#"
apiVersion: diracgrid.org/v1alpha1
kind: DiracInstallation
metadata: {{name: egi, namespace: real}}
spec:
  demand: {{pollInterval: 5s}}
  external:
    matcher: {}
    pilotManager: {}
    configuration: {}
    credentials: {{certificateSecretRef: {{name: cert}}, group: biomed_admin}}
---
apiVersion: diracgrid.org/v1alpha1
kind: VirtualOrganization
metadata: {{name: biomed, namespace: real}}
spec: {{installationRef: {{name: egi}}, diracName: biomed, groups: [{{name: biomed_user}}, {{name: biomed_pilot, properties: [GenericPilot]}}], pilot: {{group: biomed_pilot}}}}
---
apiVersion: diracgrid.org/v1alpha1
kind: VirtualOrganization
metadata: {{name: enmr, namespace: real}}
spec: {{installationRef: {{name: egi}}, diracName: enmr.eu, groups: [{{name: enmr_user}}, {{name: enmr_pilot, properties: [GenericPilot]}}], pilot: {{group: enmr_pilot}}}}
"#,
        dirac.url("MATCHER").unwrap(),
        dirac.url("PILOTMANAGER").unwrap(),
        dirac.url("CONFIGURATION").unwrap()
    );
    f.kubectl.apply(&manifest).unwrap();
    let says = async |status: &str, reason: &str, words: &str| {
        until(&format!("DemandRead is {status} for {reason}"), 120, async || {
            let (s, r, m) = f.condition("real", "diracinstallation/egi", "DemandRead");
            if s == status && r == reason && m.contains(words) { Ok(()) } else { Err(format!("{s} {r}: {m}")) }
        })
        .await;
    };
    says("False", "SecretMissing", "\"cert\"").await;
    put_secret(&f, "real", "cert", &keys(&dirac.credentials("stranger").unwrap()));
    says("False", "Unauthorized", "registry").await;
    put_secret(&f, "real", "cert", &keys(&dirac.credentials("user").unwrap()));
    says("True", "Read", "").await;
    let installation = f.get("real", "diracinstallation/egi");
    assert_eq!(installation["status"]["waitingJobs"], 9);
    assert_eq!(installation["status"]["unclaimed"], json!([{"group": "lonely_user", "jobs": 3}]));
    until("each VO has its share of the jobs", 20, async || {
        let waiting = |vo: &str| f.get("real", vo)["status"]["waitingJobs"].as_u64().unwrap_or(0);
        let both = (waiting("vo/biomed"), waiting("vo/enmr"));
        if both == (3, 3) { Ok(()) } else { Err(format!("{both:?}")) }
    })
    .await;
    what_dirac_lacks_is_a_condition_and_the_command_prints_the_lines_that_cure_it(&f, &dirac).await;
    dirac.stop_service("MATCHER");
    says("False", "Unreachable", "nothing is scaled").await;
    dirac.start_service("MATCHER").unwrap();
    says("True", "Read", "").await;
    a_pilotmanager_that_is_away_is_said_before_a_vm_is_made(&f, &mut dirac).await;
    each_kind_of_bad_credentials_has_its_sentence(&f, &dirac).await;
    a_matcher_that_answers_nonsense_is_said_and_costs_no_memory(&f, &dirac).await;
    credentials_that_are_taken_back_stop_the_planning(&f, &dirac, &log_file).await;
    let log = std::fs::read_to_string(log_file).unwrap();
    assert!(!log.contains("PRIVATE KEY"), "no secret in the log");
}

/// The keys of a secret.
fn keys(credentials: &Credentials) -> Value {
    json!({
        "tls.crt": credentials.certificate.expose_secret(),
        "tls.key": credentials.key.expose_secret(),
        "ca.crt": credentials.ca.expose_secret(),
    })
}

fn put_secret(f: &Fixture, namespace: &str, name: &str, keys: &Value) {
    f.kubectl.put_secret(namespace, name, "stringData", keys).unwrap();
}

/// The manifest calls the second VO enmr.eu, and DIRAC's groups are of enmr.
async fn what_dirac_lacks_is_a_condition_and_the_command_prints_the_lines_that_cure_it(f: &Fixture, dirac: &Dirac) {
    let says = async |status: &str, reason: &str, words: &str| {
        until(&format!("DiracReady is {status} for {reason}"), 240, async || {
            let (s, r, m) = f.condition("real", "diracinstallation/egi", "DiracReady");
            if s == status && r == reason && m.contains(words) { Ok(()) } else { Err(format!("{s} {r}: {m}")) }
        })
        .await;
    };
    says("False", "NotConfigured", "/Registry/Groups/enmr_user/VO needs enmr.eu, and there is enmr").await;
    assert_eq!(f.condition("real", "diracinstallation/egi", "Ready").0, "True", "it only informs");
    let check = |installation: &str| {
        let args = ["check", "--namespace", "real", "--installation", installation];
        let output = Operator::command(&f.plane.kubeconfig()).unwrap().args(args).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains("PRIVATE KEY") && !text.contains("BEGIN CERTIFICATE"), "no secret is printed");
        (output.status.code(), text)
    };
    let (code, text) = check("egi");
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("\nmissing  /Registry/Groups/enmr_user/VO")
            && text.contains("\nok       WorkloadManagement/Matcher"),
        "{text}"
    );
    let lines = &text[text.find("\nRegistry\n{").expect("lines")..];
    dirac.merge_configuration(lines).unwrap();
    let (code, text) = check("egi");
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(check("nobody").0, Some(2));
    says("True", "Configured", "").await;
    for reason in ["NotConfigured", "Configured"] {
        until(&format!("an event says {reason}"), 60, async || {
            let about =
                ["get", "events", "--namespace", "real", &format!("--field-selector=reason={reason}"), "--output=yaml"];
            let events = f.kubectl.run(&about).unwrap();
            if events.contains("name: egi") { Ok(()) } else { Err(events) }
        })
        .await;
    }
}

async fn a_pilotmanager_that_is_away_is_said_before_a_vm_is_made(f: &Fixture, dirac: &mut Dirac) {
    let says = async |status: &str, reason: &str| {
        until(&format!("RowsRead is {status} for {reason}"), 60, async || {
            let (s, r, m) = f.condition("real", "diracinstallation/egi", "RowsRead");
            let ready = f.condition("real", "diracinstallation/egi", "Ready").0;
            if s == status && r == reason && ready == status { Ok(()) } else { Err(format!("{s} {r}: {m}; {ready}")) }
        })
        .await;
    };
    says("True", "Read").await;
    dirac.stop_service("PILOTMANAGER");
    says("False", "Unreachable").await;
    dirac.start_service("PILOTMANAGER").unwrap();
    says("True", "Read").await;
}

async fn a_matcher_that_answers_nonsense_is_said_and_costs_no_memory(f: &Fixture, dirac: &Dirac) {
    const HUNDRED_MB: usize = 100 << 20;
    f.kubectl.run(&["create", "namespace", "nonsense"]).unwrap();
    put_secret(f, "nonsense", "cert", &keys(&dirac.credentials("user").unwrap()));
    let framed = |text: String| format!("{}:{text}", text.len()).into_bytes();
    let cases = [
        ("no-diset", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "Garbage"),
        ("no-json", framed("<html>".to_owned()), "Garbage"),
        ("hundred-megabytes", framed("x".repeat(HUNDRED_MB)), "AnswerTooLarge"),
        (
            "million-values",
            framed(format!(r#"{{"OK": true, "Value": [0{}]}}"#, ",0".repeat(4 << 20))),
            "AnswerTooLarge",
        ),
        ("hangs-up", Vec::new(), "Unreachable"),
    ];
    for (name, answer, _) in &cases {
        let port = impostor::start(dirac.state(), answer.clone()).await;
        let external = json!({
            "matcher": format!("dips://localhost:{port}/WorkloadManagement/Matcher"),
            "pilotManager": dirac.url("PILOTMANAGER").unwrap(),
            "credentials": {"certificateSecretRef": {"name": "cert"}, "group": "biomed_admin"},
        });
        let installation = json!({
            "apiVersion": "diracgrid.org/v1alpha1", "kind": "DiracInstallation",
            "metadata": {"name": name, "namespace": "nonsense"},
            "spec": {"demand": {"pollInterval": "2s"}, "external": external},
        });
        f.kubectl.apply(&installation.to_string()).unwrap();
    }
    for (name, _, reason) in &cases {
        until(&format!("installation {name} says {reason}"), 40, async || {
            let (s, r, m) = f.condition("nonsense", &format!("diracinstallation/{name}"), "DemandRead");
            let all = s == "False" && r == *reason && m.contains("nothing is scaled");
            if all { Ok(()) } else { Err(format!("{s} {r}: {m}")) }
        })
        .await;
    }
    // They are asked every two seconds.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let resident = f.operator.metric(&["resident_memory_bytes"]).await.unwrap();
    eprintln!("resident memory while five Matchers answer nonsense: {:.0} MB", resident / 1e6);
    assert!(resident < 256e6, "{resident} bytes are more than the budget of 256 MB");
    let (status, ..) = f.condition("real", "diracinstallation/egi", "DemandRead");
    assert_eq!(status, "True", "the installation beside them is read as before");
    f.kubectl.run(&["delete", "namespace", "nonsense", "--timeout=60s"]).unwrap();
}

async fn each_kind_of_bad_credentials_has_its_sentence(f: &Fixture, dirac: &Dirac) {
    f.kubectl.run(&["create", "namespace", "bad"]).unwrap();
    let good = keys(&dirac.credentials("user").unwrap());
    let with = |name: &str, value: &str| {
        let mut keys = good.clone();
        keys[name] = json!(value);
        keys
    };
    let subject = [("C", "ch"), ("O", "TestGrid"), ("CN", "opuser")];
    let elsewhere = Authority::new(&[("C", "ch"), ("O", "TestGrid"), ("CN", "Other CA")]).unwrap();
    let of = |identity: Identity| {
        let mut keys = with("tls.crt", &identity.certificate);
        keys["tls.key"] = json!(identity.key);
        keys
    };
    let mut half = good.clone();
    half.as_object_mut().unwrap().remove("tls.key");
    let (expired, forged) = (elsewhere.issue_expired(&subject, &[], 2020), elsewhere.issue(&subject, &[]));
    let cases = [
        ("half", half, "biomed_admin", "SecretIncomplete", "has no key \"tls.key\""),
        ("rubbish", with("tls.crt", "hello"), "biomed_admin", "BadCredentials", "tls.crt holds no certificate in PEM"),
        ("cut", with("tls.key", "-----BEGIN"), "biomed_admin", "BadCredentials", "tls.key holds no private key"),
        (
            "unpaired",
            with("tls.key", &forged.as_ref().unwrap().key),
            "biomed_admin",
            "BadCredentials",
            "tls.crt and tls.key",
        ),
        ("no-ca", with("ca.crt", "hello"), "biomed_admin", "BadCredentials", "ca.crt holds no certificate"),
        (
            "empty-ca",
            with("ca.crt", ""),
            "biomed_admin",
            "SecretIncomplete",
            "\"ca.crt\" of Secret \"empty-ca\" is empty",
        ),
        ("other-ca", with("ca.crt", &elsewhere.certificate), "biomed_admin", "CertificateRefused", "CA that signed it"),
        ("forged", of(forged.unwrap()), "biomed_admin", "CertificateRefused", "DIRAC's host must trust the CA"),
        ("expired", of(expired.unwrap()), "biomed_admin", "CertificateExpired", "ended on 2020-01-01"),
        ("weak-group", good.clone(), "biomed_user", "Unauthorized", "check the group"),
        ("no-group", good.clone(), "ghosts", "Unauthorized", "check the group"),
    ];
    for (name, keys, group, ..) in &cases {
        put_secret(f, "bad", name, keys);
        let external = json!({
            "matcher": dirac.url("MATCHER").unwrap(),
            "pilotManager": dirac.url("PILOTMANAGER").unwrap(),
            "credentials": {"certificateSecretRef": {"name": name}, "group": group},
        });
        let installation = json!({
            "apiVersion": "diracgrid.org/v1alpha1", "kind": "DiracInstallation",
            "metadata": {"name": name, "namespace": "bad"},
            "spec": {"demand": {"pollInterval": "5s"}, "external": external},
        });
        f.kubectl.apply(&installation.to_string()).unwrap();
    }
    for (name, .., reason, words) in &cases {
        until(&format!("installation {name} says {reason}"), 30, async || {
            let (s, r, m) = f.condition("bad", &format!("diracinstallation/{name}"), "DemandRead");
            let all = s == "False" && r == *reason && m.contains(words) && m.contains("nothing is scaled");
            if all { Ok(()) } else { Err(format!("{s} {r}: {m}")) }
        })
        .await;
        let (ready, because, _) = f.condition("bad", &format!("diracinstallation/{name}"), "Ready");
        assert_eq!((ready.as_str(), because.as_str()), ("False", *reason), "{name}");
    }
    f.kubectl.run(&["delete", "namespace", "bad", "--timeout=60s"]).unwrap();
}

async fn credentials_that_are_taken_back_stop_the_planning(f: &Fixture, dirac: &Dirac, log: &Path) {
    let says = async |reason: &str| {
        until(reason, 90, async || {
            let (_, r, m) = f.condition("real", "diracinstallation/egi", "DemandRead");
            if r == reason { Ok(()) } else { Err(format!("{r}: {m}")) }
        })
        .await;
    };
    // Secrets are read again each minute, and at once when an installation is touched.
    let touch = |n: &str| f.kubectl.run(&["annotate", "diracinstallation", "egi", n, "--namespace", "real"]).unwrap();
    let rounds = || std::fs::read_to_string(log).unwrap().matches("planned").count();
    f.kubectl.run(&["delete", "secret", "cert", "--namespace", "real"]).unwrap();
    touch("look=once");
    says("SecretMissing").await;
    let before = rounds();
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(rounds(), before, "no round plans with what was in memory");
    put_secret(f, "real", "cert", &keys(&dirac.credentials("user").unwrap()));
    touch("see=again");
    says("Read").await;
    assert!(rounds() > before);
}
