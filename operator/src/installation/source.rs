//! The way to an installation: made from its object and Secret, and another one when either changes.

use std::{sync::Arc, time::Duration};

use broker::{
    clock::Clock,
    demand::diset::{
        Addresses, Client, Credentials, Inspector, JobMonitoring, LostJobs, Matcher, PilotManager, Settings,
    },
    pilot::{jobs::JobStates, rows::PilotRows},
    simulation::{Arrival, SimulatedDirac},
};
use crds::{
    DiracInstallation, Reason,
    installation::{self, DiracInstallationSpec, External, SimulatedQueue},
};
use jiff::Timestamp;
use tokio::time::Instant;

use super::jobs::RowsWithJobs;
use crate::{
    amounts::count,
    api::secret::Opened,
    context::Context,
    known::{
        installation::Handle,
        services::{NOT_LOOKED_AT, Services},
    },
    names::Key,
    readiness::{configuration_address, job_manager_address},
    trouble::Trouble,
};

/// Secrets are read again after this time.
const REREAD: Duration = Duration::from_secs(60);
/// It is made within this time.
const TURN: Duration = Duration::from_secs(300);
/// Rows wait for the states of jobs, and for no longer than this.
const STATES_WITHIN: Duration = Duration::from_secs(10);
/// How long a simulated job runs where its stream says nothing, in seconds.
const RUN_SECONDS: u64 = 60;

/// What the way was made from: the spec, and the version of the Secret.
type MadeFrom = (DiracInstallationSpec, String);

/// Keeps the way open until dropped.
pub async fn keep_the_way(ctx: Arc<Context>, key: Key) {
    let handle = ctx.state.installations.get(&key);
    let pulse = ctx.progress.begins(format!("way to {key}"), TURN);
    let mut made_from: Option<MadeFrom> = None;
    let mut reread_due = Instant::now();
    let mut was_going = None;
    loop {
        let installation = ctx.state.stores.installations.get(&key);
        let going = installation.as_ref().and_then(|i| ctx.state.secrets.deleted(&key, &i.spec.secrets()));
        let is_due = Instant::now() >= reread_due || going != was_going;
        if going.is_none() && was_going.is_some() {
            made_from = None;
        }
        was_going.clone_from(&going);
        if let Some(installation) = installation
            && (is_due || is_another(made_from.as_ref(), &installation.spec))
        {
            reread_due = Instant::now() + REREAD;
            match make(&ctx, &key, &installation, &handle, &mut made_from).await {
                // Rows are closed with a Secret that was deleted as long as it stays, and no jobs are planned with it.
                Ok(()) if going.is_some() => {
                    handle.update(|f| {
                        f.not_reached = going;
                        f.demand = None;
                    });
                }
                Ok(()) => handle.update(|f| f.not_reached = None),
                Err(trouble) => {
                    tracing::warn!(installation = %key, reason = %trouble.reason, error = trouble.message, "DIRAC cannot be reached");
                    // No round plans with credentials that were taken back; pilots that live keep the way to their rows.
                    handle.update(|f| {
                        f.not_reached = Some(trouble);
                        f.demand = None;
                        f.inspect = None;
                        f.readiness = None;
                    });
                    made_from = None;
                }
            }
            ctx.bells.tell_statuses();
        }
        let _ = pulse.rests(tokio::time::timeout_at(reread_due, ctx.bells.to_remake(&key))).await;
    }
}

/// Whether the way must be made from this spec at once. Most events of an installation are writes of its status, at which no Secret is
/// read; where no way could be made, the Secret may have come since.
fn is_another(made_from: Option<&MadeFrom>, spec: &DiracInstallationSpec) -> bool {
    made_from.is_none_or(|(from, _)| from != spec)
}

async fn make(
    ctx: &Context,
    key: &Key,
    installation: &DiracInstallation,
    handle: &Handle,
    made_from: &mut Option<MadeFrom>,
) -> Result<(), Trouble> {
    let spec = &installation.spec;
    let same = |version: &str| made_from.as_ref().is_some_and(|(s, v)| s == spec && v == version);
    if let Some(queue) = &spec.simulated {
        if !same("") {
            simulate(ctx, key, queue, handle);
            *made_from = Some((spec.clone(), String::new()));
            ctx.bells.read_rows(key);
            ctx.bells.plan(key);
        }
        return Ok(());
    }
    let services = handle.facts().services;
    let way = services.as_ref().and_then(|services| services.way.as_ref());
    let external = match (&spec.external, way) {
        (Some(external), _) => external,
        (None, Some(way)) => &way.external,
        (None, None) => return Err(not_there_yet(services.as_deref())),
    };
    let opened = ctx.api.open(&key.beside(&external.credentials.certificate_secret_ref.name)).await?;
    // A Service that was made anew has another address.
    let at = way.map(|way| way.at);
    let version = format!("{}{}", opened.version, at.map(|at| format!(" {at}")).unwrap_or_default());
    if same(&version) {
        return Ok(());
    }
    let settings = Settings { addresses: ctx.args.addresses(), at, ..Settings::default() };
    let Clients { matcher, pilots, jobs, lost, inspector, certificate_ends } =
        clients(external, &opened, settings, ctx.clock.clone())?;
    let (demand, pilots) = (Arc::new(matcher), Arc::new(pilots));
    match jobs {
        Some(states) => follow_jobs(ctx, key, handle, pilots, Arc::new(states)),
        None => handle.update(|f| {
            f.rows = Some(pilots);
            f.jobs = None;
        }),
    }
    handle.update(|f| {
        f.demand = Some(demand);
        f.lost = lost.map(|lost| Arc::new(lost) as _);
        f.inspect = Some(Arc::new(inspector));
        f.certificate_ends = certificate_ends;
    });
    *made_from = Some((spec.clone(), version));
    ctx.bells.read_rows(key);
    ctx.bells.plan(key);
    Ok(())
}

/// Why there is no way to a managed installation.
fn not_there_yet(services: Option<&Services>) -> Trouble {
    let lacks = services.and_then(|services| services.lacks.clone());
    lacks.unwrap_or_else(|| Trouble::new(Reason::NotRead, NOT_LOOKED_AT))
}

/// Clients of the services of one DIRAC.
pub struct Clients {
    matcher: Matcher,
    pilots: PilotManager,
    jobs: Option<JobMonitoring>,
    lost: Option<LostJobs>,
    /// Looks at the DIRAC itself.
    pub inspector: Inspector,
    /// When the certificate ends by which they are known there.
    certificate_ends: Option<Timestamp>,
}

/// Clients of the services that the manifest names, with the credentials of its Secret. Nothing is sent yet.
pub fn clients(external: &External, opened: &Opened, settings: Settings, clock: Clock) -> Result<Clients, Trouble> {
    let credentials =
        Credentials { certificate: opened.get("tls.crt")?, key: opened.get("tls.key")?, ca: opened.get("ca.crt")? };
    let client = Client::new(external.matcher.parse()?, &external.credentials.group, &credentials, settings, clock)?;
    let (matcher, pilots) =
        (Matcher::new(client.clone()), PilotManager::new(client.beside(external.pilot_manager.parse()?)));
    let jobs: Option<Addresses> = external.job_monitoring.as_deref().map(str::parse).transpose()?;
    let lost = match (&jobs, external.lost_jobs) {
        (Some(urls), installation::LostJobs::Reschedule) => {
            let monitoring = JobMonitoring::new(client.beside(urls.clone()));
            let manager = client.beside(job_manager_address(external).parse()?);
            Some(LostJobs::new(pilots.clone(), monitoring, manager))
        }
        (None, _) | (_, installation::LostJobs::Leave) => None,
    };
    let jobs = jobs.map(|urls| JobMonitoring::new(client.beside(urls).within(STATES_WITHIN)));
    let inspector = Inspector {
        dn: credentials.subject(),
        configuration: configuration_address(external),
        matcher: matcher.clone(),
        pilots: pilots.clone(),
        jobs: jobs.clone(),
        manager: lost.as_ref().map(|lost| lost.manager().clone()),
        client,
    };
    Ok(Clients { matcher, pilots, jobs, lost, inspector, certificate_ends: credentials.ends() })
}

/// Has rows read from `rows` with what `states` says of the pilots' jobs. What is known of these is kept when another
/// way is made: a Secret was renewed, and the pilots are the same.
fn follow_jobs(ctx: &Context, key: &Key, handle: &Handle, rows: Arc<dyn PilotRows>, states: Arc<dyn JobStates>) {
    let jobs = handle.facts().jobs.unwrap_or_default();
    jobs.went(None);
    let rows = RowsWithJobs { installation: key.clone(), rows, states, jobs: jobs.clone(), clock: ctx.clock.clone() };
    handle.update(|f| {
        f.rows = Some(Arc::new(rows));
        f.jobs = Some(jobs);
    });
}

fn simulate(ctx: &Context, key: &Key, queue: &SimulatedQueue, handle: &Handle) {
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
    let dirac = SimulatedDirac::new(u64::from(queue.seed), arrivals, ctx.clock.clone());
    handle.update(|f| {
        f.demand = Some(Arc::new(dirac.clone()));
        f.simulated = Some(dirac.clone());
    });
    follow_jobs(ctx, key, handle, Arc::new(dirac.clone()), Arc::new(dirac));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(seed: u32) -> DiracInstallationSpec {
        serde_json::from_value(json!({"simulated": {"seed": seed, "arrivals": []}})).unwrap()
    }

    #[test]
    fn a_written_status_has_no_secret_read() {
        assert!(!is_another(Some(&(spec(1), "7".into())), &spec(1)));
    }

    #[test]
    fn a_changed_spec_and_a_way_that_could_not_be_made_have_the_way_made() {
        assert!(is_another(Some(&(spec(1), "7".into())), &spec(2)));
        assert!(is_another(None, &spec(1)));
    }
}
