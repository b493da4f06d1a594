//! Making a server of any kind and watching it, as a test does that asks what Nova and its guest do.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};

use super::{OpenStack, Server, USER};

/// How often it is looked.
const PAUSE: Duration = Duration::from_millis(500);

impl OpenStack {
    /// Makes a server of the test user with this user-data, of the smallest flavor and without a network where `more` does not say
    /// otherwise (fields of Nova's `server`); its id.
    pub async fn boot(&self, project: &str, name: &str, user_data: &str, more: Value) -> Result<String> {
        let token = self.token(USER, project).await?;
        let encoded = STANDARD.encode(user_data);
        let mut server = json!({
            "name": name, "flavorRef": "id-of-m1.tiny", "imageRef": self.image_id(&token).await?, "networks": "none",
            "user_data": encoded,
        });
        if let (Some(server), Value::Object(more)) = (server.as_object_mut(), more) {
            server.extend(more);
        }
        let made = self.call(&token, Method::POST, self.nova("servers"), Some(json!({ "server": server }))).await?;
        Ok(made["server"]["id"].as_str().context("a server has no id")?.to_owned())
    }

    /// The id of the network with this name.
    pub async fn network_id(&self, name: &str) -> Result<String> {
        let token = self.token("admin", "admin").await?;
        let url = format!("http://127.0.0.1:{}/v2.0/networks?name={name}", self.ports.neutron);
        let found = self.call(&token, Method::GET, url, None).await?;
        Ok(found["networks"][0]["id"].as_str().with_context(|| format!("there is no network {name}"))?.to_owned())
    }

    /// What a guest has written to its console so far.
    pub async fn console(&self, id: &str) -> Result<String> {
        let token = self.token("admin", "admin").await?;
        let ask = json!({"os-getConsoleOutput": {}});
        let said = self.call(&token, Method::POST, self.nova(&format!("servers/{id}/action")), Some(ask)).await?;
        Ok(said["output"].as_str().context("a console has no output")?.to_owned())
    }

    /// What a guest wrote to its console, from the hypervisor's own file: it stays when the server is deleted, and Nova is not asked.
    pub fn old_console(&self, id: &str) -> String {
        let file = self.state.join("guests").join(id).join("console.log");
        std::fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Waits until a server has `status`; an end in `ERROR` where another is waited for is an error that says why.
    pub async fn await_status(&self, project: &str, id: &str, status: &str, patience: Duration) -> Result<Server> {
        let begun = Instant::now();
        loop {
            let found = self.servers(project).await?.into_iter().find(|s| s.id == id);
            let server = found.with_context(|| format!("server {id} is gone"))?;
            if server.status == status {
                return Ok(server);
            }
            if server.status == "ERROR" || begun.elapsed() > patience {
                let why = server.fault.map(|f| f.message).unwrap_or_default();
                bail!("server {id} is {} and not {status}: {why}", server.status);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Deletes a server as the administrator and waits until it is gone.
    pub async fn delete_and_wait(&self, project: &str, id: &str, patience: Duration) -> Result<()> {
        self.delete_server(project, id).await?;
        let begun = Instant::now();
        while self.servers(project).await?.iter().any(|s| s.id == id) {
            if begun.elapsed() > patience {
                bail!("server {id} is still there");
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    async fn image_id(&self, token: &str) -> Result<String> {
        let url = format!("http://127.0.0.1:{}/v2/images", self.ports.glance);
        let images = self.call(token, Method::GET, url, None).await?;
        Ok(images["images"][0]["id"].as_str().context("there is no image")?.to_owned())
    }
}
