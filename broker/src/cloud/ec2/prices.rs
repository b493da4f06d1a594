//! What an hour as Spot costs now.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::InstanceType;

use super::{
    client::Client,
    pages::Pages,
    tags::{MOST_VALUES, is},
};
use crate::cloud::{CloudError, pace::Action};

/// What Linux is called in the history of Spot prices, in a VPC and outside.
const LINUX: [&str; 2] = ["Linux/UNIX (Amazon VPC)", "Linux/UNIX"];
/// Pages that are read.
const MOST_PAGES: usize = 40;

/// The price of an hour as Spot now, in millionths, by type and zone.
pub async fn spot(
    client: &Client,
    names: &[&str],
    zones: &BTreeSet<&str>,
) -> Result<BTreeMap<(String, String), u64>, CloudError> {
    let (mut prices, mut newest) = (BTreeMap::new(), BTreeMap::new());
    let what = "read Spot prices";
    let now = aws_smithy_types::DateTime::from_secs(client.clock.now().as_second());
    for some in names.chunks(MOST_VALUES) {
        let mut pages = Pages::at_most(MOST_PAGES);
        while let Some(at) = pages.next() {
            let ask = client.apis().await?.ec2.describe_spot_price_history();
            let call = ask
                .set_instance_types(Some(some.iter().map(|name| InstanceType::from(*name)).collect()))
                .set_product_descriptions(Some(LINUX.map(str::to_owned).to_vec()))
                .filters(is("availability-zone", zones.iter().copied()))
                .start_time(now)
                .max_results(1_000)
                .set_next_token(at)
                .send();
            let answer = client.call(what, Action::Catalogue, call).await?;
            for price in answer.spot_price_history() {
                let (Some(flavor), Some(zone), Some(micros)) =
                    (price.instance_type(), price.availability_zone(), price.spot_price().and_then(micros))
                else {
                    continue;
                };
                if !some.contains(&flavor.as_str()) || !zones.contains(zone) {
                    continue;
                }
                let key = (flavor.as_str().to_owned(), zone.to_owned());
                let at = price.timestamp().map_or(0, |at| at.secs());
                if newest.get(&key).is_none_or(|before| at >= *before) {
                    newest.insert(key.clone(), at);
                    prices.insert(key, micros);
                }
            }
            pages.read(answer.next_token());
        }
        pages.whole(what)?;
    }
    Ok(prices)
}

/// A decimal number as millionths, rounded up; nothing for what is none.
fn micros(text: &str) -> Option<u64> {
    let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    if part.len() > 18 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits: String = part.chars().chain(std::iter::repeat('0')).take(6).collect();
    let more = part.bytes().skip(6).any(|b| b != b'0');
    let whole: u64 = whole.parse().ok()?;
    whole.checked_mul(1_000_000)?.checked_add(digits.parse().ok()?)?.checked_add(u64::from(more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_read_to_the_millionth_and_rounded_up() {
        assert_eq!(micros("0.031300"), Some(31_300));
        assert_eq!(micros("0.0000100001"), Some(11));
        assert_eq!((micros("12"), micros("1.5")), (Some(12_000_000), Some(1_500_000)));
        for odd in ["", "x", "-1", "1e3", "0,03", "1.2.3"] {
            assert_eq!(micros(odd), None, "{odd}");
        }
    }
}
