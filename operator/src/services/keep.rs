//! Makes what a managed installation is made of, and looks whether it runs.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use broker::demand::diset::Credentials;
use crds::{
    DiracInstallation, Reason, SecretRef,
    installation::{DiracCredentials, External, LostJobs},
    managed::{Managed, Part},
};
use k8s_openapi::api::core::v1::Secret;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{
    authority, catalogue,
    encode::hex,
    keys,
    names::{LONGEST, Names, PART},
    observe::{excuse, lacks},
    render::{self, Installation, Stage, fingerprint},
};
use crate::{
    context::Context,
    images::Images,
    known::services::{Services, Way},
    names::{INSTALLATION_LABEL, Key, deleting, is_paused},
    trouble::Trouble,
};

/// Looked at this often while all runs, and while something does not.
const CALM: Duration = Duration::from_secs(15);
const BUSY: Duration = Duration::from_secs(3);
/// What was applied is applied again after this time, so that what others change in it is put back.
const AGAIN: Duration = Duration::from_secs(300);
/// One look takes no longer: some hundred calls to the API server.
const TURN: Duration = Duration::from_secs(1_800);

/// What was applied: its fingerprint, and when.
type Applied = HashMap<(String, String), (String, Instant)>;

/// Keeps one installation as its object says, until dropped.
pub async fn keep(ctx: Arc<Context>, key: Key) {
    let pulse = ctx.progress.begins(format!("services of {key}"), TURN);
    let mut applied = Applied::new();
    loop {
        let mut rest = CALM;
        if let Some(installation) = ctx.state.stores.installations.get(&key)
            && let Some(spec) = &installation.spec.managed
            && !deleting(installation.as_ref())
        {
            let services = look(&ctx, &key, &installation, spec, &mut applied).await;
            if services.lacks.is_some() {
                rest = BUSY;
            }
            tell(&ctx, &key, services);
        }
        pulse.rests(tokio::time::sleep(rest)).await;
    }
}

/// Keeps what was seen, and tells those who go by it where it is news.
fn tell(ctx: &Context, key: &Key, services: Services) {
    let handle = ctx.state.installations.get(key);
    let before = handle.facts().services;
    if before.as_deref() == Some(&services) {
        return;
    }
    let is_another_way = before.as_ref().and_then(|s| s.way.as_ref()) != services.way.as_ref();
    if let Some(lacks) = &services.lacks
        && before.as_ref().and_then(|s| s.lacks.as_ref()) != Some(lacks)
    {
        tracing::info!(installation = %key, reason = %lacks.reason, message = lacks.message, "the installation is not whole");
    }
    handle.update(|f| f.services = Some(Arc::new(services)));
    if is_another_way {
        ctx.bells.remake(key);
    }
    ctx.bells.tell_statuses();
}

async fn look(
    ctx: &Context,
    key: &Key,
    installation: &DiracInstallation,
    spec: &Managed,
    applied: &mut Applied,
) -> Services {
    let mut services = Services::default();
    let work = Work { ctx, key, installation, spec };
    if let Err(trouble) = work.look(&mut services, applied).await {
        services.lacks = Some(trouble);
    }
    services
}

/// One look at one installation.
struct Work<'a> {
    ctx: &'a Context,
    key: &'a Key,
    installation: &'a DiracInstallation,
    spec: &'a Managed,
}

/// The host certificate: the Secret that has it, whose it is, and a word that is another when it is renewed.
struct Certificate {
    secret: String,
    dn: String,
    version: String,
}

impl Work<'_> {
    async fn look(&self, services: &mut Services, applied: &mut Applied) -> Result<(), Trouble> {
        self.possible()?;
        let impossible = |wrong: String| Trouble::new(Reason::ManifestImpossible, format!("spec.managed.{wrong}"));
        let chosen = catalogue::chosen(self.spec.components.as_ref()).map_err(impossible)?;
        let names = Names { key: self.key.clone() };
        let keys = self.keys(&names).await?;
        let certificate = self.certificate(&names, &keys).await?;
        let images = Images::with(&self.ctx.args.images);
        let mut whole = Installation {
            names: names.clone(),
            spec: self.spec,
            images: &images,
            owner: self.owner(),
            chosen,
            address: None,
            certificate: &certificate.secret,
            host_dn: &certificate.dn,
            version_of_secrets: &certificate.version,
        };
        let live = self.live(applied).await?;
        let front = self.put(&render::front(&whole), &live, applied).await?;
        let address = cluster_address(&front).ok_or_else(|| {
            Trouble::new(Reason::PartsNotReady, format!("the Service {:?} has no address yet", names.service()))
        })?;
        whole.address = Some(address.to_string());
        services.address = Some(public_address(&front).unwrap_or_else(|| address.to_string()));
        let stages = render::stages(&whole).map_err(impossible)?;
        self.prune(&stages, &live).await?;
        self.build(&stages, &live, applied, services).await?;
        if services.parts.iter().any(|part| part.ready && part.name == names.of("matcher")) {
            services.way = Some(self.way(&certificate.secret, address));
        }
        Ok(())
    }

    /// What of the manifest can be seen to be impossible.
    fn possible(&self) -> Result<(), Trouble> {
        if !self.ctx.args.managed {
            let text = "this operator was started without --managed, so it runs no installation: set managed.enabled in the chart";
            return Err(Trouble::new(Reason::ManagedNotAllowed, text));
        }
        let wrong = |text: String| Err(Trouble::new(Reason::ManifestImpossible, text));
        if self.key.name.len() > LONGEST {
            return wrong(format!(
                "the name of a managed installation may have {LONGEST} characters: this one has {}",
                self.key.name.len()
            ));
        }
        if self.spec.tls.as_ref().is_some_and(|tls| tls.issuer_ref.is_some()) {
            return wrong(
                "spec.managed.tls.issuerRef: this version takes a Secret (secretRef), or makes an authority of its own"
                    .to_owned(),
            );
        }
        if self.spec.search.as_ref().is_some_and(|search| search.external.is_some()) {
            return wrong("spec.managed.search.external: this version runs OpenSearch itself (managed)".to_owned());
        }
        Ok(())
    }

    fn owner(&self) -> Value {
        json!({
            "apiVersion": DiracInstallation::api_version(&()),
            "kind": DiracInstallation::kind(&()),
            "name": self.key.name,
            "uid": self.installation.uid(),
            "controller": true,
        })
    }

    fn labels(&self) -> String {
        format!("{INSTALLATION_LABEL}={}", self.key.name)
    }

    /// The Secret with passwords and keys: made once. Where it is gone while volumes are there, new keys would not fit what these have.
    async fn keys(&self, names: &Names) -> Result<Secret, Trouble> {
        let key = self.key.beside(&names.of("keys"));
        if let Some(secret) = self.ctx.api.secret(&key).await.map_err(unanswered)? {
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
        let secret = self.secret_object(&key, data, self.is_all_deleted(), names)?;
        self.ctx.api.make_secret(&secret).await.map_err(not_written)?;
        tracing::info!(installation = %self.key, secret = key.name, "keys of a new installation were made");
        // Another leader may have been faster: what is there is what holds.
        let made = self.ctx.api.secret(&key).await.map_err(unanswered)?;
        made.ok_or_else(|| Trouble::new(Reason::PartsNotReady, format!("Secret {:?} is being made", key.name)))
    }

    fn is_all_deleted(&self) -> bool {
        self.spec.deletion_policy == crds::managed::DeletionPolicy::Delete
    }

    fn secret_object(
        &self,
        key: &Key,
        data: authority::Data,
        is_owned: bool,
        names: &Names,
    ) -> Result<Secret, Trouble> {
        let mut labels: BTreeMap<&str, String> = names.labels();
        labels.insert(crds::annotation::CREDENTIAL, "true".to_owned());
        let mut object = json!({"metadata": {"name": key.name, "namespace": key.namespace, "labels": labels}});
        if is_owned {
            object["metadata"]["ownerReferences"] = json!([self.owner()]);
        }
        let mut secret: Secret =
            serde_json::from_value(object).map_err(|error| Trouble::new(Reason::ApiServer, error.to_string()))?;
        secret.data = Some(data);
        Ok(secret)
    }

    /// The host certificate that the manifest names, or one of the installation's own authority, renewed in time.
    async fn certificate(&self, names: &Names, keys: &Secret) -> Result<Certificate, Trouble> {
        let given = self.spec.tls.as_ref().and_then(|tls| tls.secret_ref.as_ref());
        let name = given.map_or_else(|| names.of("host"), |secret| secret.name.clone());
        let key = self.key.beside(&name);
        if given.is_none() {
            let there = self.ctx.api.secret(&key).await.map_err(unanswered)?;
            let is_good = there.as_ref().is_some_and(|secret| self.is_good(secret));
            if !is_good {
                let all =
                    [self.spec.host.clone(), names.in_cluster(), names.service().to_owned(), "localhost".to_owned()];
                let data = keys.data.as_ref().ok_or_else(|| Trouble::new(Reason::KeysMissing, "no keys"))?;
                let signed = authority::sign(&self.key.name, data, &all, self.ctx.clock.now());
                let data = signed.map_err(|error| not_made(&error))?;
                let secret = self.secret_object(&key, data, true, names)?;
                let mut object =
                    serde_json::to_value(&secret).map_err(|e| Trouble::new(Reason::ApiServer, e.to_string()))?;
                (object["apiVersion"], object["kind"]) = ("v1".into(), "Secret".into());
                self.ctx.api.apply_any(&object).await.map_err(not_written)?;
            }
        }
        let opened = self.ctx.api.open(&key).await?;
        let certificate = opened.get(authority::CERTIFICATE)?;
        let credentials =
            Credentials { certificate, key: opened.get(authority::KEY)?, ca: opened.get(authority::AUTHORITIES)? };
        let dn = credentials.subject().ok_or_else(|| {
            Trouble::new(
                Reason::BadCredentials,
                format!("the certificate in Secret {name:?} cannot be read: put a host certificate in PEM form there"),
            )
        })?;
        let of_keys = keys
            .data
            .iter()
            .flatten()
            .fold(Sha256::new(), |hash, (name, value)| hash.chain_update(name).chain_update(&value.0));
        let version = format!("{} {}", opened.version, hex(&of_keys.finalize()));
        Ok(Certificate { secret: name, dn, version: fingerprint(&json!(version)) })
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

    /// The objects that are there now, by kind and name: those that have a state, and those that are taken away when nobody wants them.
    async fn live(&self, applied: &mut Applied) -> Result<HashMap<(String, String), Value>, Trouble> {
        let mut live = HashMap::new();
        let kinds = [("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("batch/v1", "Job"), ("v1", "Service")];
        for (api_version, kind) in kinds {
            let list = self.ctx.api.list_any(&self.key.namespace, api_version, kind, &self.labels()).await;
            for mut object in list.map_err(unanswered)? {
                object["kind"] = kind.into();
                object["apiVersion"] = api_version.into();
                live.insert((kind.to_owned(), name_of(&object)), object);
            }
        }
        // What somebody deleted is applied anew.
        applied.retain(|of, _| !kinds.iter().any(|(_, kind)| *kind == of.0) || live.contains_key(of));
        Ok(live)
    }

    /// Applies an object where it is not as it was applied the last time; gives it as it is now.
    async fn put(
        &self,
        object: &Value,
        live: &HashMap<(String, String), Value>,
        applied: &mut Applied,
    ) -> Result<Value, Trouble> {
        let of = (object["kind"].as_str().unwrap_or_default().to_owned(), name_of(object));
        let print = fingerprint(object);
        let is_fresh = applied.get(&of).is_some_and(|(before, at)| *before == print && at.elapsed() < AGAIN);
        let there = live.get(&of);
        if is_fresh || (is_paused(self.installation) && there.is_some()) {
            return Ok(there.cloned().unwrap_or_else(|| object.clone()));
        }
        if is_paused(self.installation) {
            let text = format!("{} {:?} is not made while the installation is paused", of.0, of.1);
            return Err(Trouble::new(Reason::PartsNotReady, text));
        }
        let now = self.ctx.api.apply_any(object).await.map_err(|error| {
            Trouble::new(Reason::ApiServer, format!("{} {:?} could not be written: {error}", of.0, of.1))
        })?;
        applied.insert(of, (print, Instant::now()));
        Ok(now)
    }

    /// Applies stage after stage, up to the first that is not ready.
    async fn build(
        &self,
        stages: &[Stage],
        live: &HashMap<(String, String), Value>,
        applied: &mut Applied,
        services: &mut Services,
    ) -> Result<(), Trouble> {
        for stage in stages {
            let mut waits = None;
            for object in &stage.objects {
                let now = self.put(object, live, applied).await?;
                let lacking = lacks(&now);
                let has_state = matches!(now["kind"].as_str(), Some("Deployment" | "StatefulSet" | "Job"));
                let message = match &lacking {
                    Some(text) => Some(self.explained(object, text).await),
                    None => None,
                };
                let name = name_of(object);
                if let Some(text) = &message {
                    waits.get_or_insert_with(|| format!("{name}: {text}"));
                }
                if has_state {
                    let image = object.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str);
                    services.parts.push(Part {
                        name,
                        ready: lacking.is_none(),
                        image: image.map(str::to_owned),
                        message,
                    });
                }
            }
            if let Some(text) = waits {
                return Err(Trouble::new(Reason::PartsNotReady, format!("stage {}: {text}", stage.name)));
            }
        }
        Ok(())
    }

    /// The sentence, and what its pods say.
    async fn explained(&self, object: &Value, text: &str) -> String {
        let part = object["metadata"]["labels"][PART].as_str().unwrap_or_default();
        let labels = format!("{},{PART}={part}", self.labels());
        match self.ctx.api.pods(&self.key.namespace, &labels).await {
            Ok(pods) => excuse(&pods).map_or_else(|| text.to_owned(), |why| format!("{text}; {why}")),
            Err(_) => text.to_owned(),
        }
    }

    /// Takes away the Deployments and ended Jobs that nobody wants any more. Nothing with a volume is ever taken away here.
    async fn prune(&self, stages: &[Stage], live: &HashMap<(String, String), Value>) -> Result<(), Trouble> {
        let wanted: BTreeSet<(String, String)> = stages
            .iter()
            .flat_map(|stage| &stage.objects)
            .map(|object| (object["kind"].as_str().unwrap_or_default().to_owned(), name_of(object)))
            .collect();
        let is_over =
            |of: &(String, String), object: &Value| of.0 == "Deployment" || (of.0 == "Job" && lacks(object).is_none());
        let unwanted = live.iter().filter(|(of, object)| is_over(of, object) && !wanted.contains(of));
        for (of, object) in unwanted.filter(|_| !is_paused(self.installation)) {
            tracing::info!(installation = %self.key, kind = of.0, name = of.1, "nobody wants it any more: deleted");
            self.ctx.api.delete_any(object).await.map_err(not_written)?;
        }
        Ok(())
    }

    fn way(&self, secret: &str, at: IpAddr) -> Way {
        let url = |port: u16, name: &str| format!("dips://{}:{port}/{name}", self.spec.host);
        Way {
            at,
            external: External {
                matcher: url(9170, "WorkloadManagement/Matcher"),
                pilot_manager: url(9171, "WorkloadManagement/PilotManager"),
                job_monitoring: Some(url(9130, "WorkloadManagement/JobMonitoring")),
                lost_jobs: LostJobs::Reschedule,
                job_manager: Some(url(9132, "WorkloadManagement/JobManager")),
                configuration: Some(url(9135, "Configuration/Server")),
                diracx: None,
                credentials: DiracCredentials {
                    certificate_secret_ref: SecretRef { name: secret.to_owned() },
                    group: "hosts".to_owned(),
                },
            },
        }
    }
}

fn name_of(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

fn cluster_address(service: &Value) -> Option<IpAddr> {
    service.pointer("/spec/clusterIP")?.as_str()?.parse().ok()
}

/// The address, or the name, that a load balancer gave it.
fn public_address(service: &Value) -> Option<String> {
    let given = service.pointer("/status/loadBalancer/ingress/0")?;
    given["ip"].as_str().or_else(|| given["hostname"].as_str()).map(str::to_owned)
}

fn unanswered(error: kube::Error) -> Trouble {
    Trouble::new(Reason::ApiServer, format!("the API server did not say what is there: {error}"))
}

fn not_written(error: kube::Error) -> Trouble {
    Trouble::new(Reason::ApiServer, format!("the API server did not take a write: {error}"))
}

fn not_made(error: &authority::NoKey) -> Trouble {
    Trouble::new(Reason::BadCredentials, error.to_string())
}
