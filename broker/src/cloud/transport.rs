//! HTTP as all drivers speak it: answers up to a bound, within the room that there is, and what it means when none comes.

use bytes::Bytes;
use tokio::time::timeout_at;

use super::{
    CloudError,
    room::{Held, Room},
};
use crate::address;

/// As much of a refusal is read as can hold its sentence.
const LARGEST_REFUSAL: usize = 64 << 10;

/// The body of an answer, which has its room as long as it is kept: of a success all, if it has no more than `longest` bytes; of a refusal
/// the beginning.
pub async fn body(
    what: &str,
    answer: &mut reqwest::Response,
    longest: usize,
    room: &Room,
) -> Result<Bytes, CloudError> {
    // Not "invalid": the call was carried out, and what came of it could not be read.
    let unread = |why: &str| Err(CloudError::Transient(format!("{what}: {why}")));
    let too_large = format!("the answer is larger than {longest} bytes");
    let no_room = "the other answers are so large that there was no room for this one";
    let success = answer.status().is_success();
    let (mut body, mut held) = (Vec::new(), Held::default());
    if let Some(length) = answer.content_length().and_then(|n| usize::try_from(n).ok()).filter(|_| success) {
        if length > longest {
            return unread(&too_large);
        }
        if !room.fit(&mut held, length).await {
            return unread(no_room);
        }
        body.reserve_exact(length);
    }
    loop {
        let chunk = match held.until() {
            Some(until) => timeout_at(until, answer.chunk()).await,
            None => Ok(answer.chunk().await),
        };
        let Ok(chunk) = chunk else { return unread("the answer comes too slowly for its length") };
        let Some(chunk) = chunk.map_err(|e| failed(what, &e))? else { break };
        let length = body.len() + chunk.len();
        if !success && length > LARGEST_REFUSAL {
            body.extend_from_slice(&chunk[..LARGEST_REFUSAL - body.len()]);
            break;
        }
        if length > longest {
            return unread(&too_large);
        }
        if !room.grow(&mut held, length, longest).await {
            return unread(no_room);
        }
        // To its room and not to twice what there is.
        if length > body.capacity() {
            body.reserve_exact(length.max(held.bytes().min(longest)) - body.len());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Bytes::from_owner(Kept { body, _room: held }))
}

/// A body with its room.
struct Kept {
    body: Vec<u8>,
    _room: Held,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

/// The meaning of a request that got no answer.
pub fn failed(what: &str, error: &reqwest::Error) -> CloudError {
    if let Some(refusal) = address::refusal(error) {
        return refusal.clone().into();
    }
    let mut why = String::new();
    let mut source = std::error::Error::source(error);
    while let Some(deeper) = source {
        why = format!("{why}: {deeper}");
        source = deeper.source();
    }
    let said = format!("{error}{why}");
    // Not in the error itself: it has the address, and a host may be called so.
    if why.contains("certificate") {
        return CloudError::Invalid(format!(
            "{what}: {said}; where the site signs its certificates itself, give its CA in spec.openstack.caSecretRef"
        ));
    }
    CloudError::Transient(format!("{what}: {said}"))
}
