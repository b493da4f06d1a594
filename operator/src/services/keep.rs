//! Keeps a managed installation as its object says.

use std::{net::IpAddr, sync::Arc, time::Duration};

use crds::{
    DiracInstallation, Reason, SecretRef,
    installation::{DiracCredentials, External, LostJobs},
    managed::Managed,
};
use serde_json::Value;

use super::{
    build::{Applied, unanswered},
    catalogue,
    names::{LONGEST, Names},
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

/// Looked at this often while all runs, and while something does not.
const CALM: Duration = Duration::from_secs(15);
const BUSY: Duration = Duration::from_secs(3);
/// One look takes no longer: some hundred calls to the API server.
const TURN: Duration = Duration::from_secs(1_800);

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
fn tell(ctx: &Context, key: &Key, mut services: Services) {
    let handle = ctx.state.installations.get(key);
    let before = handle.facts().services;
    if let (Some(before), true) = (&before, is_unknown(&services)) {
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

/// Whether nothing could be seen, since the API server did not answer: what was seen before still holds.
fn is_unknown(services: &Services) -> bool {
    services.lacks.as_ref().is_some_and(|lacks| lacks.reason == Reason::ApiServer)
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

    /// A pod whose ConfigMap lacks waits without a word.
    async fn authorities_are_there(&self) -> Result<(), Trouble> {
        let Some(authorities) = &self.spec.authorities else { return Ok(()) };
        let key = self.key.beside(&authorities.config_map_ref.name);
        match self.ctx.api.has_config_map(&key).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                let text =
                    format!("spec.managed.authorities names ConfigMap {:?}, which does not exist: create it", key.name);
                Err(Trouble::new(Reason::ReferenceMissing, text))
            }
            Err(error) => Err(unanswered(error)),
        }
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
