//! The command `check`: says once whether DIRAC knows what pilots need, with the rights of who runs it. It reads and never writes.

mod report;
pub mod verify;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use broker::{
    address::Policy,
    clock::Clock,
    demand::diset::Settings,
    readiness::{self, Inspect},
};
use crds::{DiracInstallation, installation::External};
use kube::{Client, ResourceExt, api::ListParams};

use crate::{
    api::{Api, LONGEST_CALL, watch::Kind},
    args::Check,
    installation::clients,
    metrics::Metrics,
    names::Key,
    readiness::{Objects, wanted},
    trouble::Trouble,
};
use report::{Outcome, Report, exit_code};

/// One call to a DIRAC service.
const DEADLINE: Duration = Duration::from_secs(30);

/// Runs it; what it prints goes to standard output. Exit code 0: DIRAC knows everything; 1: something lacks; 2: nobody could say.
pub async fn run(args: Check) -> ExitCode {
    match reports(&args).await {
        Ok(reports) => {
            for report in &reports {
                print!("{report}");
            }
            exit_code(&reports).into()
        }
        Err(error) => {
            eprintln!("it could not be checked whether DIRAC knows what pilots need: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn reports(args: &Check) -> anyhow::Result<Vec<Report>> {
    let config = kube::Config::infer().await.context("no Kubernetes API server is configured: set KUBECONFIG")?;
    let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config).context("the client of the API server cannot be made")?;
    let objects = objects(&client, &namespace).await?;
    let asked: Vec<_> = objects
        .installations
        .iter()
        .filter(|installation| args.installation.as_ref().is_none_or(|name| installation.name_any() == *name))
        .collect();
    if asked.is_empty() {
        let named = args.installation.as_ref().map(|name| format!(" {name:?}")).unwrap_or_default();
        bail!("there is no DiracInstallation{named} in namespace {namespace}");
    }
    let api = Api::new(client, Arc::<Metrics>::default());
    let mut reports = Vec::new();
    for installation in asked {
        let outcome = look(&api, installation, &objects).await;
        reports.push(Report { key: Key::of(installation.as_ref()), outcome });
    }
    Ok(reports)
}

async fn objects(client: &Client, namespace: &str) -> anyhow::Result<Objects> {
    Ok(Objects {
        installations: all(client, namespace).await?,
        vos: all(client, namespace).await?,
        sites: all(client, namespace).await?,
        clouds: all(client, namespace).await?,
        pools: all(client, namespace).await?,
    })
}

/// Every object of a kind in this namespace.
async fn all<K: Kind>(client: &Client, namespace: &str) -> anyhow::Result<Vec<Arc<K>>> {
    let api: kube::Api<K> = kube::Api::namespaced(client.clone(), namespace);
    let kind = K::kind(&()).into_owned();
    let every = ListParams::default();
    let list = tokio::time::timeout(LONGEST_CALL, api.list(&every)).await;
    let list = list.with_context(|| format!("the API server did not answer when it was asked for each {kind}"))?;
    let list = list.with_context(|| format!("the objects {kind} of namespace {namespace} cannot be listed"))?;
    Ok(list.items.into_iter().map(Arc::new).collect())
}

/// Looks at the DIRAC of one installation.
async fn look(api: &Api, installation: &DiracInstallation, objects: &Objects) -> Outcome {
    let Some(external) = &installation.spec.external else {
        return if installation.spec.simulated.is_some() { Outcome::Simulated } else { Outcome::Managed };
    };
    match inspect(api, installation, external).await {
        Ok(said) => Outcome::Looked {
            findings: readiness::check(&said, &wanted(installation, objects)),
            has_diracx: external.diracx.is_some(),
        },
        Err(trouble) => Outcome::NotReached(trouble.message),
    }
}

async fn inspect(api: &Api, installation: &DiracInstallation, external: &External) -> Result<readiness::Said, Trouble> {
    let key = Key::of(installation).beside(&external.credentials.certificate_secret_ref.name);
    let opened = api.open(&key).await?;
    // Who runs the command stands at a machine of their own, from which private addresses may be asked.
    let addresses = Policy { http: false, private: true };
    let settings = Settings { deadline: DEADLINE, addresses, ..Settings::default() };
    Ok(clients(external, &opened, settings, Clock::default())?.inspector.inspect().await)
}
