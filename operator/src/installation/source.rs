//! The way to an installation: made from its object and Secret, and made anew when either changes.

use std::{sync::Arc, time::Duration};

use broker::{
    demand::diset::{Client, Credentials, Matcher, PilotManager, Settings},
    simulation::{Arrival, SimulatedDirac},
};
use crds::{
    DiracInstallation,
    installation::{DiracInstallationSpec, External, SimulatedQueue},
};

use crate::{amounts::count, context::Context, known::installation::Handle, names::Key, trouble::Trouble};

/// Secrets are read again after this time.
const REREAD: Duration = Duration::from_secs(60);
/// How long a simulated job runs where its stream says nothing, in seconds.
const RUN_SECONDS: u64 = 60;

/// Keeps the way open until dropped.
pub async fn keep_the_way(ctx: Arc<Context>, key: Key) {
    let handle = ctx.state.installations.get(&key);
    let mut made_from: Option<(DiracInstallationSpec, String)> = None;
    loop {
        if let Some(installation) = ctx.state.stores.installations.get(&key) {
            match make(&ctx, &key, &installation, &handle, &mut made_from).await {
                Ok(()) => handle.update(|f| f.not_reached = None),
                Err(trouble) => {
                    // No round plans with credentials that were taken back; pilots that live keep the way to their rows.
                    handle.update(|f| {
                        f.not_reached = Some(trouble);
                        f.demand = None;
                    });
                    made_from = None;
                }
            }
            ctx.bells.tell_statuses();
        }
        tokio::select! {
            () = ctx.bells.to_remake(&key) => {}
            () = tokio::time::sleep(REREAD) => {}
        }
    }
}

async fn make(
    ctx: &Context,
    key: &Key,
    installation: &DiracInstallation,
    handle: &Handle,
    made_from: &mut Option<(DiracInstallationSpec, String)>,
) -> Result<(), Trouble> {
    let spec = &installation.spec;
    let same = |version: &str| made_from.as_ref().is_some_and(|(s, v)| s == spec && v == version);
    if let Some(queue) = &spec.simulated {
        if !same("") {
            simulate(ctx, queue, handle);
            *made_from = Some((spec.clone(), String::new()));
            ctx.bells.plan(key);
        }
        return Ok(());
    }
    let Some(external) = &spec.external else {
        let message =
            "this version of the operator does not run managed installations; its spec is kept for one that does";
        return Err(Trouble::new("NotSupported", message));
    };
    let opened = ctx.api.open(&key.beside(&external.credentials.certificate_secret_ref.name)).await?;
    if same(&opened.version) {
        return Ok(());
    }
    let credentials =
        Credentials { certificate: opened.get("tls.crt")?, key: opened.get("tls.key")?, ca: opened.get("ca.crt")? };
    let client = |address: &str| reach(external, address, &credentials);
    let (matcher, pilots) = (client(&external.matcher)?, client(&external.pilot_manager)?);
    handle.update(|f| {
        f.demand = Some(Arc::new(Matcher::new(matcher)));
        f.rows = Some(Arc::new(PilotManager::new(pilots)));
    });
    *made_from = Some((spec.clone(), opened.version));
    ctx.bells.read_rows(key);
    ctx.bells.plan(key);
    Ok(())
}

fn reach(external: &External, address: &str, credentials: &Credentials) -> Result<Client, Trouble> {
    Ok(Client::new(address.parse()?, &external.credentials.group, credentials, Settings::default())?)
}

fn simulate(ctx: &Context, queue: &SimulatedQueue, handle: &Handle) {
    let arrivals: Vec<Arrival> = queue
        .arrivals
        .iter()
        .map(|a| Arrival {
            group: a.group.clone(),
            jobs_per_hour: count(a.jobs_per_hour),
            cpu_time: a.cpu_time.as_secs(),
            run_time: a.run_time.map_or(RUN_SECONDS, crds::Duration::as_secs),
            processors: count(a.processors.unwrap_or(1)),
            tags: a.tags.clone(),
            jobs: a.jobs.map(count),
        })
        .collect();
    if let Some(dirac) = handle.facts().simulated {
        dirac.set_arrivals(arrivals);
        handle.update(|f| f.demand = Some(Arc::new(dirac)));
        return;
    }
    let clock = ctx.clock.clone();
    let clock = broker::clock::Clock::driven(move || clock.now());
    let dirac = SimulatedDirac::new(u64::from(queue.seed), arrivals, clock);
    handle.update(|f| {
        f.demand = Some(Arc::new(dirac.clone()));
        f.rows = Some(Arc::new(dirac.clone()));
        f.simulated = Some(dirac);
    });
}
