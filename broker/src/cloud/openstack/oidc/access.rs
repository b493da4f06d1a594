//! An access token, and how long it serves.

use std::time::Duration;

use reqwest::header::HeaderValue;
use tokio::time::Instant;

use crate::{clock::moment, cloud::CloudError};

/// An access token is used until this long before its end, or a tenth of its life where that is shorter: it is used at once.
const RENEWED_BEFORE: Duration = Duration::from_secs(60);

/// An access token.
pub struct Access {
    /// The header that presents it; marked sensitive.
    pub header: HeaderValue,
    /// When it was got.
    pub since: Instant,
    renew: Option<Instant>,
    ends: Option<Instant>,
}

impl Access {
    /// A token that lasts this long; `None`: nobody said.
    pub fn lasting(token: &str, lasts: Option<Duration>) -> Result<Self, CloudError> {
        let mut header = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| CloudError::Invalid("the access token has characters that no token has".to_owned()))?;
        header.set_sensitive(true);
        let since = moment();
        let renew = lasts.map(|lasts| lasts - RENEWED_BEFORE.min(lasts / 10));
        let at = |lasts: Duration| since.checked_add(lasts);
        Ok(Self { header, since, renew: renew.and_then(at), ends: lasts.and_then(at) })
    }

    /// Whether another is to be asked for.
    pub fn is_old(&self) -> bool {
        self.renew.is_some_and(|at| moment() >= at)
    }

    /// Whether it serves no more.
    pub fn is_over(&self) -> bool {
        self.ends.is_some_and(|at| moment() >= at)
    }
}
