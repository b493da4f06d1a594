//! An OpenStack on paper: Keystone, Nova and Neutron as far as the operator asks them, answered as their API references say, and Nova can
//! be made to hang or to throttle. It notes when what was asked, and shows what one cloud costs another: how Nova itself behaves is shown
//! by the layers that have a real one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use anyhow::Result;
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::request::{Request, read};

/// How Nova answers. Keystone and Neutron always work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Works,
    /// It takes requests and never answers.
    Hangs,
    /// With 429, and an hour to wait.
    Throttles,
}

/// A request that Nova got, as far as the bench asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// A server was ordered.
    Made,
    /// A server was deleted.
    Deleted,
}

#[derive(Debug)]
struct Server {
    name: String,
    tags: Vec<String>,
}

struct Inner {
    own: String,
    mood: Mood,
    servers: BTreeMap<String, Server>,
    made: u64,
    asked: BTreeMap<(Asked, String), Instant>,
    lists: Vec<Instant>,
}

/// The site; it ends when dropped.
pub struct Site {
    inner: Arc<Mutex<Inner>>,
    task: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Site {
    /// Opens a site that works.
    pub async fn open() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let inner = Arc::new(Mutex::new(Inner {
            own: format!("http://{}", listener.local_addr()?),
            mood: Mood::Works,
            servers: BTreeMap::new(),
            made: 0,
            asked: BTreeMap::new(),
            lists: Vec::new(),
        }));
        let state = inner.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = state.clone();
                // A client that breaks off is its own affair.
                tokio::spawn(async move { serve(client, &state).await.ok() });
            }
        });
        Ok(Self { inner, task })
    }

    /// Where Keystone is.
    pub fn auth_url(&self) -> String {
        format!("{}/v3", self.state().own)
    }

    /// From now on Nova answers so.
    pub fn set(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// When the server of this PilotVM was first ordered or deleted.
    pub fn asked(&self, what: Asked, pilot_vm: &str) -> Option<Instant> {
        self.state().asked.get(&(what, format!("dirac-{pilot_vm}"))).copied()
    }

    /// How many servers there are.
    pub fn servers(&self) -> usize {
        self.state().servers.len()
    }

    /// The times between the lists of servers since then, in seconds.
    pub fn list_gaps(&self, since: Instant) -> Vec<f64> {
        let state = self.state();
        let lists: Vec<&Instant> = state.lists.iter().filter(|at| **at >= since).collect();
        lists.windows(2).map(|pair| pair[1].duration_since(*pair[0]).as_secs_f64()).collect()
    }

    fn state(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Status, further headers, body.
type Said = (u16, &'static str, Value);

async fn serve(mut client: TcpStream, state: &Mutex<Inner>) -> Result<()> {
    let request = read(&mut client).await?;
    let said = lock(state).answer(&request);
    let Some((status, headers, body)) = said else { return std::future::pending().await };
    let body = if status == 204 { String::new() } else { body.to_string() };
    let head = format!(
        "HTTP/1.1 {status} So\r\nConnection: close\r\nContent-Type: application/json\r\nOpenStack-API-Version: compute 2.61\r\n\
         {headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    client.write_all(format!("{head}{body}").as_bytes()).await?;
    Ok(())
}

impl Inner {
    /// The answer to this request; `None`: none, and the connection hangs.
    fn answer(&mut self, request: &Request) -> Option<Said> {
        let path = request.path.trim_end_matches('/');
        let Some(nova) = path.strip_prefix("/compute/v2.1") else { return Some(self.others(&request.method, path)) };
        let said = match (request.method.as_str(), nova) {
            ("POST", "/servers") => {
                let name = request.body["server"]["name"].as_str().unwrap_or_default();
                self.note(Asked::Made, name);
                None
            }
            ("DELETE", one) => {
                let name = one.strip_prefix("/servers/").and_then(|id| self.servers.get(id)).map(|s| s.name.clone());
                self.note(Asked::Deleted, &name.unwrap_or_default());
                None
            }
            // Whoever asks for one owner looks for a server; whoever does not, lists.
            ("GET", "/servers/detail")
                if !request.query.contains("dirac-pvm-") && !request.query.contains("marker=") =>
            {
                self.lists.push(Instant::now());
                None
            }
            ("GET", "/flavors/detail") => Some(flavors(&request.query)),
            ("GET", "/limits") => Some(limits()),
            _ => None,
        };
        match self.mood {
            _ if said.is_some() => said,
            Mood::Works => Some(self.servers_api(request, nova)),
            Mood::Hangs => None,
            Mood::Throttles => {
                let text = json!({"overLimit": {"code": 429, "message": "This request was rate-limited."}});
                Some((429, "Retry-After: 3600\r\n", text))
            }
        }
    }

    fn note(&mut self, what: Asked, server: &str) {
        self.asked.entry((what, server.to_owned())).or_insert_with(Instant::now);
    }

    fn others(&self, method: &str, path: &str) -> Said {
        let own = &self.own;
        match (method, path) {
            ("POST", "/v3/auth/tokens") => (201, "X-Subject-Token: token\r\n", token(own)),
            ("GET", "/network/v2.0/networks") => (200, "", json!({"networks": [{"id": "net-1", "status": "ACTIVE"}]})),
            ("GET", "/image/v2/images") => (200, "", json!({"images": [{"id": "image-1", "status": "active"}]})),
            _ => not_found(),
        }
    }

    fn servers_api(&mut self, request: &Request, nova: &str) -> Said {
        match (request.method.as_str(), nova) {
            ("POST", "/servers") => {
                let wanted = &request.body["server"];
                let tags = wanted["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let (name, tags) =
                    (wanted["name"].as_str().unwrap_or_default().to_owned(), tags.map(str::to_owned).collect());
                self.made += 1;
                let id = format!("server-{}", self.made);
                self.servers.insert(id.clone(), Server { name, tags });
                (202, "", json!({"server": {"id": id}}))
            }
            ("GET", "/servers/detail") => {
                let wanted = request.query.split('&').find_map(|part| part.strip_prefix("tags=")).unwrap_or_default();
                let wanted: Vec<String> = wanted.replace("%2C", ",").split(',').map(str::to_owned).collect();
                let fits = |server: &Server| wanted.iter().all(|tag| tag.is_empty() || server.tags.contains(tag));
                let fitting =
                    self.servers.iter().filter(|(_, server)| fits(server)).map(|(id, server)| shown(id, server));
                let servers: Vec<Value> =
                    if request.query.contains("marker=") { Vec::new() } else { fitting.collect() };
                (200, "", json!({"servers": servers}))
            }
            ("GET", one) => match one.strip_prefix("/servers/").and_then(|id| self.servers.get_key_value(id)) {
                Some((id, server)) => (200, "", json!({"server": shown(id, server)})),
                None => not_found(),
            },
            ("DELETE", one) => match one.strip_prefix("/servers/").and_then(|id| self.servers.remove(id)) {
                Some(_) => (204, "", Value::Null),
                None => not_found(),
            },
            _ => not_found(),
        }
    }
}

/// What Keystone answers whose services are all at this address.
pub fn token(own: &str) -> Value {
    let endpoint = |kind: &str| json!({"type": kind, "endpoints": [{"region_id": "here", "interface": "public", "url": format!("{own}/{kind}")}]});
    let catalog: Vec<Value> = ["compute", "image", "network"].into_iter().map(endpoint).collect();
    json!({"token": {"project": {"id": "p-1"}, "user": {"id": "u-1"}, "catalog": catalog}})
}

fn shown(id: &str, server: &Server) -> Value {
    json!({"id": id, "name": server.name, "status": "ACTIVE", "created": "2026-11-24T08:00:00Z", "tags": server.tags})
}

fn flavors(query: &str) -> Said {
    let m1 = json!({"id": "f-1", "name": "m1", "vcpus": 1, "ram": 2_048, "disk": 10, "extra_specs": {}});
    (200, "", json!({"flavors": if query.contains("marker=") { vec![] } else { vec![m1] }}))
}

fn limits() -> Said {
    let absolute = json!({"maxTotalInstances": 1_000, "totalInstancesUsed": 0, "maxTotalCores": 1_000, "totalCoresUsed": 0,
                          "maxTotalRAMSize": 10_240_000, "totalRAMUsed": 0});
    (200, "", json!({"limits": {"absolute": absolute}}))
}

fn not_found() -> Said {
    (404, "", json!({"itemNotFound": {"code": 404, "message": "There is no such thing."}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_is_ordered_listed_by_its_tags_and_deleted_and_a_site_in_a_bad_mood_does_none_of_it() {
        let site = Site::open().await.unwrap();
        let ask = |method: &str, target: &str, body: Value| {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let request =
                Request { method: method.into(), path: format!("/compute/v2.1{path}"), query: query.into(), body };
            site.state().answer(&request)
        };
        let order = json!({"server": {"name": "dirac-a", "tags": ["x", "dirac-pvm-a"]}});
        assert_eq!(ask("POST", "/servers", order.clone()).unwrap().0, 202);
        assert!(site.asked(Asked::Made, "a").is_some());
        let listed = |tags: &str| {
            ask("GET", &format!("/servers/detail?tags={tags}"), Value::Null).unwrap().2["servers"]
                .as_array()
                .map(Vec::len)
        };
        assert_eq!((listed("x%2Cdirac-pvm-a"), listed("y")), (Some(1), Some(0)));
        site.set(Mood::Throttles);
        assert_eq!(ask("DELETE", "/servers/server-1", Value::Null).unwrap().0, 429);
        site.set(Mood::Hangs);
        assert!(ask("POST", "/servers", order).is_none());
        site.set(Mood::Works);
        assert_eq!(ask("DELETE", "/servers/server-1", Value::Null).unwrap().0, 204);
        assert_eq!(site.servers(), 0);
    }
}
