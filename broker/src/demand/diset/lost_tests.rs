//! Jobs of lost pilots, at services that keep their jobs and rows in memory as DIRAC does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    stand_in::{client, pki},
    *,
};
use crate::pilot::lost::{GivenBack, LostJobs as _};

/// A job: its state, and how often it was rescheduled.
type Job = (&'static str, u64);

#[derive(Default)]
struct Dirac {
    jobs: BTreeMap<u64, Job>,
    /// The rows by reference: the state, and the jobs that the pilot got.
    pilots: BTreeMap<&'static str, (&'static str, Vec<u64>)>,
    /// The methods that were called, with how many jobs or pilots.
    calls: Vec<(String, usize)>,
    /// Whether orders are refused.
    refuses: bool,
    /// Whether an order is carried out and its answer never comes.
    silent: bool,
}

impl Dirac {
    fn answer(&mut self, method: &str, arguments: &Value) -> Option<Value> {
        let list: Vec<Value> = arguments[0].as_array().cloned().unwrap_or_else(|| vec![arguments[0].clone()]);
        self.calls.push((method.to_owned(), list.len()));
        let ok = |value: Value| Some(json!({"OK": true, "Value": value}));
        let numbers = || list.iter().filter_map(Value::as_u64);
        let row = |(status, jobs): &(&str, Vec<u64>)| json!({"Status": status, "Jobs": jobs});
        match method {
            "getPilotInfo" => {
                let rows: BTreeMap<_, _> =
                    list.iter().filter_map(|r| Some((r.as_str()?, row(self.pilots.get(r.as_str()?)?)))).collect();
                ok(json!(rows))
            }
            "getPilots" => {
                let job = arguments[0].as_u64()?;
                let rows: BTreeMap<_, _> = self
                    .pilots
                    .iter()
                    .filter(|(_, (_, jobs))| jobs.contains(&job))
                    .map(|(r, of)| (r, row(of)))
                    .collect();
                ok(json!(rows))
            }
            "getJobsStatus" | "getJobsSummary" => {
                let of = |(status, times): &Job| json!({"Status": status, "RescheduleCounter": times, "RescheduleTime": null});
                let all: BTreeMap<_, _> =
                    numbers().filter_map(|job| Some((job.to_string(), of(self.jobs.get(&job)?)))).collect();
                ok(json!(all))
            }
            "rescheduleJob" if self.refuses => {
                Some(json!({"OK": false, "Errno": 0, "Message": "Some jobs can not be rescheduled"}))
            }
            "rescheduleJob" => {
                for job in numbers() {
                    let job = self.jobs.get_mut(&job)?;
                    *job = if job.1 < 3 { ("Received", job.1 + 1) } else { ("Failed", job.1) };
                }
                (!self.silent).then(|| json!({"OK": true, "Value": list}))
            }
            _ => None,
        }
    }

    fn count(&self, method: &str) -> usize {
        self.calls.iter().filter(|(called, _)| called == method).count()
    }
}

async fn dirac(dirac: Dirac) -> (Arc<Mutex<Dirac>>, LostJobs) {
    let (pki, dirac) = (pki(), Arc::new(Mutex::new(dirac)));
    let theirs = dirac.clone();
    let url = pki.service(move |method, arguments| theirs.lock().unwrap().answer(method, arguments)).await;
    let settings = Settings { deadline: Duration::from_secs(20), ..Settings::default() };
    let client = client(url, &pki.credentials(), settings);
    let lost = LostJobs::new(PilotManager::new(client.clone()), JobMonitoring::new(client.clone()), client);
    (dirac, lost)
}

/// Nothing of any kind.
const NOTHING: [&[u64]; 4] = [&[]; 4];

fn said(back: &GivenBack) -> [&[u64]; 4] {
    [&back.given, &back.failed, &back.left, &back.undone]
}

#[tokio::test]
async fn what_ran_on_pilots_that_were_lost_together_goes_back_in_one_order() {
    let (dirac, lost) = dirac(Dirac {
        jobs: BTreeMap::from([(1, ("Running", 0)), (2, ("Done", 0)), (3, ("Matched", 0)), (4, ("Waiting", 1))]),
        pilots: BTreeMap::from([("a", ("Deleted", vec![1, 2, 4])), ("b", ("Deleted", vec![3]))]),
        ..Dirac::default()
    })
    .await;
    let (a, b, none) = tokio::join!(lost.give_back("a"), lost.give_back("b"), lost.give_back("nobody"));
    assert_eq!(said(&a.unwrap()), [&[1][..], &[], &[], &[]]);
    assert_eq!(said(&b.unwrap()), [&[3][..], &[], &[], &[]]);
    assert_eq!(said(&none.unwrap()), NOTHING);
    let dirac = dirac.lock().unwrap();
    assert_eq!(dirac.jobs[&2].0, "Done", "what has ended stays so");
    assert_eq!(dirac.jobs[&4], ("Waiting", 1), "what waits again is not rescheduled once more");
    assert_eq!((dirac.count("rescheduleJob"), dirac.count("getPilotInfo"), dirac.count("getPilots")), (1, 1, 0));
}

#[tokio::test]
async fn a_job_that_another_pilot_has_by_now_is_left() {
    let (dirac, lost) = dirac(Dirac {
        jobs: BTreeMap::from([(1, ("Running", 1)), (2, ("Running", 1)), (3, ("Running", 3))]),
        pilots: BTreeMap::from([
            ("lost", ("Deleted", vec![1, 2, 3])),
            ("other", ("Running", vec![1])),
            ("earlier", ("Deleted", vec![2, 3])),
        ]),
        ..Dirac::default()
    })
    .await;
    assert_eq!(said(&lost.give_back("lost").await.unwrap()), [&[2][..], &[3], &[1], &[]]);
    assert_eq!(dirac.lock().unwrap().jobs[&1], ("Running", 1));
    // Whoever asks once more finds nothing to do.
    assert_eq!(said(&lost.give_back("lost").await.unwrap()), [NOTHING[0], &[], &[1], &[]]);
    assert_eq!(dirac.lock().unwrap().count("rescheduleJob"), 1);
}

#[tokio::test]
async fn a_refusal_leaves_the_jobs_to_be_tried_again_and_says_why() {
    let (_, lost) = dirac(Dirac {
        jobs: BTreeMap::from([(1, ("Running", 0))]),
        pilots: BTreeMap::from([("lost", ("Deleted", vec![1]))]),
        refuses: true,
        ..Dirac::default()
    })
    .await;
    let back = lost.give_back("lost").await.unwrap();
    assert_eq!(said(&back), [NOTHING[0], &[], &[], &[1]]);
    assert!(back.why.unwrap().message.contains("can not be rescheduled"));
}

#[tokio::test]
async fn an_order_whose_answer_is_lost_is_believed_when_dirac_shows_that_it_was_carried_out() {
    let (_, lost) = dirac(Dirac {
        jobs: BTreeMap::from([(1, ("Running", 0))]),
        pilots: BTreeMap::from([("lost", ("Deleted", vec![1]))]),
        silent: true,
        ..Dirac::default()
    })
    .await;
    let back = lost.give_back("lost").await.unwrap();
    assert_eq!(said(&back), [&[1][..], &[], &[], &[]]);
    assert!(back.why.is_none());
}
