//! The keys and the host certificate of an installation: made where there are none, kept, and renewed in time.

use broker::demand::diset::Credentials;
use crds::{Reason, annotation::CREDENTIAL};
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use secrecy::ExposeSecret;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    authority,
    build::{name_of, not_written, unanswered},
    encode::hex,
    keys,
    names::Names,
    work::Work,
};
use crate::{
    names::{INSTALLATION_LABEL, Key},
    trouble::Trouble,
};

/// The host certificate: the Secret that has it, whose it is, and a word that is another when it is renewed.
pub struct Certificate {
    pub secret: String,
    pub dn: String,
    /// Who signed it, in PEM form.
    pub authority: String,
    pub version: String,
}

impl Work<'_> {
    /// The Secret with passwords and keys: made once. Where it is gone while volumes are there, new keys would not fit what these have.
    pub async fn keys(&self, names: &Names) -> Result<Secret, Trouble> {
        let key = self.key.beside(&names.of("keys"));
        if let Some(secret) = self.ctx.api.read::<Secret>(&key).await.map_err(unanswered)? {
            let gone = keys::lacking(secret.data.as_ref());
            if gone.is_empty() {
                return Ok(secret);
            }
            let text = format!("Secret {:?} lacks {}: put it back from a backup", key.name, gone.join(", "));
            return Err(Trouble::new(Reason::KeysMissing, text));
        }
        let claims = self.ctx.api.list_any(&self.key.namespace, "v1", "PersistentVolumeClaim", &self.labels()).await;
        let volumes: Vec<String> = claims.map_err(unanswered)?.iter().map(name_of).collect();
        if !volumes.is_empty() {
            let text = format!(
                "Secret {:?} is gone, and volumes are there that were made with its keys ({}): put it back from a backup",
                key.name,
                volumes.join(", ")
            );
            return Err(Trouble::new(Reason::KeysMissing, text));
        }
        let data = keys::make(&self.key.name, self.ctx.clock.now()).map_err(|error| not_made(&error))?;
        let secret = self.secret_object(&key, data, self.spec.is_all_deleted(), names);
        self.ctx.api.make_secret(&secret).await.map_err(not_written)?;
        tracing::info!(installation = %self.key, secret = key.name, "keys of a new installation were made");
        // Another leader may have been faster: what is there is what holds.
        let made = self.ctx.api.read::<Secret>(&key).await.map_err(unanswered)?;
        made.ok_or_else(|| Trouble::new(Reason::PartsNotReady, format!("Secret {:?} is being made", key.name)))
    }

    fn secret_object(&self, key: &Key, data: authority::Data, is_owned: bool, names: &Names) -> Secret {
        let mut labels = names.labels();
        labels.insert(CREDENTIAL, "true".to_owned());
        let metadata = ObjectMeta {
            name: Some(key.name.clone()),
            namespace: Some(key.namespace.clone()),
            labels: Some(labels.into_iter().map(|(label, value)| (label.to_owned(), value)).collect()),
            owner_references: is_owned.then(|| vec![self.owner()]),
            ..ObjectMeta::default()
        };
        Secret { metadata, data: Some(data), ..Secret::default() }
    }

    /// The host certificate that the manifest names, or one of the installation's own authority, renewed in time.
    pub async fn certificate(&self, names: &Names, keys: &Secret) -> Result<Certificate, Trouble> {
        let given = self.spec.tls.as_ref().and_then(|tls| tls.secret_ref.as_ref());
        let name = given.map_or_else(|| names.of("host"), |secret| secret.name.clone());
        let key = self.key.beside(&name);
        if given.is_none() {
            let there = self.ctx.api.read::<Secret>(&key).await.map_err(unanswered)?;
            let is_others = |secret: &Secret| {
                let label = secret.metadata.labels.as_ref().and_then(|labels| labels.get(INSTALLATION_LABEL));
                label != Some(&self.key.name)
            };
            if there.as_ref().is_some_and(is_others) {
                let text = format!(
                    "Secret {name:?} is there and is not of this installation: name it in spec.managed.tls.secretRef, or rename it"
                );
                return Err(Trouble::new(Reason::ManifestImpossible, text));
            }
            let is_good = there.as_ref().is_some_and(|secret| self.is_good(secret));
            if !is_good {
                let all =
                    [self.spec.host.clone(), names.in_cluster(), names.service().to_owned(), "localhost".to_owned()];
                let data = keys.data.as_ref().ok_or_else(|| Trouble::new(Reason::KeysMissing, "no keys"))?;
                let signed = authority::sign(&self.key.name, data, &all, self.ctx.clock.now());
                let data = signed.map_err(|error| not_made(&error))?;
                let object = json!(self.secret_object(&key, data, true, names));
                self.ctx.api.apply_any(&object).await.map_err(not_written)?;
            }
        }
        let opened = self.ctx.api.open(&key).await?;
        let certificate = opened.get(authority::CERTIFICATE)?;
        let ca = opened.get(authority::AUTHORITIES)?;
        let mut print = Sha256::new().chain_update(certificate.expose_secret()).chain_update(ca.expose_secret());
        for (name, value) in keys.data.iter().flatten() {
            print = print.chain_update(name).chain_update(&value.0);
        }
        let authority = opened.plain(authority::AUTHORITIES)?;
        let credentials = Credentials { certificate, key: opened.get(authority::KEY)?, ca };
        let dn = credentials.subject().ok_or_else(|| {
            let text =
                format!("the certificate in Secret {name:?} cannot be read: put a host certificate in PEM form there");
            Trouble::new(Reason::BadCredentials, text)
        })?;
        Ok(Certificate { secret: name, dn, authority, version: hex(&print.finalize()) })
    }

    /// Whether a certificate that we signed is for this host, and does not end soon.
    fn is_good(&self, secret: &Secret) -> bool {
        let text = |name: &str| {
            let value = secret.data.as_ref()?.get(name)?;
            Some(String::from_utf8(value.0.clone()).ok()?.into())
        };
        let (Some(certificate), Some(key), Some(ca)) =
            (text(authority::CERTIFICATE), text(authority::KEY), text(authority::AUTHORITIES))
        else {
            return false;
        };
        let credentials = Credentials { certificate, key, ca };
        let days_left = credentials.ends().map(|end| end.duration_since(self.ctx.clock.now()).as_hours() / 24);
        let is_for_host = credentials.subject().is_some_and(|dn| dn.ends_with(&format!("/CN={}", self.spec.host)));
        is_for_host && days_left.is_some_and(|days| days > authority::RENEWED_BEFORE_DAYS)
    }
}

fn not_made(error: &authority::NoKey) -> Trouble {
    Trouble::new(Reason::BadCredentials, error.to_string())
}
