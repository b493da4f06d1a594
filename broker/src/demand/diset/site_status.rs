//! The status of each site from DIRAC's ResourceStatus: the site mask.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Client, DisetError};

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
