//! What a test asks of OpenStack behind the driver's back, as its administrator.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{OpenStack, PASSWORD, USER};
use crate::host::process::run;

/// Far below the life of Keystone's tokens in this OpenStack.
const TOKEN_SERVES: Duration = Duration::from_secs(120);

/// A server as the administrator sees it.
#[derive(Clone, Debug, Deserialize)]
pub struct Server {
    /// Nova's id of the server.
    pub id: String,
    /// The name that it was made with.
    pub name: String,
    /// Nova's status, for example `ACTIVE`.
    pub status: String,
    /// Nova's tags of the server.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Nova's metadata of the server.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// The flavor that it was made with.
    pub flavor: ServerFlavor,
    /// Its addresses, by the name of the network.
    #[serde(default)]
    pub addresses: BTreeMap<String, Value>,
    /// The user-data, base64; only the administrator sees it.
    #[serde(rename = "OS-EXT-SRV-ATTR:user_data", default)]
    pub user_data: Option<String>,
    /// Where it was asked for or runs.
    #[serde(rename = "OS-EXT-AZ:availability_zone", default)]
    pub zone: Option<String>,
    /// Host name of the node that it runs on; `None`: none yet.
    #[serde(rename = "OS-EXT-SRV-ATTR:hypervisor_hostname", default)]
    pub node: Option<String>,
    /// Why it is in `ERROR`; it may come later than that status.
    #[serde(default)]
    pub fault: Option<ServerFault>,
}

/// Why a server failed.
#[derive(Clone, Debug, Deserialize)]
pub struct ServerFault {
    /// Nova's words.
    pub message: String,
}

/// What Nova tells of a server's flavor.
#[derive(Clone, Debug, Deserialize)]
pub struct ServerFlavor {
    /// The name that the flavor had when the server was made.
    pub original_name: String,
}

impl OpenStack {
    /// A token, which serves for a while: Keystone hashes a password for each new one, and every service asks it about each.
    pub(super) async fn token(&self, user: &str, project: &str) -> Result<String> {
        let whose = (user.to_owned(), project.to_owned());
        let mut tokens = self.tokens.lock().await;
        if let Some((token, _)) = tokens.get(&whose).filter(|(_, made)| made.elapsed() < TOKEN_SERVES) {
            return Ok(token.clone());
        }
        let token = self.new_token(user, project).await?;
        tokens.insert(whose, (token.clone(), Instant::now()));
        Ok(token)
    }

    async fn new_token(&self, user: &str, project: &str) -> Result<String> {
        let domain = json!({"id": "default"});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {"name": user, "domain": domain, "password": PASSWORD}}},
            "scope": {"project": {"name": project, "domain": domain}}}});
        let answer = self.http.post(format!("{}/auth/tokens", self.auth_url())).json(&body).send().await?;
        let header = answer.headers().get("x-subject-token").context("Keystone gave no token")?;
        Ok(header.to_str()?.to_owned())
    }

    pub(super) async fn call(&self, token: &str, method: Method, url: String, body: Option<Value>) -> Result<Value> {
        let mut request = self
            .http
            .request(method.clone(), &url)
            .header("x-auth-token", token)
            .header("openstack-api-version", "compute 2.61");
        if let Some(body) = &body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{method} {url}: {status} {text}");
        Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }

    pub(super) fn nova(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/v2.1/{path}", self.ports.nova)
    }

    pub(super) async fn hypervisors(&self) -> Result<usize> {
        let token = self.token("admin", "admin").await?;
        let mut found = 0;
        let mut url = self.nova("os-hypervisors");
        loop {
            let page = self.call(&token, Method::GET, url, None).await?;
            let Some(all) = page["hypervisors"].as_array().filter(|a| !a.is_empty()) else { return Ok(found) };
            found += all.len();
            let last = all.last().map(|h| h["id"].to_string()).unwrap_or_default();
            url = self.nova(&format!("os-hypervisors?marker={}", last.trim_matches('"')));
        }
    }

    /// All servers of a project, whoever made them.
    pub async fn servers(&self, project: &str) -> Result<Vec<Server>> {
        let token = self.token("admin", project).await?;
        // By id: a server that passes from Nova's API to a cell between two pages may be on both.
        let mut all: BTreeMap<String, Server> = BTreeMap::new();
        let mut marker = String::new();
        loop {
            let mut page = self.call(&token, Method::GET, self.nova(&format!("servers/detail{marker}")), None).await?;
            let servers: Vec<Server> = serde_json::from_value(page["servers"].take())?;
            // Nova says "next" where a page is full.
            let is_last = page["servers_links"].is_null();
            marker = servers.last().map(|last| format!("?marker={}", last.id)).unwrap_or_default();
            all.extend(servers.into_iter().map(|s| (s.id.clone(), s)));
            if is_last || marker.is_empty() {
                return Ok(all.into_values().collect());
            }
        }
    }

    /// What Nova answers to `GET path` for the test user in a project (for example `servers/detail`) at this microversion: status
    /// and body.
    pub async fn ask_nova(&self, project: &str, path: &str, microversion: &str) -> Result<(u16, Value)> {
        let token = self.token(USER, project).await?;
        let request = self.http.get(self.nova(path)).header("x-auth-token", token);
        let answer = request.header("openstack-api-version", format!("compute {microversion}")).send().await?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await.unwrap_or_default()))
    }

    /// Makes a server that is none of ours, whatever its name and tags say; its id.
    pub async fn make_server(&self, project: &str, name: &str, tags: &[&str], metadata: &Value) -> Result<String> {
        self.make_server_of("m1.tiny", project, name, tags, metadata).await
    }

    /// The same, of this flavor.
    pub(super) async fn make_server_of(
        &self,
        flavor: &str,
        project: &str,
        name: &str,
        tags: &[&str],
        metadata: &Value,
    ) -> Result<String> {
        let token = self.token(USER, project).await?;
        let images =
            self.call(&token, Method::GET, format!("http://127.0.0.1:{}/v2/images", self.ports.glance), None).await?;
        let image = images["images"][0]["id"].as_str().context("there is no image")?;
        let body = json!({"server": {
            "name": name, "flavorRef": format!("id-of-{flavor}"), "imageRef": image, "networks": "none", "tags": tags, "metadata": metadata}});
        let made = self.call(&token, Method::POST, self.nova("servers"), Some(body)).await?;
        Ok(made["server"]["id"].as_str().context("a server has no id")?.to_owned())
    }

    /// Runs SQL as the database's root; the rows, tab-separated. Nova keeps there what its API no longer shows.
    pub fn sql(&self, statement: &str) -> Result<String> {
        let mut client = self.command("mariadb");
        client.args(["--no-defaults", "-uroot", "-N", "-B", "-S"]).arg(self.socket()).args(["-e", statement]);
        run("SQL", &mut client)
    }

    /// Deletes a server behind everybody's back.
    pub async fn delete_server(&self, project: &str, id: &str) -> Result<()> {
        let token = self.token("admin", project).await?;
        self.call(&token, Method::DELETE, self.nova(&format!("servers/{id}")), None).await.map(|_| ())
    }

    /// Stops a server behind everybody's back, as its guest does that powers off.
    pub async fn stop_server(&self, project: &str, id: &str) -> Result<()> {
        let token = self.token("admin", project).await?;
        let url = self.nova(&format!("servers/{id}/action"));
        self.call(&token, Method::POST, url, Some(json!({"os-stop": null}))).await.map(|_| ())
    }

    /// Adds a region to Keystone's catalogue whose Nova is at this address.
    pub(super) async fn add_region(&self, name: &str, nova: &str) -> Result<()> {
        let token = self.token("admin", "admin").await?;
        let keystone = self.auth_url();
        self.call(&token, Method::POST, format!("{keystone}/regions"), Some(json!({"region": {"id": name}}))).await?;
        let all = self.call(&token, Method::GET, format!("{keystone}/services"), None).await?;
        for (kind, url) in [
            ("compute", nova.to_owned()),
            ("image", format!("http://127.0.0.1:{}", self.ports.glance)),
            ("network", format!("http://127.0.0.1:{}", self.ports.neutron)),
        ] {
            let service = all["services"].as_array().and_then(|s| s.iter().find(|s| s["type"] == kind));
            let id = service.and_then(|s| s["id"].as_str()).with_context(|| format!("there is no {kind} service"))?;
            let body = json!({"endpoint": {"service_id": id, "interface": "public", "region_id": name, "url": url}});
            self.call(&token, Method::POST, format!("{keystone}/endpoints"), Some(body)).await?;
        }
        Ok(())
    }

    /// Makes an application credential of the test user in a project: id and secret. `expires` is RFC 3339 without a zone, in UTC.
    pub async fn application_credential(&self, project: &str, expires: Option<&str>) -> Result<(String, String)> {
        let token = self.token(USER, project).await?;
        let own = self
            .http
            .get(format!("{}/auth/tokens", self.auth_url()))
            .header("x-auth-token", &token)
            .header("x-subject-token", &token)
            .send()
            .await?
            .json::<Value>()
            .await?;
        let user = own["token"]["user"]["id"].as_str().context("a token has no user")?;
        let name = format!("test-{}", rand::random::<u64>());
        let body = json!({"application_credential": {"name": name, "expires_at": expires}});
        let url = format!("{}/users/{user}/application_credentials", self.auth_url());
        let made = self.call(&token, Method::POST, url, Some(body)).await?;
        let text = |key: &str| made["application_credential"][key].as_str().map(str::to_owned);
        text("id").zip(text("secret")).context("Keystone made no application credential")
    }
}
