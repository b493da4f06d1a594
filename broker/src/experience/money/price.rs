//! In what a budget counts, and what an hour of a VM costs in it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// In what a budget counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Millionths of this currency, three letters of ISO 4217.
    Money(Arc<str>),
    /// Core-seconds, whatever they cost.
    CoreHours,
}

/// A price of an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Millionths of the currency.
    pub micros: u64,
    /// Three letters of ISO 4217.
    pub currency: Arc<str>,
}

/// Why it is not known what an hour costs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum NoRate {
    /// The flavor has no price.
    #[error("no price is known: name one in the cloud's spec.prices")]
    NoPrice,
    /// The price is in another currency, and nothing converts it.
    #[error("the price is in {price} and the budget in {budget}: name a price in {budget} in the cloud's spec.prices")]
    OtherCurrency {
        /// That of the price.
        price: Arc<str>,
        /// That of the budget.
        budget: Arc<str>,
    },
}

impl Unit {
    /// What an hour of a VM costs, in the smallest part of the unit.
    pub fn per_hour(&self, cores: u64, price: Option<&Price>) -> Result<u64, NoRate> {
        match (self, price) {
            (Self::CoreHours, _) => Ok(cores.saturating_mul(3_600)),
            (Self::Money(_), None) => Err(NoRate::NoPrice),
            (Self::Money(budget), Some(price)) if price.currency != *budget => {
                Err(NoRate::OtherCurrency { price: price.currency.clone(), budget: budget.clone() })
            }
            (Self::Money(_), Some(price)) => Ok(price.micros),
        }
    }

    /// What is paid is a multiple of this: a cent.
    pub fn grain(&self) -> u64 {
        match self {
            Self::Money(_) => 10_000,
            Self::CoreHours => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_that_is_missing_or_in_another_currency_is_said_and_not_zero() {
        let euro = Unit::Money("EUR".into());
        let price = |currency: &str| Price { micros: 50_000, currency: currency.into() };
        assert_eq!(euro.per_hour(8, Some(&price("EUR"))), Ok(50_000));
        assert_eq!(euro.per_hour(8, None), Err(NoRate::NoPrice));
        let other = euro.per_hour(8, Some(&price("CHF"))).unwrap_err().to_string();
        assert_eq!(other, "the price is in CHF and the budget in EUR: name a price in EUR in the cloud's spec.prices");
    }

    #[test]
    fn core_hours_need_no_price() {
        assert_eq!(Unit::CoreHours.per_hour(8, None), Ok(8 * 3_600));
    }
}
