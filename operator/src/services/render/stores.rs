//! The stores that run beside DIRAC: one instance each with a volume. For small sites; others name servers that they run already.

use serde_json::{Value, json};

use super::{
    Installation,
    pod::{Container, Pod, empty, of_secret},
    workload,
};
use crate::services::keys;

pub const MARIADB: &str = "mariadb";
pub const MARIADB_PORT: u16 = 3306;
pub const OPENSEARCH: &str = "opensearch";
pub const OPENSEARCH_PORT: u16 = 9200;
pub const S3: &str = "s3";
pub const S3_PORT: u16 = 7070;
pub const REDIS: &str = "redis";
pub const REDIS_PORT: u16 = 6379;
/// Space where the manifest says nothing.
const STORAGE: &str = "10Gi";
/// Users as which the usual public images run.
const MARIADB_USER: i64 = 999;
const OPENSEARCH_USER: i64 = 1000;
const REDIS_USER: i64 = 999;
const S3_USER: i64 = 1000;

/// The stores that are not external, with a Service and a policy each.
pub fn objects(installation: &Installation<'_>) -> Vec<Value> {
    let spec = installation.spec;
    let mut objects = Vec::new();
    if spec.external_database().is_none() {
        let storage = spec.database.as_ref().and_then(|d| d.managed.as_ref());
        objects.extend(with_service(installation, mariadb(installation), MARIADB_PORT, storage));
    }
    let storage = spec.search.as_ref().and_then(|s| s.managed.as_ref());
    objects.extend(with_service(installation, opensearch(installation), OPENSEARCH_PORT, storage));
    if spec.external_store().is_none() {
        let storage = spec.object_store.as_ref().and_then(|s| s.managed.as_ref());
        objects.extend(with_service(installation, s3(installation), S3_PORT, storage));
    }
    objects.extend(redis(installation));
    objects
}

fn with_service(
    installation: &Installation<'_>,
    pod: Pod<'_>,
    port: u16,
    storage: Option<&crds::managed::Storage>,
) -> [Value; 3] {
    let storage = storage.map_or(STORAGE, |s| s.storage.as_str());
    [
        workload::stateful_set(&pod, storage),
        workload::service(installation, pod.part, port),
        workload::policy(installation, pod.part, Some(port), false),
    ]
}

/// Ready when something listens: none of these listens before it can answer.
fn listens(port: u16) -> Value {
    json!({"tcpSocket": {"port": port}, "periodSeconds": 3, "timeoutSeconds": 3})
}

fn mariadb<'a>(installation: &'a Installation<'a>) -> Pod<'a> {
    let secret = installation.names.of("keys");
    let mut pod = Pod::new(installation, MARIADB, MARIADB_USER);
    let arguments = [
        // A process of DIRAC's keeps connections for each of its threads.
        "--max-connections=1000",
        "--innodb-buffer-pool-size=256M",
        "--character-set-server=utf8mb4",
        "--skip-log-bin",
        "--skip-name-resolve",
    ];
    pod.containers.push(Container {
        name: "mariadb",
        image: installation.images.mariadb.clone(),
        args: arguments.map(str::to_owned).to_vec(),
        env: vec![("MARIADB_ROOT_PASSWORD".into(), of_secret(&secret, keys::ROOT_PASSWORD))],
        port: Some(("main".into(), MARIADB_PORT)),
        mounts: vec![("data", "/var/lib/mysql"), ("run", "/run/mysqld"), ("tmp", "/tmp")],
        readiness: Some(listens(MARIADB_PORT)),
        resources: json!({"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}}),
        ..Container::default()
    });
    pod.volumes = vec![empty("run"), empty("tmp")];
    pod
}

fn opensearch<'a>(installation: &'a Installation<'a>) -> Pod<'a> {
    let mut pod = Pod::new(installation, OPENSEARCH, OPENSEARCH_USER);
    let env = [
        ("discovery.type", "single-node"),
        ("OPENSEARCH_JAVA_OPTS", "-Xms512m -Xmx512m -XX:+UseSerialGC"),
        // It is reached by the installation's own pods alone: the network policy keeps all others off.
        ("DISABLE_SECURITY_PLUGIN", "true"),
        // Space counts, and not the part that is left: at 95 % of a large disk it would refuse all writes.
        ("cluster.routing.allocation.disk.watermark.low", "2gb"),
        ("cluster.routing.allocation.disk.watermark.high", "1gb"),
        ("cluster.routing.allocation.disk.watermark.flood_stage", "500mb"),
        ("DISABLE_INSTALL_DEMO_CONFIG", "true"),
    ];
    pod.containers.push(Container {
        name: "opensearch",
        image: installation.images.opensearch.clone(),
        env: env.map(|(name, value)| (name.to_owned(), json!(value))).to_vec(),
        port: Some(("main".into(), OPENSEARCH_PORT)),
        mounts: vec![("data", "/usr/share/opensearch/data"), ("logs", "/usr/share/opensearch/logs"), ("tmp", "/tmp")],
        readiness: Some(healthy(3)),
        // Its JVM was seen to hang while it loads its classes, once in some starts.
        startup: Some(healthy(60)),
        resources: json!({"requests": {"cpu": "100m", "memory": "768Mi"}, "limits": {"memory": "1536Mi"}}),
        ..Container::default()
    });
    pod.volumes = vec![empty("logs"), empty("tmp")];
    pod
}

fn healthy(failures: u32) -> Value {
    json!({
        "httpGet": {"path": "/_cluster/health?local=true", "port": OPENSEARCH_PORT},
        "periodSeconds": 5,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    })
}

fn s3<'a>(installation: &'a Installation<'a>) -> Pod<'a> {
    let secret = installation.names.of("keys");
    let mut pod = Pod::new(installation, S3, S3_USER);
    pod.containers.push(Container {
        name: "s3",
        image: installation.images.s3.clone(),
        args: ["--port", ":7070", "posix", "/data"].map(str::to_owned).to_vec(),
        env: vec![
            ("ROOT_ACCESS_KEY".into(), of_secret(&secret, keys::S3_KEY_ID)),
            ("ROOT_SECRET_KEY".into(), of_secret(&secret, keys::S3_KEY)),
        ],
        port: Some(("main".into(), S3_PORT)),
        mounts: vec![("data", "/data"), ("tmp", "/tmp")],
        readiness: Some(listens(S3_PORT)),
        ..Container::default()
    });
    pod.volumes = vec![empty("tmp")];
    pod
}

/// It has only what is queued for DiracX's tasks, which is asked for again: it needs no volume.
fn redis(installation: &Installation<'_>) -> Vec<Value> {
    let mut pod = Pod::new(installation, REDIS, REDIS_USER);
    pod.containers.push(Container {
        name: "redis",
        image: installation.images.redis.clone(),
        args: ["--appendonly", "no", "--save", ""].map(str::to_owned).to_vec(),
        port: Some(("main".into(), REDIS_PORT)),
        mounts: vec![("data", "/data"), ("tmp", "/tmp")],
        readiness: Some(listens(REDIS_PORT)),
        ..Container::default()
    });
    pod.volumes = vec![empty("data"), empty("tmp")];
    vec![
        workload::deployment(&pod, 1, false),
        workload::service(installation, REDIS, REDIS_PORT),
        workload::policy(installation, REDIS, Some(REDIS_PORT), false),
    ]
}
