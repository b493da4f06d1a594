//! Objects applied stage after stage, looked at, and taken away when nobody wants them.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use crds::{Reason, managed::Part};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    names::PART,
    observe::{excuse, lacks},
    render::{Stage, fingerprint},
    work::Work,
};
use crate::{known::services::Services, names::is_paused, trouble::Trouble};

/// What was applied is applied again after this time, so that what others change in it is put back.
const AGAIN: Duration = Duration::from_secs(300);

/// Kind and name of an object.
type Id = (String, String);

/// What was applied: its fingerprint, and when.
pub type Applied = HashMap<Id, (String, Instant)>;

/// The objects that are there, by kind and name.
pub type Live = HashMap<Id, Value>;

impl Work<'_> {
    /// The objects that are there now, by kind and name: those that have a state, and those that are taken away when nobody wants them.
    pub async fn live(&self, applied: &mut Applied) -> Result<Live, Trouble> {
        let mut live = HashMap::new();
        let kinds = [("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("batch/v1", "Job"), ("v1", "Service")];
        for (api_version, kind) in kinds {
            let list = self.ctx.api.list_any(&self.key.namespace, api_version, kind, &self.labels()).await;
            for mut object in list.map_err(unanswered)? {
                object["kind"] = kind.into();
                object["apiVersion"] = api_version.into();
                live.insert(id_of(&object), object);
            }
        }
        // What somebody deleted is applied anew.
        applied.retain(|of, _| !kinds.iter().any(|(_, kind)| *kind == of.0) || live.contains_key(of));
        Ok(live)
    }

    /// Applies an object where it is not as it was applied the last time; gives it as it is now.
    pub async fn put(&self, object: &Value, live: &Live, applied: &mut Applied) -> Result<Value, Trouble> {
        let of = id_of(object);
        let print = fingerprint(object);
        let is_fresh = applied.get(&of).is_some_and(|(before, at)| *before == print && at.elapsed() < AGAIN);
        let there = live.get(&of);
        if is_fresh || (is_paused(self.installation) && there.is_some()) {
            return Ok(there.cloned().unwrap_or_else(|| object.clone()));
        }
        if is_paused(self.installation) {
            let text = format!("{} {:?} is not made while the installation is paused", of.0, of.1);
            return Err(Trouble::new(Reason::PartsNotReady, text));
        }
        if !applied.contains_key(&of) {
            self.refuse_of_others(object, there).await?;
        }
        let now = self.ctx.api.apply_any(object).await.map_err(|error| {
            Trouble::new(Reason::ApiServer, format!("{} {:?} could not be written: {error}", of.0, of.1))
        })?;
        applied.insert(of, (print, Instant::now()));
        Ok(now)
    }

    /// Whether the installation's object owns it.
    fn is_ours(&self, object: &Value) -> bool {
        let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        let uid = self.installation.metadata.uid.as_deref();
        owners.is_some_and(|owners| owners.iter().any(|owner| owner["uid"].as_str() == uid))
    }

    /// Nothing of others is overwritten: it would be theirs no more, and go with the installation.
    async fn refuse_of_others(&self, object: &Value, there: Option<&Value>) -> Result<(), Trouble> {
        let is_others = match (there, object["kind"].as_str()) {
            (Some(there), _) => !self.is_ours(there),
            (None, Some("Deployment" | "StatefulSet" | "Job" | "Service" | "ConfigMap")) => {
                let found = self.ctx.api.find_any(object).await.map_err(unanswered)?;
                found.is_some_and(|found| !self.is_ours(&found))
            }
            // These two say only who may call, and how many may go at once.
            (None, _) => false,
        };
        if !is_others {
            return Ok(());
        }
        let (kind, name) = id_of(object);
        let text = format!(
            "{kind} {name:?} is there and is not of this installation: delete it or rename it, or give the installation another name"
        );
        Err(Trouble::new(Reason::ManifestImpossible, text))
    }

    /// Applies stage after stage, each when all before it are ready. Of those that wait it is only looked at what is there: a change goes
    /// through the installation in the order of the stages.
    pub async fn build(
        &self,
        stages: &[Stage],
        live: &Live,
        applied: &mut Applied,
        services: &mut Services,
    ) -> Result<(), Trouble> {
        let mut waits: Option<String> = None;
        let mut pods = None;
        for stage in stages {
            let is_held = waits.is_some();
            for object in &stage.objects {
                let of = id_of(object);
                let has_state = matches!(of.0.as_str(), "Deployment" | "StatefulSet" | "Job");
                let now = match (is_held, live.get(&of)) {
                    (false, _) => self.put(object, live, applied).await?,
                    (true, Some(there)) => there.clone(),
                    (true, None) => continue,
                };
                let message = match lacks(&now) {
                    Some(text) => {
                        if pods.is_none() {
                            // Where they cannot be listed, the sentence stands without what they say.
                            let list = self.ctx.api.pods(&self.key.namespace, &self.labels()).await;
                            pods = Some(list.unwrap_or_default());
                        }
                        Some(explained(object, &text, pods.as_deref().unwrap_or_default()))
                    }
                    None => None,
                };
                if let Some(text) = &message {
                    waits.get_or_insert_with(|| format!("stage {}: {}: {text}", stage.name, of.1));
                }
                if has_state {
                    let image = object.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str);
                    let (name, ready) = (of.1, message.is_none());
                    services.parts.push(Part { name, ready, image: image.map(str::to_owned), message });
                }
            }
        }
        waits.map_or(Ok(()), |text| Err(Trouble::new(Reason::PartsNotReady, text)))
    }

    /// Takes away the Deployments and ended Jobs that nobody wants any more. Nothing with a volume is ever taken away here.
    pub async fn prune(&self, stages: &[Stage], live: &Live) -> Result<(), Trouble> {
        let wanted: BTreeSet<Id> = stages.iter().flat_map(|stage| &stage.objects).map(id_of).collect();
        let is_over = |of: &Id, object: &Value| of.0 == "Deployment" || (of.0 == "Job" && lacks(object).is_none());
        let unwanted =
            live.iter().filter(|(of, object)| is_over(of, object) && !wanted.contains(of) && self.is_ours(object));
        for (of, object) in unwanted.filter(|_| !is_paused(self.installation)) {
            tracing::info!(installation = %self.key, kind = of.0, name = of.1, "nobody wants it any more: deleted");
            self.ctx.api.delete_any(object).await.map_err(not_written)?;
        }
        Ok(())
    }
}

/// The sentence, and what the pods of its part say.
fn explained(object: &Value, text: &str, pods: &[Pod]) -> String {
    let part = object["metadata"]["labels"][PART].as_str().unwrap_or_default();
    let of_part = pods.iter().filter(|pod| pod.labels().get(PART).is_some_and(|label| label == part));
    excuse(of_part).map_or_else(|| text.to_owned(), |why| format!("{text}; {why}"))
}

fn id_of(object: &Value) -> Id {
    (object["kind"].as_str().unwrap_or_default().to_owned(), name_of(object))
}

pub fn name_of(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

pub fn unanswered(error: kube::Error) -> Trouble {
    Trouble::new(Reason::ApiServer, format!("the API server did not say what is there: {error}"))
}

pub fn not_written(error: kube::Error) -> Trouble {
    Trouble::new(Reason::ApiServer, format!("the API server did not take a write: {error}"))
}
