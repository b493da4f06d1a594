//! What an identity remembers: the access token, why there is no other, and the refresh token that is not kept.

use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::time::Instant;

use super::{super::hold::Hold, Access};
use crate::{clock::moment, cloud::CloudError};

#[derive(Default)]
pub struct State {
    pub access: Option<Arc<Access>>,
    /// Why there is no other, and until when nobody asks again.
    pub failed: Option<(Instant, CloudError)>,
    pub refusals: Hold,
    /// A refresh token that could not be kept, and the one that is kept in its place.
    pub not_kept: Option<Rotated>,
    /// The end that was said last, and whether it moves on with each use.
    pub end: Option<Timestamp>,
    pub end_moves: bool,
}

pub struct Rotated {
    pub old: SecretString,
    pub new: SecretString,
}

impl State {
    /// The answer to who asks for an access token that is not the `refused` one; `None`: the provider is to be asked.
    pub fn answer(&self, refused: Option<&Arc<Access>>) -> Option<Result<Arc<Access>, CloudError>> {
        let serves = self.access.as_ref().filter(|a| !a.is_over() && refused.is_none_or(|r| !Arc::ptr_eq(r, a)));
        if let Some(access) = serves.filter(|a| !a.is_old()) {
            return Some(Ok(access.clone()));
        }
        let (_, error) = self.failed.as_ref().filter(|(until, _)| moment() < *until)?;
        Some(serves.cloned().ok_or_else(|| error.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn while_no_other_is_to_be_had_an_access_token_serves_to_its_end_and_a_refused_one_never() {
        let access = Arc::new(Access::lasting("a", Some(Duration::from_secs(100))).unwrap());
        let mut state = State { access: Some(access.clone()), ..State::default() };
        let serves = |state: &State| matches!(state.answer(None), Some(Ok(a)) if Arc::ptr_eq(&a, &access));
        assert!(serves(&state) && state.answer(Some(&access)).is_none());
        tokio::time::advance(Duration::from_secs(95)).await;
        assert!(state.answer(None).is_none(), "it ends soon, so another is asked for");
        let later = moment() + Duration::from_secs(60);
        state.failed = Some((later, CloudError::Transient("down".to_owned())));
        assert!(serves(&state) && matches!(state.answer(Some(&access)), Some(Err(_))));
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(matches!(state.answer(None), Some(Err(CloudError::Transient(_)))), "it ended");
    }
}
