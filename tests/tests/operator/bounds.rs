//! What bounds a VO and a site from outside: a budget that holds no more VMs, and a Downtime. Real API server, simulated DIRAC and cloud.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Fixture, until};

/// A VM reserves what it may cost: as long as its boot deadline, maxCpuTime and idle timeout, about 24.5 hours at 0.10 EUR.
pub async fn a_budget_holds_vms_back_says_so_and_is_settled(f: &Fixture) {
    f.world("thrift", 60, "10s", 0, "");
    let budget = |amount: &str| {
        let patch = json!({"spec": {"budget": {"amount": amount, "currency": "EUR", "period": "30d"}}}).to_string();
        f.kubectl.run(&["patch", "vo", "biomed", "--namespace", "thrift", "--type=merge", "--patch", &patch]).unwrap();
    };
    let vo =
        |field: &str| f.get("thrift", "vo/biomed")["status"]["budget"][field].as_str().unwrap_or_default().to_owned();
    budget("0");
    f.kubectl.run(&["scale", "pilotpool", "cpu", "--replicas=5", "--namespace", "thrift"]).unwrap();
    until("nothing of the budget is left, and the pool says what binds", 60, async || {
        assert_eq!(f.vms("thrift").len(), 0, "no VM is paid for by nothing");
        let (funded, why, _) = f.condition("thrift", "vo/biomed", "Funded");
        let (met, reason, said) = f.condition("thrift", "pilotpool/cpu", "DemandMet");
        let all = [funded.as_str(), &why, &met, &reason] == ["False", "Budget", "False", "Budget"];
        if all && said.contains("spec.budget") { Ok(()) } else { Err(format!("{funded} {why} {met} {reason} {said}")) }
    })
    .await;
    budget("5.00");
    until("two VMs are paid for, and jobs wait for what a third would cost", 60, async || {
        let vms = f.vms("thrift").len();
        assert!(vms <= 2, "5.00 EUR pay for two VMs of 2.45 EUR, and there are {vms}");
        let (met, reason, said) = f.condition("thrift", "pilotpool/cpu", "DemandMet");
        let holds = vms == 2 && met == "False" && reason == "Budget" && said.contains("EUR are left");
        if holds { Ok(()) } else { Err(format!("{vms} VMs, {met} {reason} {said}")) }
    })
    .await;
    let mut most = 0;
    budget("50.00");
    until("all jobs are served, and what the VMs did cost is counted in whole cents", 240, async || {
        most = most.max(f.vms("thrift").len());
        let served = f.jobs("thrift", "served").await;
        let (spent, reserved) = (vo("spent"), vo("reserved"));
        let is_settled = spent.starts_with("0.0") && spent != "0.00 EUR" && reserved == "0.00 EUR";
        let left = f.operator.metric(&["budget_left{", "namespace=\"thrift\"", "unit=\"EUR\""]).await.unwrap();
        let is_settled = is_settled && left > 49.8 && left < 50.0;
        if served == 60 && is_settled {
            Ok(())
        } else {
            Err(format!("{served} served, {spent} spent, {reserved} reserved"))
        }
    })
    .await;
    assert!(most > 2, "more money bought more VMs: {most}");
}

pub async fn a_downtime_drains_loses_no_job_and_is_over_when_it_is_deleted(f: &Fixture) {
    f.world("absent", 8, "25s", 2, "");
    until("jobs run", 60, async || match f.jobs("absent", "running").await {
        8 => Ok(()),
        n => Err(format!("{n} run")),
    })
    .await;
    let at = |minutes: i64| (Timestamp::now() + SignedDuration::from_mins(minutes)).to_string();
    let downtime = json!({
        "apiVersion": "diracgrid.org/v1alpha1", "kind": "Downtime", "metadata": {"name": "works", "namespace": "absent"},
        "spec": {"siteRef": {"name": "here"}, "start": at(10), "end": at(60), "drainFor": "10m", "reason": "power works"},
    });
    f.kubectl.apply(&downtime.to_string()).unwrap();
    until("the VMs drain, and the Downtime says so", 30, async || {
        let (draining, reason, _) = f.condition("absent", "downtime/works", "Draining");
        let vms: Vec<_> =
            f.vms("absent").iter().map(|vm| vm["metadata"]["name"].as_str().unwrap().to_owned()).collect();
        let all = vms.iter().map(|vm| f.condition("absent", &format!("pilotvm/{vm}"), "Draining"));
        let all: Vec<_> = all.map(|(status, reason, _)| (status, reason)).collect();
        let drains = |(status, reason): &(String, String)| status == "True" && reason == "Downtime";
        if draining == "True" && all.iter().all(drains) { Ok(()) } else { Err(format!("{draining} {reason} {all:?}")) }
    })
    .await;
    until("the jobs end and the VMs go", 120, async || {
        match (f.jobs("absent", "served").await, f.vms("absent").len()) {
            (8, 0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(f.jobs("absent", "requeued").await, 0, "no job lost its VM");
    // These say that they need longer than the site is there.
    let arrival = json!({"vo": "biomed", "group": "biomed_user", "jobsPerHour": 36_000, "cpuTime": "2h", "runTime": "5s", "jobs": 4});
    let patch = json!({"spec": {"simulated": {"arrivals": [arrival]}}}).to_string();
    f.kubectl.run(&["patch", "dirac", "sim", "--namespace", "absent", "--type=merge", "--patch", &patch]).unwrap();
    until("no VM is made for jobs that would not end in time, and the pool says why", 60, async || {
        assert_eq!(f.vms("absent").len(), 0, "a VM was made for jobs that do not end before the Downtime");
        match f.condition("absent", "pilotpool/cpu", "DemandMet") {
            (status, reason, _) if status == "False" && reason == "Downtime" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    f.kubectl.run(&["delete", "downtime", "works", "--namespace", "absent", "--timeout=30s"]).unwrap();
    until("the jobs run once the Downtime is gone", 90, async || match f.jobs("absent", "served").await {
        12 => Ok(()),
        n => Err(format!("{n} served")),
    })
    .await;
}
