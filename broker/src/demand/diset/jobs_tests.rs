//! States of jobs, at a JobMonitoring that answers as DIRAC's does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    jobs::JOBS_A_REQUEST,
    stand_in::{client, pki},
    *,
};
use crate::pilot::jobs::{JobStates, JobStatus};

/// What the numbers of each request were.
type Asked = Arc<Mutex<Vec<Vec<u64>>>>;

/// It knows these jobs; a number that stands twice in a request is refused, as DIRAC's database does.
async fn monitoring(words: BTreeMap<u64, Value>) -> (Asked, JobMonitoring) {
    let (pki, asked) = (pki(), Asked::default());
    let theirs = asked.clone();
    let url = pki
        .service(move |method, arguments| {
            if method != "getJobsStatus" {
                return Some(json!({"OK": false, "Message": format!("Unknown method {method}")}));
            }
            let jobs: Vec<u64> = arguments[0].as_array()?.iter().filter_map(Value::as_u64).collect();
            theirs.lock().ok()?.push(jobs.clone());
            if jobs.iter().collect::<BTreeSet<_>>().len() < jobs.len() {
                return Some(json!({"OK": false, "Errno": 1066, "Message": "Duplicate entry for key 'PRIMARY'"}));
            }
            let known: BTreeMap<_, _> = jobs.iter().filter_map(|j| Some((j.to_string(), words.get(j)?))).collect();
            Some(json!({"OK": true, "Value": known}))
        })
        .await;
    let settings = Settings { deadline: Duration::from_secs(20), ..Settings::default() };
    (asked, JobMonitoring::new(client(url, &pki.credentials(), settings)))
}

#[tokio::test]
async fn states_of_many_jobs_are_read_in_one_request_and_each_number_is_asked_once() {
    let words = BTreeMap::from([(7, json!({"Status": "Running"})), (8, json!({"Status": "Done"}))]);
    let (asked, monitoring) = monitoring(words).await;
    let states = monitoring.states(&[8, 7, 8]).await.unwrap();
    assert_eq!(states, BTreeMap::from([(7, JobStatus::Running), (8, JobStatus::Done)]));
    assert_eq!(*asked.lock().unwrap(), [[7, 8]]);
}

#[tokio::test]
async fn a_job_that_dirac_does_not_know_or_has_no_word_for_is_not_said_to_have_ended() {
    let words = BTreeMap::from([(1, json!({"Status": null})), (2, json!({})), (3, json!({"Status": "Dreaming"}))]);
    let (_, monitoring) = monitoring(words).await;
    let states = monitoring.states(&[1, 2, 3, 4]).await.unwrap();
    assert_eq!(states, BTreeMap::from([(3, JobStatus::Unknown)]));
}

#[tokio::test]
async fn more_jobs_than_fit_into_a_request_are_asked_for_in_several() {
    let jobs: Vec<u64> = (1..=JOBS_A_REQUEST as u64 + 1).collect();
    let words = jobs.iter().map(|job| (*job, json!({"Status": "Matched"}))).collect();
    let (asked, monitoring) = monitoring(words).await;
    assert_eq!(monitoring.states(&jobs).await.unwrap().len(), jobs.len());
    assert_eq!(asked.lock().unwrap().iter().map(Vec::len).collect::<Vec<_>>(), [JOBS_A_REQUEST, 1]);
    assert!(monitoring.states(&[]).await.unwrap().is_empty());
    assert_eq!(asked.lock().unwrap().len(), 2, "nothing is asked for no job");
}

#[tokio::test]
async fn an_answer_that_is_no_list_of_jobs_is_an_error() {
    let pki = pki();
    let url = pki.service(|_, _| Some(json!({"OK": true, "Value": [1, 2]}))).await;
    let client = client(url, &pki.credentials(), Settings::default());
    let error = JobMonitoring::new(client).status(&[1]).await.unwrap_err();
    assert!(matches!(error, DisetError::Garbage { .. }), "{error}");
}
