//! As the chart is installed by default: some namespaces, a Role in each, and no right elsewhere.

use testbeds::systems::{
    controlplane::ControlPlane,
    operator::{NAMESPACE, Operator},
};

use super::{Fixture, QUICK, until};

#[tokio::test]
async fn each_of_several_watched_namespaces_is_served() {
    let state = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(&state.path().join("controlplane")).await.unwrap();
    for namespace in ["north", "south"] {
        plane.kubectl().run(&["create", "namespace", namespace]).unwrap();
    }
    Operator::install_chart(&plane, "replicas=0,watchNamespaces={north,south}").unwrap();
    let mut watched = QUICK.map(str::to_owned).to_vec();
    watched.extend([NAMESPACE, "north", "south"].map(|namespace| format!("--watch-namespace={namespace}")));
    let args: Vec<&str> = watched.iter().map(String::as_str).collect();
    let (operator, _) = Operator::start_installed(&plane, &state.path().join("operator.log"), &args).await.unwrap();
    let f = Fixture { kubectl: plane.kubectl(), operator, plane };
    for namespace in ["north", "south"] {
        f.objects(namespace, 4, "5s", 2, "");
    }
    for namespace in ["north", "south"] {
        until(&format!("the jobs of {namespace} are served, and its VMs go"), 120, async || {
            match (f.jobs(namespace, "served").await, f.vms(namespace).len()) {
                (4, 0) => Ok(()),
                (served, vms) => Err(format!("{served} served, {vms} PilotVMs")),
            }
        })
        .await;
    }
}
