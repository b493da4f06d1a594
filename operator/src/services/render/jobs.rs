//! What is done once for each version: the databases, and what DIRAC's classes and services must find in them.

use serde_json::{Value, json};

use super::{
    Installation, dirac, diracx,
    pod::{Container, DIRAC_USER, Pod, dirac_volumes, empty, literal, of_secret},
    workload,
};
use crate::services::{
    DATABASE_USER,
    catalogue::DATABASES,
    configuration::{OWN_SITE, SANDBOX_SE},
    keys,
};

/// Makes DIRAC's user, the databases with all grants, and the tables of those that have none. Run again, it changes nothing.
const SCHEMAS: &str = include_str!("files/schemas.sh");

/// The databases by a Job: DIRAC's image knows the tables, MariaDB's has the client.
pub fn schemas(installation: &Installation<'_>) -> Value {
    let own = installation.names.of("keys");
    let at = installation.stores().database;
    let external = installation.spec.external_database();
    let (user, root) = match external {
        Some(external) => {
            let secret = &external.admin_secret_ref.name;
            (of_secret(secret, "username"), of_secret(secret, "password"))
        }
        None => (json!("root"), of_secret(&own, keys::ROOT_PASSWORD)),
    };
    let of_dirac: Vec<String> = DATABASES.iter().map(|d| format!("{}/{}", d.system, d.name)).collect();
    let names = DATABASES.iter().map(|d| d.name).chain(diracx::OWN.map(|(_, name)| name));
    let mut pod = Pod::new(installation, "schemas", DIRAC_USER);
    let write = r#"for database in "$@"; do dirac-run schema "$database" > "/sql/${database#*/}.sql"; done"#;
    let words = ["sh", "-euc", write, "sh"].into_iter().map(str::to_owned).chain(of_dirac);
    pod.init.push(Container {
        name: "tables",
        image: dirac::image(installation),
        command: words.collect(),
        mounts: vec![("sql", "/sql"), ("tmp", "/tmp"), ("dirac", "/opt/dirac")],
        ..Container::default()
    });
    pod.containers.push(Container {
        name: "schemas",
        image: installation.images.mariadb.clone(),
        command: ["sh", "-euc", SCHEMAS, "sh"].into_iter().chain(names).map(str::to_owned).collect(),
        env: vec![
            ("INSTALLATION".into(), of_secret(&own, keys::ID)),
            ("DB_HOST".into(), json!(literal(&at.host))),
            ("DB_PORT".into(), json!(at.port.to_string())),
            ("DB_ADMIN".into(), user),
            ("DB_ADMIN_PASSWORD".into(), root),
            ("DB_USER".into(), json!(DATABASE_USER)),
            ("DB_PASSWORD".into(), of_secret(&own, keys::DATABASE_PASSWORD)),
        ],
        mounts: vec![("sql", "/sql"), ("tmp", "/tmp")],
        ..Container::default()
    });
    pod.volumes = vec![empty("sql"), empty("tmp"), empty("dirac")];
    pod.restarts = "OnFailure";
    workload::job(&pod)
}

/// Tables that DIRAC's classes make when they are first used, which two services must not do at once, and the rows without which no client
/// gets a sandbox: a Job, alone, before the services start.
pub fn preparation(installation: &Installation<'_>) -> Value {
    let mut pod = Pod::new(installation, "preparation", DIRAC_USER);
    pod.containers.push(dirac::container(
        installation,
        "preparation",
        ["prepare", SANDBOX_SE, OWN_SITE].map(str::to_owned).to_vec(),
    ));
    pod.volumes = dirac_volumes(installation, "pods.cfg");
    pod.restarts = "OnFailure";
    workload::job(&pod)
}
