//! Rows that are made and read for many pilots at once, at a PilotManager that keeps its rows in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::join_all;
use serde_json::{Value, json};

use super::{
    stand_in::{client, pki},
    *,
};
use crate::pilot::rows::{NewPilot, PilotRows, PilotStatus, RowsError};

/// What a PilotManager has in its table, and what it was asked.
#[derive(Default)]
struct Table {
    /// The rows by reference; DIRAC has no unique key, so a reference may have several.
    rows: BTreeMap<String, Vec<Value>>,
    /// The methods that were called.
    calls: Vec<String>,
    /// A reference that cannot be inserted.
    refused: Option<&'static str>,
    /// Rows are inserted, and the answer never comes.
    silent: bool,
}

impl Table {
    fn count(&self, method: &str) -> usize {
        self.calls.iter().filter(|call| *call == method).count()
    }

    fn answer(&mut self, method: &str, arguments: &Value) -> Value {
        self.calls.push(method.to_owned());
        let failed = |message: &str, errno: u32| json!({"OK": false, "Errno": errno, "Message": message});
        let text = |n: usize| arguments[n].as_str().unwrap().to_owned();
        match method {
            "getPilotInfo" => {
                let asked = arguments[0].as_array().unwrap().iter().map(|r| r.as_str().unwrap());
                let found: BTreeMap<_, _> = asked.filter_map(|r| Some((r, self.rows.get(r)?.first()?))).collect();
                if found.is_empty() { failed("No pilots found", 1550) } else { json!({"OK": true, "Value": found}) }
            }
            "addPilotReferences" => {
                for reference in arguments[0].as_array().unwrap() {
                    let reference = reference.as_str().unwrap();
                    if Some(reference) == self.refused {
                        return failed("Data too long for column", 0);
                    }
                    let row = json!({"Status": "Submitted", "VO": text(1), "GridType": text(2), "PilotStamp": arguments[3][reference]});
                    self.rows.entry(reference.to_owned()).or_default().push(row);
                }
                json!({"OK": true, "Value": null})
            }
            "setPilotStatus" => {
                for row in self.rows.get_mut(&text(0)).into_iter().flatten() {
                    row["Status"] = text(1).into();
                    row["DestinationSite"] = text(2).into();
                    row["GridSite"] = text(4).into();
                    row["Queue"] = text(5).into();
                }
                json!({"OK": true, "Value": 1})
            }
            other => failed(&format!("Unknown method {other}"), 0),
        }
    }
}

/// A PilotManager that answers from this table, and ours that asks it.
async fn pilot_manager(table: Table) -> (Arc<Mutex<Table>>, PilotManager) {
    let (pki, table) = (pki(), Arc::new(Mutex::new(table)));
    let theirs = table.clone();
    let url = pki
        .service(move |method, arguments| {
            let mut table = theirs.lock().unwrap();
            let answer = table.answer(method, arguments);
            (!table.silent || method != "addPilotReferences").then_some(answer)
        })
        .await;
    let settings = Settings { deadline: Duration::from_secs(20), ..Settings::default() };
    (table, PilotManager::new(client(url, &pki.credentials(), settings)))
}

fn pilot(n: usize, vo: &str) -> NewPilot {
    NewPilot {
        reference: format!("cloud://{n:04}"),
        stamp: format!("{n:032}"),
        vo: vo.into(),
        site: "CLOUD.Lyon.fr".into(),
        ce: "openstack.lyon.fr".into(),
        queue: "m1.large".into(),
    }
}

async fn register_all(rows: &PilotManager, pilots: &[NewPilot]) -> Vec<Result<(), RowsError>> {
    join_all(pilots.iter().map(|pilot| rows.register(pilot))).await
}

#[tokio::test]
async fn rows_that_are_asked_for_together_are_made_in_one_call_for_each_vo() {
    let (table, rows) = pilot_manager(Table::default()).await;
    let pilots: Vec<_> = (0..30).map(|n| pilot(n, if n % 3 == 0 { "enmr" } else { "biomed" })).collect();
    assert!(register_all(&rows, &pilots).await.iter().all(Result::is_ok));
    let table = table.lock().unwrap();
    assert_eq!((table.count("getPilotInfo"), table.count("addPilotReferences")), (1, 2));
    for pilot in pilots {
        let row = json!({"Status": "Submitted", "VO": pilot.vo, "GridType": "K8sCloud", "PilotStamp": pilot.stamp,
            "DestinationSite": pilot.ce, "GridSite": pilot.site, "Queue": pilot.queue});
        assert_eq!(table.rows[&pilot.reference], [row]);
    }
}

#[tokio::test]
async fn a_pilot_that_is_asked_for_twice_at_once_gets_one_row() {
    let (table, rows) = pilot_manager(Table::default()).await;
    let twice = [pilot(1, "biomed"), pilot(1, "biomed")];
    assert!(register_all(&rows, &twice).await.iter().all(Result::is_ok));
    assert_eq!(table.lock().unwrap().rows["cloud://0001"].len(), 1);
}

#[tokio::test]
async fn a_row_that_dirac_refuses_is_the_trouble_of_its_own_pilot_alone() {
    let (table, rows) = pilot_manager(Table { refused: Some("cloud://0003"), ..Table::default() }).await;
    let pilots: Vec<_> = (0..6).map(|n| pilot(n, "biomed")).collect();
    let outcomes = register_all(&rows, &pilots).await;
    for (n, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_ok(), n != 3, "pilot {n}: {outcome:?}");
    }
    assert!(outcomes[3].as_ref().unwrap_err().message.contains("Data too long"));
    let table = table.lock().unwrap();
    let whole = |rows: &Vec<Value>| rows.len() == 1 && rows[0]["Queue"] == "m1.large";
    assert!(table.rows.len() == 5 && table.rows.values().all(whole), "{:?}", table.rows);
}

#[tokio::test]
async fn an_answer_that_never_came_leaves_each_outcome_unclear_and_no_row_is_made_twice() {
    let (table, rows) = pilot_manager(Table { silent: true, ..Table::default() }).await;
    let pilots: Vec<_> = (0..6).map(|n| pilot(n, "biomed")).collect();
    assert!(register_all(&rows, &pilots).await.iter().all(Result::is_err));
    assert_eq!(table.lock().unwrap().count("addPilotReferences"), 1, "what is in doubt is not asked for again at once");
    table.lock().unwrap().silent = false;
    assert!(register_all(&rows, &pilots).await.iter().all(Result::is_ok));
    let table = table.lock().unwrap();
    assert!(table.rows.len() == 6 && table.rows.values().all(|rows| rows.len() == 1), "{:?}", table.rows);
}

#[tokio::test]
async fn rows_that_are_read_before_they_are_written_are_read_in_one_call() {
    let (table, rows) = pilot_manager(Table::default()).await;
    let pilots: Vec<_> = (0..10).map(|n| pilot(n, "biomed")).collect();
    assert!(register_all(&rows, &pilots).await.iter().all(Result::is_ok));
    table.lock().unwrap().calls.clear();
    table.lock().unwrap().rows.get_mut("cloud://0004").unwrap()[0]["Status"] = "Running".into();
    let waiting = pilots.iter().map(|pilot| rows.set_status(pilot, PilotStatus::Waiting, "the VM exists"));
    assert!(join_all(waiting).await.iter().all(Result::is_ok));
    let table = table.lock().unwrap();
    assert_eq!((table.count("getPilotInfo"), table.count("setPilotStatus")), (1, 9), "the Matcher's word stays");
}

/// Pilots that live for a week get thousands of jobs each, and every row lists them all.
#[tokio::test]
async fn rows_whose_jobs_make_the_answer_too_large_are_read_in_smaller_parts() {
    let pki = pki();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let theirs = calls.clone();
    let url = pki
        .service(move |_, arguments| {
            let asked = arguments[0].as_array()?;
            theirs.lock().ok()?.push(asked.len());
            let row = json!({"Status": "Running", "Jobs": (1..=100).collect::<Vec<_>>()});
            let rows: BTreeMap<_, _> =
                asked.iter().filter_map(|r| Some((r.as_str()?.to_owned(), row.clone()))).collect();
            Some(json!({"OK": true, "Value": rows}))
        })
        .await;
    let settings = Settings { deadline: Duration::from_secs(20), most_values: 1_500, ..Settings::default() };
    let rows = PilotManager::new(client(url, &pki.credentials(), settings));
    let references: Vec<String> = (0..40).map(|n| format!("cloud://{n}")).collect();
    assert_eq!(rows.rows(&references).await.unwrap().len(), 40);
    assert_eq!(*calls.lock().unwrap(), [40, 20, 10, 10, 10, 10]);
    rows.rows(&references[..20]).await.unwrap();
    assert_eq!(calls.lock().unwrap()[6..], [10, 10], "what was too large once is not asked for again");
}
