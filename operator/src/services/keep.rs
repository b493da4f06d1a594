//! Keeps a managed installation as its object says.

use std::{net::IpAddr, sync::Arc, time::Duration};

use crds::{
    DiracInstallation, Reason, SecretRef,
    installation::{DiracCredentials, External, LostJobs},
    managed::Managed,
};
use serde_json::{Value, json};

use super::{
    build::{Applied, unanswered},
    catalogue, keys,
    names::{LONGEST, LONGEST_HOST, Names},
    render::{self, Installation},
    work::Work,
};
use crate::{
    context::Context,
    images::Images,
    known::services::{Services, Way},
    names::{Key, deleting},
    trouble::Trouble,
};

/// Looked at this often while nothing happens, and at first after something did.
const CALM: Duration = Duration::from_secs(15);
const BUSY: Duration = Duration::from_secs(3);
/// One look takes no longer: some hundred calls to the API server.
const TURN: Duration = Duration::from_secs(1_800);

/// Keeps one installation as its object says, until dropped.
pub async fn keep(ctx: Arc<Context>, key: Key) {
    let pulse = ctx.progress.begins(format!("services of {key}"), TURN);
    let mut applied = Applied::new();
    let (mut rest, mut last) = (BUSY, None);
    loop {
        if let Some(installation) = ctx.state.stores.installations.get(&key)
            && let Some(spec) = &installation.spec.managed
            && !deleting(installation.as_ref())
        {
            let services = look(&ctx, &key, &installation, spec, &mut applied).await;
            // Less and less often while nothing happens.
            let is_news = last.as_ref() != Some(&services);
            rest = if is_news { BUSY } else { CALM.min(rest * 2) };
            last = Some(services.clone());
            tell(&ctx, &key, services);
        }
        pulse.rests(tokio::time::sleep(rest)).await;
    }
}

/// Keeps what was seen, and tells those who go by it where it is news. Where nothing could be looked at, for example since the manifest was
/// changed to something impossible, what was seen before still runs.
fn tell(ctx: &Context, key: &Key, mut services: Services) {
    let handle = ctx.state.installations.get(key);
    let before = handle.facts().services;
    if let (Some(before), true) = (&before, services.parts.is_empty()) {
        services = Services { lacks: services.lacks, ..(**before).clone() };
    }
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

impl Work<'_> {
    async fn look(&self, services: &mut Services, applied: &mut Applied) -> Result<(), Trouble> {
        self.possible()?;
        let impossible = |wrong: String| Trouble::new(Reason::ManifestImpossible, format!("spec.managed.{wrong}"));
        let chosen = catalogue::chosen(self.spec.components.as_ref()).map_err(impossible)?;
        let names = Names { key: self.key.clone() };
        self.authorities_are_there().await?;
        self.secrets_may_be_used().await?;
        let keys = self.keys(&names).await?;
        let certificate = self.certificate(&names, &keys).await?;
        let images = Images::with(&self.ctx.args.images);
        let mut whole = Installation {
            names: names.clone(),
            spec: self.spec,
            images: &images,
            owner: json!(self.owner()),
            chosen,
            address: None,
            certificate: &certificate.secret,
            host_dn: &certificate.dn,
            authority: &certificate.authority,
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
        let built = self.build(&stages, &live, applied, services).await;
        if services.parts.iter().any(|part| part.ready && part.name == names.of("matcher")) {
            services.way = Some(self.way(&certificate.secret, address));
        }
        built
    }

    /// What of the manifest can be seen to be impossible.
    fn possible(&self) -> Result<(), Trouble> {
        if !self.ctx.args.managed {
            let text = "this operator was started without --managed, so it runs no installation: set managed.enabled in the chart";
            return Err(Trouble::new(Reason::ManagedNotAllowed, text));
        }
        let wrong = |text: String| Err(Trouble::new(Reason::ManifestImpossible, text));
        let name = self.key.name.as_str();
        let is_label = |text: &str| {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            !text.is_empty() && text.chars().all(fits) && !text.starts_with('-') && !text.ends_with('-')
        };
        if name.len() > LONGEST || !is_label(name) || name.starts_with(|c: char| c.is_ascii_digit()) {
            return wrong(format!(
                "a managed installation cannot be called {name:?}, since its Services are called after it: take at most {LONGEST} small \
                 letters, digits and hyphens, and a letter first"
            ));
        }
        if self.spec.host.len() > LONGEST_HOST || !self.spec.host.split('.').all(is_label) {
            return wrong(format!(
                "spec.managed.host {:?} is no host name: write at most {LONGEST_HOST} characters, small letters, digits and hyphens with dots \
                 between them",
                self.spec.host
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

    /// What the manifest has sent to a server that it names, its writer must be allowed to use: the label says so.
    async fn secrets_may_be_used(&self) -> Result<(), Trouble> {
        let database = self.spec.external_database().map(|database| &database.admin_secret_ref);
        let store = self.spec.external_store().map(|store| &store.secret_ref);
        let needed = [(database, ["username", "password"]), (store, [keys::S3_KEY_ID, keys::S3_KEY])];
        for (secret, names) in needed.into_iter().filter_map(|(secret, names)| Some((secret?, names))) {
            let opened = self.ctx.api.open(&self.key.beside(&secret.name)).await?;
            names.iter().try_for_each(|name| opened.get(name).map(drop))?;
        }
        Ok(())
    }

    /// A pod whose ConfigMap lacks waits without a word.
    async fn authorities_are_there(&self) -> Result<(), Trouble> {
        let Some(authorities) = &self.spec.authorities else { return Ok(()) };
        let name = &authorities.config_map_ref.name;
        let metadata = json!({"name": name, "namespace": self.key.namespace});
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
        if self.ctx.api.find_any(&map).await.map_err(unanswered)?.is_some() {
            return Ok(());
        }
        let text = format!("spec.managed.authorities names ConfigMap {name:?}, which does not exist: create it");
        Err(Trouble::new(Reason::ReferenceMissing, text))
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

fn cluster_address(service: &Value) -> Option<IpAddr> {
    service.pointer("/spec/clusterIP")?.as_str()?.parse().ok()
}

/// The address, or the name, that a load balancer gave it.
fn public_address(service: &Value) -> Option<String> {
    let given = service.pointer("/status/loadBalancer/ingress/0")?;
    given["ip"].as_str().or_else(|| given["hostname"].as_str()).map(str::to_owned)
}
