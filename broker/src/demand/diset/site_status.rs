//! The status of each site from DIRAC's ResourceStatus: the site mask.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Client, DisetError};

/// Who answers for a status: DIRAC's own word for nobody in particular, so that people and policies may change it at any time.
const OWNER: &str = "rs_svc";

/// What became of a site that was to be entered into the site mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It is Active now.
    Made,
    /// It had this status, which stays.
    Had(String),
}

/// `ResourceStatus/ResourceStatus`. Anybody may ask it for statuses.
#[derive(Clone)]
pub struct ResourceStatus(Client);

impl ResourceStatus {
    /// A ResourceStatus at the other end of `client`.
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    /// The status of each site, for all VOs, as the Matcher reads it (`SiteStatus`, `ResourceStatusClient.selectStatusElement`).
    pub async fn sites(&self) -> Result<BTreeMap<String, String>, DisetError> {
        const METHOD: &str = "select";
        let asked = json!(["SiteStatus", {"VO": "all", "Meta": {"columns": ["Name", "Status", "VO"]}}]);
        let value = self.0.call(METHOD, &asked).await?;
        sites(&value).ok_or_else(|| DisetError::Garbage {
            url: self.0.url().to_string(),
            method: METHOD.to_owned(),
            what: "the statuses are not rows of a name and a status".to_owned(),
        })
    }

    /// Enters those of these sites that have no status into the site mask, as Active, as `dirac-rss-sync` does. What anybody has set
    /// stays. Needs SiteManager; reading needs nothing.
    pub async fn enter(&self, names: &BTreeSet<String>, reason: &str) -> Result<BTreeMap<String, Entry>, DisetError> {
        let had = self.sites().await?;
        let mut entries = BTreeMap::new();
        for name in names {
            if let Some(status) = had.get(name) {
                entries.insert(name.clone(), Entry::Had(status.clone()));
                continue;
            }
            // A site that somebody else has entered by now stays as they entered it.
            let row = json!({
                "Name": name, "StatusType": "all", "VO": "all", "ElementType": "Site", "Status": "Active", "Reason": reason,
                "TokenOwner": OWNER,
            });
            self.0.call("addIfNotThere", &json!(["SiteStatus", row])).await?;
            entries.insert(name.clone(), Entry::Made);
        }
        Ok(entries)
    }
}

/// The rows of an answer; where a site has several, the last one counts, as it does for DIRAC.
fn sites(value: &Value) -> Option<BTreeMap<String, String>> {
    let text = |row: &[Value], column: usize| row.get(column)?.as_str().map(str::to_owned);
    value.as_array()?.iter().map(|row| row.as_array().and_then(|row| Some((text(row, 0)?, text(row, 1)?)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_names_and_statuses_are_read_and_others_are_not_taken_for_none() {
        let read = sites(&json!([["CLOUD.Lyon.fr", "Banned", "all"], ["CLOUD.Lyon.fr", "Active", "all"]]));
        assert_eq!(read, Some(BTreeMap::from([("CLOUD.Lyon.fr".to_owned(), "Active".to_owned())])));
        assert_eq!(sites(&json!([])), Some(BTreeMap::new()));
        for odd in [json!({}), json!(null), json!([["CLOUD.Lyon.fr"]]), json!([[1, 2]]), json!(["x"])] {
            assert_eq!(sites(&odd), None, "{odd}");
        }
    }
}
