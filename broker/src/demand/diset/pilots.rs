//! Pilot rows through DIRAC's PilotManager.
//!
//! DIRAC reads and makes rows for a list of pilots (`PilotManagerHandler`: `getPilotInfo`, `addPilotReferences`), and writes the state
//! of one pilot at a time (`setPilotStatus`). So what is read and made for single pilots at nearly the same time is gathered.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::future::join_all;
use serde_json::{Map, Value, json};

use super::{
    Client, DisetError,
    gather::Gatherer,
    row::{pilot_rows, status},
    value::NO_PILOT,
};
use crate::{
    demand::Fault,
    pilot::{
        lost::Takers,
        rows::{NewPilot, PilotRow, PilotRows, PilotStatus, RowsError},
    },
};

/// The grid type of our rows: SiteDirectors sweep rows of the types they know, and never ours.
const GRID_TYPE: &str = "K8sCloud";
/// Rows that are read in one request, as long as the answer is not too large: a row lists every job that its pilot ever got.
const ROWS_A_REQUEST: usize = 1_000;
/// How long a call waits for others that go with it. A VM takes a minute to boot: nobody notices.
const GATHERING: Duration = Duration::from_millis(100);
/// Characters that the table has room for (`WorkloadManagementSystem/DB/PilotAgentsDB.sql`): what is longer is refused whole.
const LONGEST_REASON: usize = 255;
const LONGEST_NAME: usize = 128;

/// `WorkloadManagement/PilotManager`. Needs the property Operator. Clones of it gather together.
#[derive(Clone)]
pub struct PilotManager {
    client: Client,
    /// The most rows that are read in one request.
    rows_a_request: Arc<AtomicUsize>,
    looks: Arc<Gatherer<String, Found>>,
    makes: Arc<Gatherer<NewPilot, HashMap<String, Row>>>,
}

/// The rows that were found, by reference.
type Found = Result<Map<String, Value>, RowsError>;

/// What came of the wish that a pilot has a row: the row that was there before, if there was one.
type Row = Result<Option<Value>, RowsError>;

impl PilotManager {
    /// A PilotManager at the other end of `client`.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            rows_a_request: Arc::new(AtomicUsize::new(ROWS_A_REQUEST)),
            looks: Arc::new(Gatherer::new(GATHERING, ROWS_A_REQUEST)),
            makes: Arc::new(Gatherer::new(GATHERING, ROWS_A_REQUEST)),
        }
    }

    /// The pilots that got this job, with the states of their rows (`getPilots`).
    pub(super) async fn takers(&self, job: u64) -> Result<Takers, DisetError> {
        const METHOD: &str = "getPilots";
        match self.client.call(METHOD, &json!([job])).await? {
            Value::Object(rows) => Ok(rows.iter().map(|(reference, row)| (reference.clone(), status(row))).collect()),
            _ => Err(DisetError::Garbage {
                url: self.client.url().to_string(),
                method: METHOD.to_owned(),
                what: "the pilots are not a JSON object".to_owned(),
            }),
        }
    }

    /// The state in the pilot's row; `None` where there is no row.
    async fn status_of(&self, reference: &str) -> Result<Option<PilotStatus>, RowsError> {
        let client = self.client.clone();
        let look = move |all: Vec<String>| async move { read(&client, &all).await.map_err(failed) };
        match self.looks.with(reference.to_owned(), look).await.as_ref() {
            Ok(rows) => Ok(rows.get(reference).map(status)),
            Err(error) => Err(error.clone()),
        }
    }

    /// Sees to it that there is a row.
    async fn row_for(&self, pilot: &NewPilot) -> Row {
        let client = self.client.clone();
        let make = move |pilots| async move { make(&client, pilots).await };
        match self.makes.with(pilot.clone(), make).await.get(&pilot.reference) {
            Some(row) => row.clone(),
            None => Err(RowsError {
                fault: Fault::Garbage,
                message: format!("nothing is known of the row of {}; it is looked for again", pilot.reference),
            }),
        }
    }

    async fn write(&self, pilot: &NewPilot, status: PilotStatus, reason: &str) -> Result<(), RowsError> {
        let arguments = json!([
            pilot.reference,
            status.as_str(),
            column(&pilot.ce, LONGEST_NAME),
            column(reason, LONGEST_REASON),
            column(&pilot.site, LONGEST_NAME),
            column(&pilot.queue, LONGEST_NAME)
        ]);
        self.client.call("setPilotStatus", &arguments).await.map(|_| ()).map_err(failed)
    }
}

#[async_trait]
impl PilotRows for PilotManager {
    async fn register(&self, pilot: &NewPilot) -> Result<(), RowsError> {
        let status = match self.row_for(pilot).await? {
            None => PilotStatus::Submitted,
            Some(row) if is_of(&row, pilot) || status(&row).is_final() => return Ok(()),
            Some(row) => status(&row),
        };
        // The row is made without site, CE and queue, and a second call writes them. A crash between the two leaves a row without
        // them: no VM was made for it yet, so nobody else writes its status meanwhile.
        self.write(pilot, status, "registered by dirac-operator").await
    }

    async fn set_status(&self, pilot: &NewPilot, status: PilotStatus, reason: &str) -> Result<(), RowsError> {
        let now = self.status_of(&pilot.reference).await?;
        if now.is_some_and(|now| !now.may_become(status)) {
            return Ok(());
        }
        self.write(pilot, status, reason).await
    }

    async fn rows(&self, references: &[String]) -> Result<Vec<PilotRow>, RowsError> {
        let mut all = Vec::with_capacity(references.len());
        let mut rest = references;
        while !rest.is_empty() {
            let most = self.rows_a_request.load(Ordering::Relaxed);
            let (some, others) = rest.split_at(most.min(rest.len()));
            let rows = match read(&self.client, some).await {
                Err(DisetError::TooLarge { .. }) if some.len() > 1 => {
                    self.rows_a_request.store(some.len() / 2, Ordering::Relaxed);
                    continue;
                }
                rows => rows.map_err(failed)?,
            };
            all.extend(pilot_rows(&rows, self.client.now()));
            rest = others;
        }
        Ok(all)
    }
}

/// The rows as DIRAC writes them, by reference.
async fn read(client: &Client, references: &[String]) -> Result<Map<String, Value>, DisetError> {
    const METHOD: &str = "getPilotInfo";
    if references.is_empty() {
        return Ok(Map::new());
    }
    let value = match client.call(METHOD, &json!([references])).await {
        // "No pilots found": an error for DIRAC, an empty answer for us.
        Err(DisetError::Service { errno: NO_PILOT, .. }) => return Ok(Map::new()),
        other => other?,
    };
    match value {
        Value::Object(rows) => Ok(rows),
        _ => Err(DisetError::Garbage {
            url: client.url().to_string(),
            method: METHOD.to_owned(),
            what: "the pilots are not a JSON object".to_owned(),
        }),
    }
}

/// Looks for the rows of these pilots, and makes those that are not there: one call for each VO. What came of it, by reference.
async fn make(client: &Client, pilots: Vec<NewPilot>) -> HashMap<String, Row> {
    // The same pilot twice in one list would get two rows: DIRAC has no unique key.
    let pilots: BTreeMap<String, NewPilot> = pilots.into_iter().map(|p| (p.reference.clone(), p)).collect();
    let references: Vec<String> = pilots.keys().cloned().collect();
    let mut found = match read(client, &references).await {
        Ok(found) => found,
        Err(error) => return all_get(references, error),
    };
    let mut rows = HashMap::new();
    let mut by_vo: BTreeMap<String, Vec<NewPilot>> = BTreeMap::new();
    for (reference, pilot) in pilots {
        match found.remove(&reference) {
            Some(row) => {
                rows.insert(reference, Ok(Some(row)));
            }
            None => by_vo.entry(pilot.vo.clone()).or_default().push(pilot),
        }
    }
    let made = by_vo.into_iter().map(|(vo, pilots)| add(client, vo, pilots));
    rows.extend(join_all(made).await.into_iter().flatten());
    rows
}

/// Makes rows that were not there, all of one VO. DIRAC inserts one after the other and stops at the first that it cannot insert
/// (`PilotAgentsDB.addPilotReferences`): then those that are still not there are made one by one, so that each gets its own outcome.
/// Where no answer comes, the outcome is unclear for all of them: each must be looked for again.
async fn add(client: &Client, vo: String, pilots: Vec<NewPilot>) -> HashMap<String, Row> {
    let references: Vec<String> = pilots.iter().map(|p| p.reference.clone()).collect();
    let error = match insert(client, &vo, &pilots).await {
        Ok(()) => return references.into_iter().map(|reference| (reference, Ok(None))).collect(),
        Err(error) => error,
    };
    if pilots.len() == 1 || !matches!(error, DisetError::Service { .. }) {
        return all_get(references, error);
    }
    let mut found = match read(client, &references).await {
        Ok(found) => found,
        Err(error) => return all_get(references, error),
    };
    let mut rows = HashMap::new();
    for pilot in pilots {
        let row = match found.remove(&pilot.reference) {
            Some(row) => Ok(Some(row)),
            None => insert(client, &vo, std::slice::from_ref(&pilot)).await.map(|()| None).map_err(failed),
        };
        rows.insert(pilot.reference, row);
    }
    rows
}

async fn insert(client: &Client, vo: &str, pilots: &[NewPilot]) -> Result<(), DisetError> {
    let references: Vec<&str> = pilots.iter().map(|p| p.reference.as_str()).collect();
    let stamps: BTreeMap<&str, &str> = pilots.iter().map(|p| (p.reference.as_str(), p.stamp.as_str())).collect();
    client.call("addPilotReferences", &json!([references, vo, GRID_TYPE, stamps])).await.map(|_| ())
}

fn all_get(references: Vec<String>, error: DisetError) -> HashMap<String, Row> {
    let error = failed(error);
    references.into_iter().map(|reference| (reference, Err(error.clone()))).collect()
}

fn failed(error: DisetError) -> RowsError {
    RowsError { fault: error.fault(), message: error.to_string() }
}

/// Whether the row has the pilot's site, CE and queue.
fn is_of(row: &Value, pilot: &NewPilot) -> bool {
    [("GridSite", &pilot.site), ("DestinationSite", &pilot.ce), ("Queue", &pilot.queue)]
        .iter()
        .all(|(field, wanted)| row.get(field).and_then(Value::as_str) == Some(column(wanted, LONGEST_NAME).as_str()))
}

/// What a column of the table takes: at most `longest` characters, and only those that every character set has.
fn column(text: &str, longest: usize) -> String {
    text.chars().map(|c| if c == '\n' || (' '..='~').contains(&c) { c } else { '?' }).take(longest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_to_what_the_column_takes() {
        let long = format!("no host → {}", "x".repeat(2_000));
        let text = column(&long, LONGEST_REASON);
        assert_eq!(text.chars().count(), LONGEST_REASON);
        assert!(text.starts_with("no host ? xxx") && text.is_ascii(), "{text}");
        assert_eq!(column("m1.large", LONGEST_NAME), "m1.large");
    }
}
