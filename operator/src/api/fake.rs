//! An API server in memory, for tests of the hands: it keeps the objects of one namespace, and fails as it is told to.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use http::{Method, Request, Response};
use kube::{Client, client::Body};
use serde_json::{Value, json};

/// How the next request that makes an object goes wrong.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The connection breaks before the request is carried out.
    Lost,
    /// It is carried out, and the reply is lost.
    ReplyLost,
    /// It is refused for good.
    Refused,
}

/// What the server has and was asked.
#[derive(Default)]
pub struct Server {
    /// The objects, by the end of their path: `pilotvms/cpu-1`.
    pub objects: BTreeMap<String, Value>,
    /// Requests as `POST pilotvms/cpu-1`, in order; events are left out.
    pub asked: Vec<String>,
    /// What happens to the next requests that make an object, from the first on.
    pub faults: Vec<Fault>,
    /// How many of the next patches meet a write of somebody else.
    pub conflicts: u32,
    versions: u64,
}

/// The server, shared with its client.
#[derive(Clone, Default)]
pub struct Fake(pub Arc<Mutex<Server>>);

impl Fake {
    pub fn client(&self) -> Client {
        let server = self.0.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (parts, body) = request.into_parts();
                let bytes = body.collect_bytes().await.unwrap();
                let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
                let answer = server.lock().unwrap().answer(&parts.method, &parts.uri, body);
                let (code, value) = answer.ok_or_else(|| std::io::Error::other("the connection broke"))?;
                Response::builder()
                    .status(code)
                    .body(Body::from(value.to_string().into_bytes()))
                    .map_err(std::io::Error::other)
            }
        });
        Client::new(service, "default")
    }

    pub fn put(&self, plural: &str, object: &impl serde::Serialize) {
        let value = serde_json::to_value(object).unwrap();
        let name = value["metadata"]["name"].as_str().unwrap().to_owned();
        self.0.lock().unwrap().objects.insert(format!("{plural}/{name}"), value);
    }

    /// The names of all objects of a kind.
    pub fn names(&self, plural: &str) -> Vec<String> {
        let prefix = format!("{plural}/");
        self.0.lock().unwrap().objects.keys().filter_map(|k| k.strip_prefix(&prefix)).map(str::to_owned).collect()
    }

    /// Requests so far that begin with this.
    pub fn asked(&self, beginning: &str) -> Vec<String> {
        self.0.lock().unwrap().asked.iter().filter(|a| a.starts_with(beginning)).cloned().collect()
    }
}

fn status(code: u16, reason: &str) -> Option<(u16, Value)> {
    Some((
        code,
        json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason, "metadata": {}}),
    ))
}

impl Server {
    /// `None`: the connection breaks.
    fn answer(&mut self, method: &Method, uri: &http::Uri, body: Value) -> Option<(u16, Value)> {
        let parts: Vec<&str> = uri.path().split("/namespaces/").nth(1).unwrap_or_default().split('/').skip(1).collect();
        let mut name = parts.join("/");
        if parts.first() == Some(&"events") {
            return status(403, "Forbidden");
        }
        if *method == Method::POST {
            name = format!("{name}/{}", body["metadata"]["name"].as_str().unwrap_or_default());
        }
        self.asked.push(format!("{method} {name}"));
        if let Some(object) = name.strip_suffix("/status") {
            name = object.to_owned();
        }
        let there = self.objects.get(&name).cloned();
        // A list: of the one object that a field selector names, or of all.
        if *method == Method::GET && parts.len() == 1 {
            let wanted =
                uri.query().and_then(|q| q.split("metadata.name%3D").nth(1)).and_then(|rest| rest.split('&').next());
            let chosen = |path: &str| match wanted {
                Some(wanted) => path == format!("{name}/{wanted}"),
                None => path.starts_with(&format!("{name}/")),
            };
            let items: Vec<_> = self.objects.iter().filter(|(path, _)| chosen(path)).map(|(_, o)| o).collect();
            return Some((200, json!({"metadata": {}, "items": items})));
        }
        match (method.as_str(), there) {
            ("POST", there) => {
                let fault = (!self.faults.is_empty()).then(|| self.faults.remove(0));
                match (fault, there) {
                    (Some(Fault::Lost), _) => None,
                    (Some(Fault::Refused), _) => status(403, "Forbidden"),
                    (_, Some(_)) => status(409, "AlreadyExists"),
                    (fault, None) => {
                        let made = self.keep(&name, body, Some(format!("uid-{}", self.versions)));
                        fault.is_none().then_some((201, made))
                    }
                }
            }
            (_, None) => status(404, "NotFound"),
            ("GET", Some(object)) => Some((200, object)),
            ("DELETE", Some(object)) => {
                let wanted = &body["preconditions"];
                let differs = |field: &str| !wanted[field].is_null() && wanted[field] != object["metadata"][field];
                if differs("uid") || differs("resourceVersion") {
                    return status(409, "Conflict");
                }
                self.objects.remove(&name);
                Some((200, object))
            }
            (_, Some(_)) if self.conflicts > 0 => {
                self.conflicts -= 1;
                status(409, "Conflict")
            }
            (_, Some(mut object)) => {
                for (field, value) in body["metadata"].as_object().into_iter().flatten() {
                    if field == "resourceVersion" && *value != object["metadata"][field] {
                        return status(409, "Conflict");
                    }
                    object["metadata"][field] = value.clone();
                }
                for part in ["spec", "data"] {
                    for (field, value) in body[part].as_object().into_iter().flatten() {
                        object[part][field] = value.clone();
                    }
                }
                if !body["status"].is_null() {
                    object["status"] = body["status"].clone();
                }
                Some((200, self.keep(&name, object, None)))
            }
        }
    }

    fn keep(&mut self, name: &str, mut object: Value, uid: Option<String>) -> Value {
        self.versions += 1;
        object["metadata"]["resourceVersion"] = json!(format!("{}", 1000 + self.versions));
        if let Some(uid) = uid {
            object["metadata"]["uid"] = json!(uid);
        }
        self.objects.insert(name.to_owned(), object.clone());
        object
    }
}
