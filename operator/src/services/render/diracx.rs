//! DiracX: its API, its tasks, and its own databases, over DIRAC's.

use serde_json::{Value, json};

use super::{
    Installation, dirac,
    pod::{Container, DIRAC_USER, Pod, dirac_volumes, empty, literal, of_secret},
    stores, workload,
};
use crate::{
    images::of_version,
    services::{DATABASE_USER, configuration::SANDBOX_SE, keys},
};

/// The port of its pods.
pub const PORT: u16 = 8000;
const BUCKET: &str = "sandboxes";
/// DIRAC's databases, which DiracX uses as they are, and its own.
const OF_DIRAC: [&str; 6] =
    ["JobDB", "JobLoggingDB", "PilotAgentsDB", "ResourceStatusDB", "SandboxMetadataDB", "TaskQueueDB"];
pub const OWN: [(&str, &str); 3] =
    [("AuthDB", "DiracXAuthDB"), ("TaskDB", "DiracXTaskDB"), ("TransformationDB", "DiracXTransformationDB")];

fn image(installation: &Installation<'_>) -> String {
    of_version(&installation.images.diracx, &installation.spec.diracx_version)
}

fn url(installation: &Installation<'_>, database: &str) -> String {
    let at = installation.stores().database;
    // The password is the variable before it: Kubernetes puts it in.
    format!("mysql+aiomysql://{DATABASE_USER}:$(DATABASE_PASSWORD)@{}:{}/{database}", literal(&at.host), at.port)
}

fn password(installation: &Installation<'_>) -> (String, Value) {
    ("DATABASE_PASSWORD".to_owned(), of_secret(&installation.names.of("keys"), keys::DATABASE_PASSWORD))
}

fn own_databases(installation: &Installation<'_>) -> Vec<(String, Value)> {
    let urls = OWN.map(|(name, database)| {
        (format!("DIRACX_DB_URL_{}", name.to_ascii_uppercase()), json!(url(installation, database)))
    });
    std::iter::once(password(installation)).chain(urls).collect()
}

fn search(installation: &Installation<'_>) -> (String, Value) {
    let at = installation.stores().search;
    let said = json!({"hosts": format!("none:none@{}:{}", at.host, at.port), "use_ssl": false, "verify_certs": false});
    ("DIRACX_OS_DB_JOBPARAMETERSDB".to_owned(), json!(said.to_string()))
}

/// The variables of the API and of the tasks. Values of Secrets are variables of their own, from which others are put together.
fn env(installation: &Installation<'_>) -> Vec<(String, Value)> {
    let secret = installation.names.of("keys");
    let issuer = format!("https://{}", installation.spec.host);
    let (endpoint, bucket, s3_secret) = match installation.spec.external_store() {
        Some(bucket) => (literal(&bucket.endpoint), literal(&bucket.bucket), bucket.secret_ref.name.clone()),
        None => (
            format!("http://{}:{}", installation.names.of(stores::S3), stores::S3_PORT),
            BUCKET.to_owned(),
            secret.clone(),
        ),
    };
    let client = json!({
        "endpoint_url": endpoint,
        "aws_access_key_id": "$(S3_ACCESS_KEY_ID)",
        "aws_secret_access_key": "$(S3_SECRET_ACCESS_KEY)",
    });
    let mut env = own_databases(installation);
    env.extend(
        OF_DIRAC.map(|name| (format!("DIRACX_DB_URL_{}", name.to_ascii_uppercase()), json!(url(installation, name)))),
    );
    env.push(search(installation));
    env.extend([
        ("S3_ACCESS_KEY_ID".to_owned(), of_secret(&s3_secret, keys::S3_KEY_ID)),
        ("S3_SECRET_ACCESS_KEY".to_owned(), of_secret(&s3_secret, keys::S3_KEY)),
        ("DIRACX_SERVICE_AUTH_STATE_KEY".to_owned(), of_secret(&secret, keys::STATE_KEY)),
        ("DIRACX_LEGACY_EXCHANGE_HASHED_API_KEY".to_owned(), of_secret(&secret, keys::LEGACY_HASH)),
    ]);
    let plain = [
        ("DIRACX_CONFIG_BACKEND_URL", "git+file:///git".to_owned()),
        ("DIRACX_SERVICE_AUTH_TOKEN_KEYSTORE", format!("file:///keys/{}", keys::JWKS)),
        ("DIRACX_SERVICE_AUTH_TOKEN_ISSUER", issuer.clone()),
        ("DIRACX_SERVICE_AUTH_ALLOWED_REDIRECTS", json!([format!("{issuer}/api/docs/oauth2-redirect")]).to_string()),
        ("DIRACX_SANDBOX_STORE_BUCKET_NAME", bucket),
        ("DIRACX_SANDBOX_STORE_AUTO_CREATE_BUCKET", "true".to_owned()),
        ("DIRACX_SANDBOX_STORE_SE_NAME", SANDBOX_SE.to_owned()),
        ("DIRACX_SANDBOX_STORE_S3_CLIENT_KWARGS", client.to_string()),
        ("DIRACX_TASKS_REDIS_URL", format!("redis://{}:{}", installation.names.of(stores::REDIS), stores::REDIS_PORT)),
        ("DIRACX_URL", issuer),
        ("DIRACX_CA_PATH", "/host/ca.crt".to_owned()),
        // The API speaks TLS itself, with the host certificate: nothing between a pod and it reads tokens.
        ("UVICORN_SSL_CERTFILE", "/host/tls.crt".to_owned()),
        ("UVICORN_SSL_KEYFILE", "/host/tls.key".to_owned()),
    ];
    env.extend(plain.map(|(name, value)| (name.to_owned(), json!(value))));
    env
}

const MOUNTS: [(&str, &str); 4] = [("git", "/git"), ("keys", "/keys"), ("host", "/host"), ("diracx-tmp", "/tmp")];

/// A pod of DiracX's. Its configuration is DIRAC's, converted: first before it starts, then at each change. What cannot be converted is
/// left out, and the last good one stays.
fn pod<'a>(installation: &'a Installation<'a>, part: &'a str, main: Container, made_from: &str) -> Pod<'a> {
    let follow = |name, once: bool| {
        let words = ["follow", installation.spec.host.as_str(), "9135", "/converted"];
        let words = words.into_iter().chain(once.then_some("--once"));
        let mut container = dirac::container(installation, name, words.map(str::to_owned).collect());
        container.mounts.push(("converted", "/converted"));
        container
    };
    let commit = |name, once: bool| {
        let words = ["watch-config", "/converted", "/git"].into_iter().chain(once.then_some("--once"));
        Container {
            name,
            image: image(installation),
            args: words.map(str::to_owned).collect(),
            mounts: vec![("git", "/git"), ("converted", "/converted"), ("diracx-tmp", "/tmp")],
            ..Container::default()
        }
    };
    let mut pod = Pod::new(installation, part, DIRAC_USER);
    pod.init = vec![follow("convert", true), commit("commit", true)];
    pod.containers = vec![main, follow("follow", false), commit("watch", false)];
    pod.volumes = dirac_volumes(installation, "pods.cfg");
    let secret = |name: &str, of: &str, keys: &[&str]| {
        let items: Vec<Value> = keys.iter().map(|key| json!({"key": key, "path": key})).collect();
        json!({"name": name, "secret": {"secretName": of, "defaultMode": 0o440, "items": items}})
    };
    pod.volumes.extend([
        empty("git"),
        empty("converted"),
        empty("diracx-tmp"),
        secret("keys", &installation.names.of("keys"), &[keys::JWKS]),
        secret("host", installation.certificate, &["tls.crt", "tls.key", "ca.crt"]),
    ]);
    made_from.clone_into(&mut pod.made_from);
    pod
}

/// The API.
pub fn api(installation: &Installation<'_>, made_from: &str) -> Vec<Value> {
    const PART: &str = "diracx";
    let main = Container {
        name: "api",
        image: image(installation),
        args: vec!["api".to_owned()],
        env: env(installation),
        port: Some((workload::port_name(PORT), PORT)),
        mounts: MOUNTS.to_vec(),
        readiness: Some(json!({
            "httpGet": {"path": "/api/health/ready", "port": PORT, "scheme": "HTTPS"},
            "periodSeconds": 5,
            "timeoutSeconds": 5,
        })),
        drains: true,
        ..Container::default()
    };
    let mut pod = pod(installation, PART, main, made_from);
    pod.is_front = true;
    vec![workload::deployment(&pod, 1, true), workload::policy(installation, PART, Some(PORT), true)]
}

/// The scheduler, and a worker for tasks of each size.
pub fn tasks(installation: &Installation<'_>, made_from: &str) -> Vec<Value> {
    let task = |part: &'static str, words: &[&str], is_shared: bool| {
        let main = Container {
            name: "tasks",
            image: image(installation),
            args: words.iter().map(|word| (*word).to_owned()).collect(),
            env: env(installation),
            mounts: MOUNTS.to_vec(),
            ..Container::default()
        };
        let pod = pod(installation, part, main, made_from);
        [workload::deployment(&pod, 1, is_shared), workload::policy(installation, part, None, false)]
    };
    [
        task("diracx-scheduler", &["scheduler"], false),
        task("diracx-worker-small", &["worker", "small"], true),
        task("diracx-worker-medium", &["worker", "medium"], true),
    ]
    .concat()
}

/// Makes DiracX's own databases and the templates of the search server: a Job, which changes nothing when it is run again.
pub fn databases(installation: &Installation<'_>) -> Value {
    let container = |name, word: &str, env| Container {
        name,
        image: image(installation),
        args: vec![word.to_owned()],
        env,
        mounts: vec![("tmp", "/tmp")],
        ..Container::default()
    };
    let mut pod = Pod::new(installation, "diracx-databases", DIRAC_USER);
    pod.init = vec![container("sql", "init-sql", own_databases(installation))];
    pod.containers = vec![container("search", "init-os", vec![search(installation)])];
    pod.volumes = vec![empty("tmp")];
    pod.restarts = "OnFailure";
    workload::job(&pod)
}
