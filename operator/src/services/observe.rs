//! What the API server says of the objects of an installation: does each do what it is for, and if not, why not? Pure.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use serde_json::Value;

/// The longest explanation of one part.
const LONGEST: usize = 300;

fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

/// Why this object, as it is now, is not ready; `None`: it is. Kinds that have nothing to become are ready once they are there.
pub fn lacks(object: &Value) -> Option<String> {
    match object["kind"].as_str().unwrap_or_default() {
        "Deployment" => replicas(object, "/status/availableReplicas"),
        "StatefulSet" => replicas(object, "/status/readyReplicas"),
        "Job" => job(object),
        _ => None,
    }
}

fn replicas(object: &Value, ready: &str) -> Option<String> {
    let wanted = number(object, "/spec/replicas");
    if number(object, "/status/observedGeneration") < number(object, "/metadata/generation") {
        return Some("its last change has not been seen by the cluster yet".to_owned());
    }
    let (updated, ready) = (number(object, "/status/updatedReplicas"), number(object, ready));
    let all = number(object, "/status/replicas");
    if ready < wanted {
        return Some(format!("{ready} of {wanted} pods are ready"));
    }
    if updated < wanted || all > wanted {
        return Some(format!("{updated} of {wanted} pods are of the last change"));
    }
    None
}

fn job(object: &Value) -> Option<String> {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array).map(Vec::as_slice);
    let has = |type_: &str| conditions.unwrap_or_default().iter().find(|c| c["type"] == type_ && c["status"] == "True");
    if has("Complete").is_some() {
        return None;
    }
    match has("Failed") {
        Some(failed) => Some(format!(
            "it failed for good ({}); delete the Job to have it tried again",
            failed["message"].as_str().unwrap_or("without a message")
        )),
        None => Some("it has not ended yet".to_owned()),
    }
}

/// What the pods of a part say of why they do not run: the first that says something.
pub fn excuse<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> Option<String> {
    let said = pods.into_iter().find_map(|pod| {
        let status = pod.status.as_ref()?;
        let unscheduled = status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False");
        let containers =
            || status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
        unscheduled
            .map(|c| format!("no node takes the pod: {}", c.message.as_deref().unwrap_or("nothing is said")))
            .or_else(|| containers().find_map(waits))
            .or_else(|| containers().find_map(ended))
            .or_else(|| status.init_container_statuses.iter().flatten().find_map(prepares))
    });
    said.map(|text| crate::conditions::clip(&text, LONGEST))
}

/// A container that prepares the pod and has not ended: its log says what it waits for.
fn prepares(container: &ContainerStatus) -> Option<String> {
    container.state.as_ref()?.running.as_ref()?;
    Some(format!("container {} prepares the pod and has not ended", container.name))
}

/// A container that waits for something else than its turn.
fn waits(container: &ContainerStatus) -> Option<String> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref().unwrap_or_default();
    if matches!(reason, "" | "PodInitializing" | "ContainerCreating") {
        return None;
    }
    let last = ended(container).map(|text| format!("; {text}")).unwrap_or_default();
    let message = waiting.message.as_deref().map(|m| format!(": {m}")).unwrap_or_default();
    Some(format!("container {}: {reason}{message}{last}", container.name))
}

/// How a container ended the last time, where it did not end well.
fn ended(container: &ContainerStatus) -> Option<String> {
    let ended = |state: Option<&k8s_openapi::api::core::v1::ContainerState>| {
        state.and_then(|s| s.terminated.clone()).filter(|t| t.exit_code != 0)
    };
    let last = ended(container.state.as_ref()).or_else(|| ended(container.last_state.as_ref()))?;
    let reason = last.reason.unwrap_or_default();
    let message = last.message.map(|m| format!(": {}", m.trim())).unwrap_or_default();
    Some(format!("container {} ended with code {} ({reason}){message}", container.name, last.exit_code))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(status: Value) -> Value {
        json!({"kind": "Deployment", "metadata": {"generation": 3}, "spec": {"replicas": 2}, "status": status})
    }

    #[test]
    fn a_deployment_is_ready_when_all_pods_of_its_last_change_are() {
        let ready = json!({"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
        assert_eq!(lacks(&deployment(ready)), None);
        for (status, said) in [
            (
                json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}),
                "has not been seen",
            ),
            (
                json!({"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1}),
                "1 of 2 pods are ready",
            ),
            (
                json!({"observedGeneration": 3, "replicas": 3, "updatedReplicas": 1, "availableReplicas": 2}),
                "1 of 2 pods are of the last",
            ),
            (
                json!({"observedGeneration": 3, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 3}),
                "of the last change",
            ),
            (json!({}), "has not been seen"),
        ] {
            let lacks = lacks(&deployment(status)).unwrap();
            assert!(lacks.contains(said), "{lacks}");
        }
    }

    #[test]
    fn a_job_is_ready_when_it_is_complete_and_says_why_it_failed() {
        let job = |conditions: Value| lacks(&json!({"kind": "Job", "status": {"conditions": conditions}}));
        assert_eq!(job(json!([{"type": "Complete", "status": "True"}])), None);
        assert_eq!(job(json!([])).unwrap(), "it has not ended yet");
        let failed = job(json!([{"type": "Failed", "status": "True", "message": "BackoffLimitExceeded"}])).unwrap();
        assert!(failed.contains("BackoffLimitExceeded") && failed.contains("delete the Job"), "{failed}");
    }

    #[test]
    fn a_pod_says_why_it_does_not_run() {
        let pod = |status: Value| -> Pod { serde_json::from_value(json!({"status": status})).unwrap() };
        let waiting = pod(json!({"containerStatuses": [{
            "name": "dirac", "image": "", "imageID": "", "ready": false, "restartCount": 4,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": "no database"}},
        }]}));
        let said = excuse(&[pod(json!({})), waiting]).unwrap();
        assert!(said.contains("CrashLoopBackOff") && said.contains("code 1 (Error): no database"), "{said}");
        let starting = pod(json!({"containerStatuses": [{
            "name": "dirac", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ContainerCreating"}},
        }]}));
        assert_eq!(excuse(&[starting]), None, "that passes");
        let preparing = pod(json!({"initContainerStatuses": [{
            "name": "convert", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"running": {}},
        }]}));
        assert_eq!(excuse(&[preparing]).unwrap(), "container convert prepares the pod and has not ended");
        let unscheduled =
            json!([{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: insufficient memory"}]);
        assert!(excuse(&[pod(json!({"conditions": unscheduled}))]).unwrap().contains("insufficient memory"));
    }
}
