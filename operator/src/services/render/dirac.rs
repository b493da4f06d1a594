//! DIRAC's own components.

use serde_json::{Value, json};

use super::{
    Installation,
    pod::{Container, DIRAC_MOUNTS, DIRAC_USER, Pod, dirac_env, dirac_volumes},
    workload,
};
use crate::{
    images::of_version,
    services::{
        catalogue::{Chosen, Component, Kind, Wrong},
        configuration::Basis,
    },
};

/// The image of DIRAC in the version that the manifest asks for.
pub fn image(installation: &Installation<'_>) -> String {
    of_version(&installation.images.dirac, &installation.spec.dirac_version)
}

/// The files that pods read: nothing in them is secret.
pub fn settings(installation: &Installation<'_>, basis: &Basis<'_>) -> Result<Value, Wrong> {
    Ok(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": workload::metadata(installation, &installation.names.of("settings"), "settings"),
        "data": {
            "Local.cfg": basis.published()?.to_string(),
            "pods.cfg": basis.of_pods().to_string(),
            "configuration.cfg": basis.of_configuration().to_string(),
            "components": basis.chosen.iter().map(|c| format!("{}\n", c.component.name)).collect::<String>(),
        },
    }))
}

/// What a user needs beside a certificate: the one line of DIRAC's client, and who signed the host certificate.
pub fn client(installation: &Installation<'_>, basis: &Basis<'_>) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": workload::metadata(installation, &installation.names.of("client"), "client"),
        "data": {"dirac.cfg": basis.of_clients().to_string(), "ca.crt": installation.authority},
    })
}

/// A container of DIRAC's with its files.
pub fn container(installation: &Installation<'_>, name: &'static str, args: Vec<String>) -> Container {
    Container {
        name,
        image: image(installation),
        args,
        env: dirac_env(),
        mounts: DIRAC_MOUNTS.to_vec(),
        ..Container::default()
    }
}

/// Answers a ping of DIRAC's. It says that the process lives and speaks; what its stores do is looked at elsewhere.
fn answers(component: &Component, port: u16) -> Value {
    json!({
        "exec": {"command": ["dirac-run", "ping", "127.0.0.1", port.to_string(), component.name]},
        "periodSeconds": 5,
        "timeoutSeconds": 10,
        "failureThreshold": 3,
    })
}

fn running(installation: &Installation<'_>, chosen: &Chosen) -> Container {
    let component = &chosen.component;
    let word = match component.kind {
        Kind::Service(_) => "service",
        Kind::Agent => "agent",
        Kind::Executor => "executor",
    };
    Container {
        port: component.port().map(|port| (workload::port_name(port), port)),
        readiness: component.port().map(|port| answers(component, port)),
        resources: serde_json::to_value(&chosen.resources).unwrap_or_default(),
        drains: component.port().is_some(),
        ..container(installation, "dirac", vec![word.to_owned(), component.name.to_owned()])
    }
}

/// The objects of one component. The services read files when they start: `made_from` has them start anew when one changed.
pub fn component(installation: &Installation<'_>, chosen: &Chosen, made_from: &str) -> Vec<Value> {
    let component = &chosen.component;
    let slug = component.slug();
    let mut pod = Pod::new(installation, &slug, DIRAC_USER);
    pod.containers.push(running(installation, chosen));
    pod.volumes = dirac_volumes(installation, "pods.cfg");
    pod.is_front = component.port().is_some();
    pod.is_spread = chosen.replicas > 1;
    made_from.clone_into(&mut pod.made_from);
    let mut objects = vec![
        workload::deployment(&pod, chosen.replicas, component.is_shared),
        workload::policy(installation, &slug, component.port(), component.is_public()),
    ];
    // Always: one that is taken away with the second pod would have to be looked for.
    if component.is_shared {
        objects.push(workload::budget(installation, &slug));
    }
    objects
}

/// The Configuration server, the master. It has the configuration in its memory, and writes it to its volume at each change: what this
/// operator renders is what it begins with, and no change of that has it start anew.
pub fn configuration(installation: &Installation<'_>, chosen: &Chosen) -> Vec<Value> {
    let slug = chosen.component.slug();
    let mut pod = Pod::new(installation, &slug, DIRAC_USER);
    let mounts = || {
        let mut mounts = DIRAC_MOUNTS.to_vec();
        mounts.push(("data", "/opt/dirac/etc"));
        mounts
    };
    // By a file: another set of components is no reason to start anew.
    let bootstrap = ["bootstrap", "/etc/dirac/Local.cfg", "/etc/dirac/components"].map(str::to_owned).to_vec();
    pod.init.push(Container { mounts: mounts(), ..container(installation, "bootstrap", bootstrap) });
    pod.containers.push(Container { mounts: mounts(), ..running(installation, chosen) });
    pod.volumes = dirac_volumes(installation, "configuration.cfg");
    pod.is_front = true;
    pod.made_from = installation.version_of_secrets.to_owned();
    vec![
        workload::stateful_set(&pod, "1Gi"),
        workload::service(installation, &slug, chosen.component.port().unwrap_or_default()),
        workload::policy(installation, &slug, chosen.component.port(), true),
    ]
}
