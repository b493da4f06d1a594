//! What a DiracInstallation object says: waiting jobs, unclaimed groups, and what is wrong.

use std::collections::BTreeMap;

use crds::{
    ConditionType, DiracInstallation, Reason,
    installation::{DiracInstallationStatus, External, UnclaimedGroup},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    demand,
    pass::{Pass, identities_of_installation},
    services,
};
use crate::{
    amounts::whole,
    conditions::Conditions,
    known::{installation::Facts, jobs::Jobs},
    names::{Key, LET_GO, deleting},
    readiness,
};

pub fn status(pass: &Pass<'_>, installation: &DiracInstallation) -> DiracInstallationStatus {
    let key = Key::of(installation);
    let facts = pass.state.installations.get(&key).facts();
    let old = installation.status.as_ref();
    let mut conditions = Conditions::of(old.map(|s| &s.conditions), installation.metadata.generation, pass.now);
    let rival = pass.rival(installation, identities_of_installation(installation)).map(|other| {
        format!(
            "DiracInstallation {other:?} reads the same Matcher, so its jobs are counted twice and get VMs twice: delete one of the two"
        )
    });
    conditions.resolved(&[], rival.as_deref());
    let mut not: Vec<_> = installation.spec.managed.iter().flat_map(services::not_acted_on).collect();
    if installation.spec.external.as_ref().is_some_and(|e| e.diracx.is_some()) {
        not.push("spec.external.diracx");
    }
    conditions.supported(&not);
    conditions.paused(installation);
    if installation.spec.managed.is_some() {
        services::says(facts.services.as_deref(), &mut conditions);
    }
    demand_read(&facts, &mut conditions);
    let way = facts.services.as_ref().and_then(|services| services.way.as_ref()).map(|way| &way.external);
    let (holds, reason, text) = rows_read(&facts, installation.spec.external.as_ref().or(way));
    conditions.says(ConditionType::RowsRead, holds, reason, &text);
    let (holds, reason, text) = dirac_ready(&key, installation, &facts);
    conditions.says(ConditionType::DiracReady, holds, reason, &text);
    let mut needs = vec![ConditionType::DemandRead, ConditionType::RowsRead, ConditionType::Resolved];
    if installation.spec.managed.is_some() {
        needs.insert(0, ConditionType::ServicesReady);
    }
    conditions.ready(&needs, "demand is read and pilots can be registered");
    let tally = pass.tally.installation(&key);
    if deleting(installation) {
        let text = format!(
            "deleted; waits for {} PilotVMs, whose rows are closed with it, and no more are made; to let it go without that, annotate it \
             with {LET_GO}=true",
            tally.vms
        );
        conditions.says(ConditionType::Ready, Some(false), Reason::Deleting, &text);
    }
    let round = facts.round.as_deref();
    let lacking = round.map(|round| demand::lacking(round, |_| true)).unwrap_or_default();
    let known = demand::known(Some(&facts));
    match known.as_ref().ok().and_then(|round| unclaimed(&round.plan.unclaimed)) {
        // The jobs of VOs that wait say more: somebody wants VMs for these.
        Some(text) if lacking.jobs == 0 => {
            conditions.says(ConditionType::DemandMet, Some(false), Reason::GroupUnclaimed, &text);
        }
        _ => {
            let well = "every waiting job has a VM or gets one";
            demand::met(&mut conditions, known.and_then(|round| demand::in_whole(round, &lacking)), well);
        }
    }
    let (parts, address) = services::shown(facts.services.as_deref(), old);
    let status = DiracInstallationStatus {
        observed_generation: installation.metadata.generation,
        parts,
        address,
        conditions: conditions.finish(),
        vms: tally.vms,
        certificate_expires: facts
            .certificate_ends
            .map(Time)
            .or_else(|| old.and_then(|s| s.certificate_expires.clone())),
        secrets: pass.state.secrets.recorded(&key, installation.spec.secrets(), old.map_or(&[][..], |s| &s.secrets)),
        ..DiracInstallationStatus::default()
    };
    // What has not been read since the start is not nothing: the last numbers stay.
    let Some(round) = round else {
        let old = old.cloned().unwrap_or_default();
        return DiracInstallationStatus {
            waiting_jobs: old.waiting_jobs,
            task_queues: old.task_queues,
            last_demand_time: old.last_demand_time,
            unclaimed: old.unclaimed,
            unmet: old.unmet,
            ..status
        };
    };
    DiracInstallationStatus {
        waiting_jobs: whole(round.jobs),
        task_queues: whole(round.queues),
        // To the minute: a status that changes with every poll would be a write with every poll.
        last_demand_time: Some(Time(to_the_minute(round.at))),
        unclaimed: most(&round.plan.unclaimed)
            .into_iter()
            .map(|(group, jobs)| UnclaimedGroup { group: group.clone(), jobs: whole(jobs) })
            .collect(),
        unmet: lacking.entries,
        ..status
    }
}

fn demand_read(facts: &Facts, conditions: &mut Conditions) {
    match (facts.not_reached.as_ref().or(facts.demand_unknown.as_ref()), &facts.round) {
        (Some(t), _) => {
            let text = format!("{}; demand is unknown, so nothing is scaled and what runs goes on", t.message);
            conditions.says(ConditionType::DemandRead, Some(false), t.reason, &text);
        }
        (None, Some(round)) => match &round.unreadable {
            None => conditions.says(ConditionType::DemandRead, Some(true), Reason::Read, "the task queues were read"),
            Some(unreadable) => {
                let text = format!("the task queues were read in part: {}", demand::left_out(unreadable));
                conditions.says(ConditionType::DemandRead, Some(true), Reason::ReadInPart, &text);
            }
        },
        (None, None) => {
            let text = "the task queues have not been read yet";
            conditions.says(ConditionType::DemandRead, None, Reason::NotRead, text);
        }
    }
}

/// Whether DIRAC knows what pilots need. Nothing is scaled by it: Ready does not ask for it.
fn dirac_ready(key: &Key, installation: &DiracInstallation, facts: &Facts) -> (Option<bool>, Reason, String) {
    if installation.spec.simulated.is_some() {
        let text = "the installation is simulated: there is no DIRAC that would have to know anything";
        return (Some(true), Reason::NothingToConfigure, text.to_owned());
    }
    match (&facts.not_reached, &facts.readiness) {
        (Some(trouble), _) => (None, trouble.reason, trouble.message.clone()),
        (None, Some(findings)) => readiness::verdict(key, findings),
        (None, None) => {
            (None, Reason::NotRead, "whether DIRAC knows what pilots need has not been read yet".to_owned())
        }
    }
}

/// The sentence about groups that no VO claims. Without numbers of jobs, which would be news at every poll.
fn unclaimed(groups: &BTreeMap<String, u64>) -> Option<String> {
    const NAMED: usize = 5;
    let named: Vec<&str> = groups.keys().take(NAMED).map(String::as_str).collect();
    let more = match groups.len().saturating_sub(NAMED) {
        0 => String::new(),
        n => format!(" and {n} more groups"),
    };
    let text = format!(
        "jobs of {}{more} get no VM, since no VirtualOrganization names their group: add it to spec.groups of one, or leave these jobs to \
         others; status.unclaimed has their numbers",
        named.join(", ")
    );
    (!groups.is_empty()).then_some(text)
}

/// The groups with most waiting jobs: as many as the status has room for.
fn most(unclaimed: &BTreeMap<String, u64>) -> Vec<(&String, u64)> {
    const LISTED: usize = 100;
    let mut all: Vec<_> = unclaimed.iter().map(|(group, jobs)| (group, *jobs)).collect();
    if all.len() > LISTED {
        all.sort_by_key(|(_, jobs)| std::cmp::Reverse(*jobs));
        all.truncate(LISTED);
        all.sort();
    }
    all
}

/// What the last reading of the rows says.
fn rows_read(facts: &Facts, external: Option<&External>) -> (Option<bool>, Reason, String) {
    let jobs_unknown = facts.jobs.as_deref().and_then(Jobs::trouble);
    match (&facts.rows_unknown, &facts.read) {
        (Some(t), _) => {
            let text = format!(
                "{}; pilots cannot be registered or followed, so nothing is scaled and VMs that run go on",
                t.message
            );
            (Some(false), t.reason, text)
        }
        (None, Some(_)) => {
            let busy = "a VM whose pilot had a job is taken to be busy";
            let (reason, text) = match (jobs_unknown, external) {
                (Some(t), _) => {
                    (Reason::JobsUnknown, format!(", but not which of the pilots' jobs run, so {busy}: {}", t.message))
                }
                (None, Some(External { job_monitoring: None, .. })) => (
                    Reason::Read,
                    format!(
                        "; which of the pilots' jobs run is unknown, since spec.external.jobMonitoring is absent: {busy}"
                    ),
                ),
                (None, _) => (Reason::Read, String::new()),
            };
            (Some(true), reason, format!("the pilots' rows were read{text}"))
        }
        (None, None) => (None, Reason::NotRead, "the pilots' rows have not been read yet".to_owned()),
    }
}

fn to_the_minute(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second() / 60 * 60).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{known::installation::Rows, trouble::Trouble};

    #[test]
    fn rows_that_could_not_be_read_are_said() {
        let mut facts = Facts::default();
        assert_eq!(rows_read(&facts, None).1, Reason::NotRead);
        facts.read = Some(Arc::new(Rows::default()));
        assert_eq!(rows_read(&facts, None).0, Some(true));
        facts.rows_unknown = Some(Trouble::new(Reason::Unreachable, "no answer"));
        let (holds, reason, text) = rows_read(&facts, None);
        assert!(holds == Some(false) && reason == Reason::Unreachable && text.starts_with("no answer; "), "{text}");
    }

    #[test]
    fn that_nobody_says_which_jobs_run_is_said() {
        let mut facts = Facts { read: Some(Arc::default()), ..Facts::default() };
        let mut external = External::default();
        let (holds, reason, text) = rows_read(&facts, Some(&external));
        assert!(holds == Some(true) && reason == Reason::Read && text.contains("jobMonitoring is absent"), "{text}");
        external.job_monitoring = Some("dips://d.org:9130/WorkloadManagement/JobMonitoring".into());
        let jobs = Arc::<Jobs>::default();
        facts.jobs = Some(jobs.clone());
        assert_eq!(rows_read(&facts, Some(&external)), (Some(true), Reason::Read, "the pilots' rows were read".into()));
        jobs.went(Some((Trouble::new(Reason::Unreachable, "no answer"), tokio::time::Instant::now())));
        let (holds, reason, text) = rows_read(&facts, Some(&external));
        assert!(holds == Some(true) && reason == Reason::JobsUnknown && text.ends_with("busy: no answer"), "{text}");
    }
}
