//! Demand from DIRAC's Matcher.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{Client, DisetError};
use crate::demand::{Demand, DemandError, DemandSource, TaskQueue, Unreadable};

/// `WorkloadManagement/Matcher`.
#[derive(Clone)]
pub struct Matcher(Client);

impl Matcher {
    /// A Matcher at the other end of `client`.
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    /// Every task queue with waiting jobs. Needs the property JobAdministrator.
    pub async fn active_task_queues(&self) -> Result<Demand, DisetError> {
        self.ask("getActiveTaskQueues", json!([])).await
    }

    /// The task queues that a resource could serve; `resource` as DIRAC writes it. Any registered user may ask.
    pub async fn matching_task_queues(&self, resource: &Value) -> Result<Demand, DisetError> {
        self.ask("getMatchingTaskQueues", json!([resource])).await
    }

    async fn ask(&self, method: &str, arguments: Value) -> Result<Demand, DisetError> {
        let value = self.0.call(method, &arguments).await?;
        let demand = demand(&value).map_err(|what| DisetError::Garbage {
            url: self.0.url().to_string(),
            method: method.to_owned(),
            what,
        })?;
        if let Some(Unreadable { queues, example }) = &demand.unreadable {
            let (url, read) = (self.0.url(), demand.queues.len());
            tracing::warn!(%url, left_out = queues, read, example, "task queues cannot be read and are left out");
        }
        Ok(demand)
    }
}

#[async_trait]
impl DemandSource for Matcher {
    async fn task_queues(&self) -> Result<Demand, DemandError> {
        self.active_task_queues().await.map_err(|e| DemandError { fault: e.fault(), message: e.to_string() })
    }
}

/// The queues of an answer. One that cannot be read is left out and counted: its jobs get no VM, and those of the others do. An
/// error, which names such a queue, where none of them can be read: then it is the protocol that is not understood.
pub fn demand(value: &Value) -> Result<Demand, String> {
    let all = value.as_object().ok_or("the task queues are not a JSON object")?;
    let (mut queues, mut wrong) = (Vec::with_capacity(all.len()), Vec::new());
    for (id, fields) in all {
        match task_queue(id, fields) {
            Ok(queue) => queues.push(queue),
            Err(what) => wrong.push(what),
        }
    }
    queues.sort_by_key(|q| q.id);
    let count = wrong.len();
    let unreadable = wrong.into_iter().next().map(|example| Unreadable { queues: count, example });
    match unreadable {
        Some(unreadable) if queues.is_empty() => Err(unreadable.example),
        unreadable => Ok(Demand { queues, unreadable }),
    }
}

/// No task queue has more waiting jobs; sums of such numbers never overflow.
const MOST_JOBS: u64 = 1_000_000_000;

fn task_queue(id: &str, fields: &Value) -> Result<TaskQueue, String> {
    let wrong = |field: &str| format!("task queue {id:?} has no usable {field}");
    let fields = fields.as_object().ok_or_else(|| wrong("fields"))?;
    let text = |f: &str| fields.get(f).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| wrong(f));
    Ok(TaskQueue {
        id: id.parse().map_err(|_| wrong("number"))?,
        owner: text("Owner")?,
        owner_group: text("OwnerGroup")?,
        cpu_time: number(fields, "CPUTime").ok_or_else(|| wrong("CPUTime"))?,
        jobs: number(fields, "Jobs").filter(|jobs| *jobs <= MOST_JOBS).ok_or_else(|| wrong("Jobs"))?,
        priority: fields.get("Priority").and_then(Value::as_f64).unwrap_or(0.0),
        sites: list(fields, "Sites").ok_or_else(|| wrong("Sites"))?,
        grid_ces: list(fields, "GridCEs").ok_or_else(|| wrong("GridCEs"))?,
        banned_sites: list(fields, "BannedSites").ok_or_else(|| wrong("BannedSites"))?,
        platforms: list(fields, "Platforms").ok_or_else(|| wrong("Platforms"))?,
        job_types: list(fields, "JobTypes").ok_or_else(|| wrong("JobTypes"))?,
        tags: list(fields, "Tags").ok_or_else(|| wrong("Tags"))?,
        min_ram_mb: if fields.contains_key("MinRAM") {
            number(fields, "MinRAM").ok_or_else(|| wrong("MinRAM"))?
        } else {
            0
        },
        max_ram_mb: if fields.contains_key("MaxRAM") {
            number(fields, "MaxRAM").ok_or_else(|| wrong("MaxRAM"))?
        } else {
            0
        },
    })
}

fn number(fields: &Map<String, Value>, name: &str) -> Option<u64> {
    fields.get(name)?.as_u64()
}

/// An absent list is empty; a list with anything but text in it cannot be read.
fn list(fields: &Map<String, Value>, name: &str) -> Option<Vec<String>> {
    match fields.get(name) {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(values)) => values.iter().map(|v| v.as_str().map(str::to_owned)).collect(),
        Some(_) => None,
    }
}
