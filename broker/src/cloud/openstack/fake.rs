//! A small OpenStack for unit tests: it answers as a test says, and otherwise as a site that works and is empty.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{Config, Credential, NameOrId, OpenStackCloud, Project, tags, wire::MICROVERSION};
use crate::{
    clock::Clock,
    cloud::{Attempt, Choice, Order, Owner, Pace, Rate},
    pilot::Pilot,
};

pub const PASSWORD: &str = "hunter2-of-the-site";

/// A request that the site got.
pub struct Asked {
    /// As `GET /compute/v2.1/servers/detail?limit=1000`.
    pub line: String,
    pub body: String,
    /// The token of the header `X-Auth-Token`.
    pub token: String,
    /// The header `Authorization`.
    pub authorization: String,
    /// The header `Host`.
    host: String,
}

impl Asked {
    /// Where the site was asked.
    pub fn host(&self) -> String {
        format!("http://{}", self.host)
    }

    pub fn is(&self, start: &str) -> bool {
        self.line.starts_with(start)
    }
}

pub struct Said {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    after: Duration,
}

impl Said {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), after: Duration::ZERO }
    }

    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, body.to_string()).with("OpenStack-API-Version", &format!("compute {MICROVERSION}"))
    }

    pub fn servers(servers: &[Value]) -> Self {
        Self::json(200, &json!({"servers": servers})).with("Date", "Tue, 24 Nov 2026 09:00:00 GMT")
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn after(mut self, pause: Duration) -> Self {
        self.after = pause;
        self
    }
}

type Answers = dyn FnMut(&Asked) -> Option<Said> + Send;

/// The site; it ends when dropped.
pub struct Site {
    pub address: String,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Site {
    /// Opens a site whose answers are those of `answers`; where it has none, the usual.
    pub async fn open(answers: impl FnMut(&Asked) -> Option<Said> + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let answers: Arc<Mutex<Box<Answers>>> = Arc::new(Mutex::new(Box::new(answers)));
        let (log, own, tokens) = (asked.clone(), address.clone(), Arc::new(AtomicU64::new(0)));
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (log, own, tokens, answers) = (log.clone(), own.clone(), tokens.clone(), answers.clone());
                tokio::spawn(async move {
                    let Some(asked) = request(&mut client).await else { return };
                    log.lock().unwrap().push(asked.line.clone());
                    let said = (answers.lock().unwrap())(&asked);
                    let said = said.unwrap_or_else(|| usual(&asked, &own, &tokens));
                    tokio::time::sleep(said.after).await;
                    let mut head = format!("HTTP/1.1 {} So\r\nConnection: close\r\n", said.status);
                    for (name, value) in &said.headers {
                        head.push_str(&format!("{name}: {value}\r\n"));
                    }
                    head.push_str(&format!("Content-Length: {}\r\n\r\n", said.body.len()));
                    drop(client.write_all(&[head.as_bytes(), &said.body].concat()).await);
                });
            }
        });
        Self { address, asked, task }
    }

    /// How many requests began with this.
    pub fn asked(&self, start: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|line| line.starts_with(start)).count()
    }

    pub fn config(&self) -> Config {
        Config {
            auth_url: format!("{}/v3", self.address),
            region: "here".to_owned(),
            interface: "public".to_owned(),
            credential: Credential::Password {
                username: "u".to_owned(),
                user_domain: NameOrId::Name("d".to_owned()),
                password: PASSWORD.into(),
                project: Project::Id("p-1".to_owned()),
            },
            ca_pem: None,
            addresses: crate::address::Policy::OPEN,
            networks: vec![NameOrId::Name("private".to_owned())],
            security_groups: Vec::new(),
            zones: Vec::new(),
            images: BTreeMap::new(),
            config_drive: true,
            root_volume_gib: None,
            gpus: BTreeMap::new(),
            spot: Default::default(),
        }
    }

    pub fn cloud_of(&self, config: Config) -> OpenStackCloud {
        OpenStackCloud::new(config, Arc::new(Pace::new(Rate::default())), Clock::system()).unwrap()
    }

    pub fn cloud_with(&self, rate: Rate, clock: Clock) -> OpenStackCloud {
        OpenStackCloud::new(self.config(), Arc::new(Pace::new(rate)), clock).unwrap()
    }

    pub fn cloud(&self) -> OpenStackCloud {
        self.cloud_with(Rate::default(), Clock::system())
    }
}

/// The order that tests make, of the cluster `k`.
pub fn order(uid: &str) -> Order {
    Order {
        owner: owner(uid),
        name: format!("dirac-{uid}"),
        attempt: Attempt { n: 1, since: Timestamp::now(), repeated: false, look_only: false },
        choices: vec![Choice { flavor: "m1".to_owned(), ..Choice::default() }],
        image_id: "image".to_owned(),
        user_data: "#cloud-config".into(),
        pilot: Pilot::default(),
        metadata: BTreeMap::new(),
    }
}

pub fn owner(uid: &str) -> Owner {
    Owner { cluster: "k".to_owned(), uid: uid.to_owned() }
}

/// A server of ours, as Nova lists it.
pub fn server(id: &str, uid: &str, status: &str) -> Value {
    json!({"id": id, "name": format!("dirac-{uid}"), "status": status, "created": "2026-11-24T08:00:00Z",
           "tags": tags::of(&owner(uid))})
}

fn usual(asked: &Asked, own: &str, tokens: &AtomicU64) -> Said {
    if asked.is("POST /v3/auth/tokens") {
        let catalog: Vec<Value> = ["compute", "image", "network", "volumev3"]
            .iter()
            .map(|kind| {
                json!({"type": kind, "endpoints": [
                    {"region_id": "here", "interface": "public", "url": format!("{own}/{kind}")}]})
            })
            .collect();
        let mut token = json!({"token": {"project": {"id": "p-1"}, "user": {"id": "u-1"}, "catalog": catalog}});
        if asked.body.contains("application_credential") {
            token["token"]["application_credential"] = json!({"id": "a-1"});
        }
        let value = format!("token-{}", tokens.fetch_add(1, Ordering::Relaxed));
        return Said::json(201, &token).with("X-Subject-Token", &value);
    }
    let more = asked.line.contains("marker=");
    let rest = |start: &str| asked.is(start) && !more;
    if asked.is("GET /compute/v2.1/servers/detail") {
        Said::servers(&[])
    } else if asked.is("POST /compute/v2.1/servers") {
        Said::json(202, &json!({"server": {"id": "made"}}))
    } else if rest("GET /compute/v2.1/flavors/detail") {
        Said::json(200, &json!({"flavors": [{"id": "f-1", "name": "m1", "vcpus": 1, "ram": 512, "disk": 10}]}))
    } else if asked.is("GET /compute/v2.1/flavors/detail") {
        Said::json(200, &json!({"flavors": []}))
    } else if asked.is("GET /compute/v2.1/limits") {
        let absolute = json!({"maxTotalInstances": 10, "totalInstancesUsed": 0, "maxTotalCores": 10, "totalCoresUsed": 0,
                              "maxTotalRAMSize": 10_240, "totalRAMUsed": 0});
        Said::json(200, &json!({"limits": {"absolute": absolute}}))
    } else if asked.is("GET /network/v2.0/networks") {
        Said::json(200, &json!({"networks": [{"id": "net-1", "status": "ACTIVE"}]}))
    } else if asked.is("GET /network/v2.0/security-groups") {
        Said::json(200, &json!({"security_groups": []}))
    } else {
        Said::json(404, &json!({"itemNotFound": {"code": 404, "message": "There is no such thing."}}))
    }
}

async fn request(client: &mut TcpStream) -> Option<Asked> {
    let mut all = Vec::new();
    let mut buffer = [0; 16_384];
    loop {
        if let Some(end) = all.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&all[..end]).into_owned();
            let header = |name: &str| {
                let line = head.lines().find(|l| l.to_lowercase().starts_with(&format!("{name}:")))?;
                Some(line[name.len() + 1..].trim().to_owned())
            };
            let length: usize = header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
            if all.len() >= end + 4 + length {
                let line = head.lines().next()?.trim_end_matches(" HTTP/1.1").to_owned();
                let body = String::from_utf8_lossy(&all[end + 4..]).into_owned();
                let [token, authorization, host] =
                    ["x-auth-token", "authorization", "host"].map(|name| header(name).unwrap_or_default());
                return Some(Asked { line, body, token, authorization, host });
            }
        }
        let n = client.read(&mut buffer).await.ok()?;
        if n == 0 {
            return None;
        }
        all.extend_from_slice(&buffer[..n]);
    }
}
