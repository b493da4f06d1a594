//! Keystone as at the sites of EGI FedCloud: a web server before it takes access tokens of an OpenID provider (mod_auth_openidc), and a
//! mapping puts who comes so into the group of each VO. It is started where a test asks for it.

use std::{
    fs,
    sync::{MutexGuard, PoisonError},
};

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};

pub use super::provider::{CLIENT, CLIENT_SECRET, Listening, Provider};
use super::{OpenStack, PATIENCE, PROJECT, TINY};
use crate::host::{apt, port, process::Process};

const PACKAGES: [&str; 2] = ["apache2-bin", "libapache2-mod-auth-openidc"];
const MODULES: &str = "/usr/lib/apache2/modules";
/// Keystone's names of the identity provider and of the protocol.
pub const PROVIDER: &str = "egi.eu";
/// The protocol's.
pub const PROTOCOL: &str = "openid";
/// The VO whose members may enter [`TINY`]. Those of the VO [`PROJECT`] may enter the project of that name.
pub const TINY_VO: &str = "tiny.example.org";

/// The provider, and the way into Keystone for who has its access tokens. It ends when this is dropped.
pub struct Federation {
    provider: Listening,
    front: u16,
    front_short: u16,
    apache: Process,
}

impl Drop for Federation {
    fn drop(&mut self) {
        self.apache.kill();
    }
}

impl Federation {
    /// Address of the tokens' issuer.
    pub fn issuer(&self) -> &str {
        &self.provider.issuer
    }

    /// Keystone's v3 address, by the web server.
    pub fn auth_url(&self) -> String {
        format!("http://127.0.0.1:{}/v3", self.front)
    }

    /// The same of the Keystone whose tokens live five seconds.
    pub fn short_auth_url(&self) -> String {
        format!("http://127.0.0.1:{}/v3", self.front_short)
    }

    /// The provider.
    pub fn provider(&self) -> MutexGuard<'_, Provider> {
        self.provider.provider.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenStack {
    /// Has Keystone take the access tokens of an OpenID provider. Packages that are missing are installed.
    pub async fn federation(&self) -> Result<Federation> {
        tokio::task::spawn_blocking(|| apt::ensure("Keystone's federation", &PACKAGES)).await??;
        let [front, front_short, plain, tls] = port::free()?;
        let provider = Listening::open(plain, tls).await?;
        self.let_in(&provider.issuer).await?;
        let mut text = include_str!("files/federation.conf").replace("@STATE@", &self.state.display().to_string());
        text = text.replace("@MODULES@", MODULES);
        for (name, port) in [
            ("@FRONT@", front),
            ("@FRONT_SHORT@", front_short),
            ("@KEYSTONE@", self.ports.keystone),
            ("@KEYSTONE_SHORT@", self.ports.keystone_short),
            ("@INTROSPECT@", tls),
        ] {
            text = text.replace(name, &port.to_string());
        }
        let path = self.state.join("etc/federation.conf");
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        let mut command = self.command("/usr/sbin/apache2");
        command.arg("-f").arg(&path).arg("-DFOREGROUND");
        let mut apache = Process::spawn("apache", command, &self.log("apache"))?;
        let apache = tokio::task::spawn_blocking(move || {
            apache.wait_tcp(front, PATIENCE)?;
            apache.wait_tcp(front_short, PATIENCE)?;
            anyhow::Ok(apache)
        })
        .await??;
        Ok(Federation { provider, front, front_short, apache })
    }

    /// Tells Keystone of the issuer, and which project is open to which VO.
    async fn let_in(&self, issuer: &str) -> Result<()> {
        let token = self.token("admin", "admin").await?;
        let keystone = self.auth_url();
        let ask = async |method: Method, path: &str, body: Option<Value>| {
            self.call(&token, method, format!("{keystone}/{path}"), body).await
        };
        let id_of = async |kind: &str, name: &str| {
            let all = ask(Method::GET, &format!("{kind}?name={name}"), None).await?;
            let id = all[kind][0]["id"].as_str().with_context(|| format!("Keystone has no {name} among its {kind}"))?;
            anyhow::Ok(id.to_owned())
        };
        let role = id_of("roles", "member").await?;
        let mut rules = Vec::new();
        for (vo, project) in [(PROJECT, PROJECT), (TINY_VO, TINY)] {
            let group = json!({"group": {"name": format!("egi-{vo}"), "domain_id": "default"}});
            let made = ask(Method::POST, "groups", Some(group)).await?;
            let group = made["group"]["id"].as_str().context("a group has no id")?.to_owned();
            let project = id_of("projects", project).await?;
            ask(Method::PUT, &format!("projects/{project}/groups/{group}/roles/{role}"), None).await?;
            let entitlement = format!("^.*urn:mace:egi.eu:group:{vo}:role=vm_operator#aai.egi.eu.*$");
            rules.push(json!({
                "local": [{"user": {"name": "{0}", "type": "ephemeral"}}, {"group": {"id": group}}],
                "remote": [{"type": "HTTP_OIDC_SUB"}, {"type": "HTTP_OIDC_ISS", "any_one_of": [issuer]},
                           {"type": "HTTP_OIDC_EDUPERSON_ENTITLEMENT", "regex": true, "any_one_of": [entitlement]}],
            }));
        }
        let provider = format!("OS-FEDERATION/identity_providers/{PROVIDER}");
        let known = json!({"identity_provider": {"enabled": true, "remote_ids": [issuer]}});
        ask(Method::PUT, &provider, Some(known)).await?;
        ask(Method::PUT, "OS-FEDERATION/mappings/egi", Some(json!({"mapping": {"rules": rules}}))).await?;
        let protocol = json!({"protocol": {"mapping_id": "egi"}});
        ask(Method::PUT, &format!("{provider}/protocols/{PROTOCOL}"), Some(protocol)).await.map(|_| ())
    }
}
