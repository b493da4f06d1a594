//! A small OpenStack for unit tests: it answers as a test says, and otherwise as a site that works and is empty.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Config, Credential, NameOrId, OpenStackCloud, Project, tags, wire::MICROVERSION};
pub use crate::cloud::site::{Asked, Said, Site};
use crate::{
    clock::Clock,
    cloud::{Attempt, Choice, Order, Owner, Pace, Rate},
    pilot::Pilot,
};

pub const PASSWORD: &str = "hunter2-of-the-site";

impl Said {
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, body.to_string()).with("OpenStack-API-Version", &format!("compute {MICROVERSION}"))
    }

    pub fn servers(servers: &[Value]) -> Self {
        Self::json(200, &json!({"servers": servers})).with("Date", "Tue, 24 Nov 2026 09:00:00 GMT")
    }
}

impl Site {
    /// Opens a site whose answers are those of `answers`; where it has none, the usual.
    pub async fn open(mut answers: impl FnMut(&Asked) -> Option<Said> + Send + 'static) -> Self {
        let tokens = AtomicU64::new(0);
        Self::serve(move |asked| answers(asked).unwrap_or_else(|| usual(asked, &asked.host(), &tokens))).await
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
