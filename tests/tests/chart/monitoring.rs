//! Alerts, their runbooks and the dashboard: they name what is there, and Prometheus understands them.

use std::{collections::BTreeSet, fs, path::PathBuf};

use promql_parser::parser;
use serde_json::Value;
use testbeds::systems::helm::chart;

use crate::rendered::{find, named, render};

fn docs() -> PathBuf {
    chart().join("../../docs")
}

fn alerts() -> Vec<Value> {
    let text = fs::read_to_string(chart().join("files/alerts.yaml")).unwrap();
    let file: Value = serde_saphyr::from_str(&text).unwrap();
    file["alerts"].as_array().unwrap().clone()
}

/// Every `expr` of the dashboard.
fn queries(within: &Value, found: &mut Vec<String>) {
    match within {
        Value::Object(fields) => {
            found.extend(fields.get("expr").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| queries(field, found));
        }
        Value::Array(all) => all.iter().for_each(|item| queries(item, found)),
        _ => {}
    }
}

/// What is wrong with an expression: Prometheus cannot read it, or it asks for what the page of metrics does not have.
fn faults(expr: &str, page: &str) -> Vec<String> {
    // Grafana fills its variables in before Prometheus sees them.
    let read = parser::parse(&expr.replace("$namespace", "any"));
    let syntax = read.err().map(|error| format!("{expr}: {error}"));
    let words = expr.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names = words.filter_map(|word| {
        let name = word.strip_prefix("dirac_operator_").or_else(|| word.starts_with("process_").then_some(word))?;
        Some(name.strip_suffix("_bucket").unwrap_or(name))
    });
    let unknown = names.filter(|name| !page.contains(&format!("`{name}`")));
    syntax.into_iter().chain(unknown.map(|name| format!("{name} is not in docs/metrics.md"))).collect()
}

#[test]
fn prometheus_understands_every_alert_and_every_panel_and_knows_their_metrics() {
    let page = fs::read_to_string(docs().join("metrics.md")).unwrap();
    let mut expressions: Vec<String> = alerts().iter().map(|a| a["expr"].as_str().unwrap().to_owned()).collect();
    let before = expressions.len();
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(chart().join("files/dashboard.json")).unwrap()).unwrap();
    queries(&dashboard, &mut expressions);
    assert!(before > 15 && expressions.len() > before + 20);
    let wrong: Vec<String> = expressions.iter().flat_map(|expr| faults(expr, &page)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(faults("sum by (a (dirac_operator_vms)", &page).len(), 1);
    assert_eq!(faults("dirac_operator_wms", &page), ["wms is not in docs/metrics.md"]);
}

#[test]
fn every_alert_has_its_runbook_a_severity_and_only_labels_that_it_keeps() {
    let pages: BTreeSet<String> = fs::read_dir(docs().join("runbooks"))
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "README")
        .collect();
    let index = fs::read_to_string(docs().join("runbooks/README.md")).unwrap();
    let alerts = alerts();
    let names: BTreeSet<String> = alerts.iter().map(|a| a["alert"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, pages, "one page for each alert");
    for alert in &alerts {
        let name = alert["alert"].as_str().unwrap();
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning"].contains(&severity), "{name}");
        assert!(index.contains(&format!("| [{name}]({name}.md) | {severity} |")), "{name} in the index of runbooks");
        let expr = alert["expr"].as_str().unwrap();
        for text in ["summary", "description"].map(|field| alert["annotations"][field].as_str().unwrap()) {
            for label in text.split("$labels.").skip(1) {
                let label = label.split(|c: char| !c.is_ascii_lowercase()).next().unwrap();
                let kept = expr.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
                let kept: Vec<&str> = kept.flat_map(|labels| labels.split(", ")).collect();
                assert!(kept.contains(&label), "{name}: {label} is not in {expr}");
            }
        }
    }
}

#[test]
fn monitoring_is_made_only_when_asked_for_and_links_to_its_runbooks() {
    let kinds = ["ServiceMonitor", "PrometheusRule", "ConfigMap"];
    let plain = render(&[]).unwrap();
    assert!(kinds.iter().all(|kind| named(&plain, kind).is_empty()));
    let objects = render(&[
        r#"serviceMonitor={"enabled":true,"interval":"15s","labels":{"release":"prometheus"}}"#,
        r#"prometheusRule={"enabled":true,"runbooks":"https://docs.example.org/runbooks/NAME.html"}"#,
        "dashboard.enabled=true",
    ])
    .unwrap();
    let monitor = find(&objects, "ServiceMonitor", "trial");
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
    assert_eq!(monitor["metadata"]["labels"]["app.kubernetes.io/instance"], "trial");
    let endpoint = &monitor["spec"]["endpoints"][0];
    assert_eq!((&endpoint["interval"], &endpoint["honorLabels"]), (&"15s".into(), &true.into()));
    let service = find(&objects, "Service", "trial-metrics");
    let selected = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap();
    assert!(selected.iter().all(|(name, value)| service["metadata"]["labels"][name] == *value), "it finds the Service");
    let rules = find(&objects, "PrometheusRule", "trial")["spec"]["groups"][0]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), alerts().len());
    let annotations = &rules[0]["annotations"];
    assert_eq!(annotations["runbook"], "docs/runbooks/DiracOperatorLeaderless.md");
    assert_eq!(annotations["runbook_url"], "https://docs.example.org/runbooks/DiracOperatorLeaderless.html");
    let dashboard = find(&objects, "ConfigMap", "trial-dashboard");
    assert_eq!(dashboard["metadata"]["labels"]["grafana_dashboard"], "1");
    let text = dashboard["data"]["dirac-operator.json"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap()["uid"], "dirac-operator");
}
