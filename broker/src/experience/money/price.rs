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

/// What an hour of a VM costs.
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
    /// Nothing names a price of the flavor.
    #[error("no price is known: name one in the cloud's spec.prices")]
    NoPrice,
    /// The price is in another currency, and nothing converts it.
    #[error("the price is in {price} and the budget in {budget}: name a price in {budget} in the cloud's spec.prices")]
    OtherCurrency {
        /// The currency of the price.
        price: Arc<str>,
        /// The currency of the budget.
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

    /// What this many seconds cost, in whole cents or whole core-seconds.
    pub fn cost(&self, per_hour: u64, seconds: u64) -> u64 {
        let exact = (u128::from(per_hour) * u128::from(seconds)).div_ceil(3_600);
        let grain = u128::from(self.grain());
        u64::try_from(exact.div_ceil(grain) * grain).unwrap_or(u64::MAX)
    }

    /// An amount for people, rounded up to cents, or to tenths of a core-hour: `12.34 EUR`, `7.5 core-hours`.
    pub fn amount(&self, amount: u64) -> String {
        match self {
            Self::Money(currency) => {
                let cents = amount.div_ceil(self.grain());
                format!("{}.{:02} {currency}", cents / 100, cents % 100)
            }
            Self::CoreHours => {
                let tenths = amount.div_ceil(360);
                format!("{}.{} core-hours", tenths / 10, tenths % 10)
            }
        }
    }

    /// The unit, and an amount in it: euros, or core-hours.
    pub fn number(&self, amount: u64) -> (&str, f64) {
        match self {
            Self::Money(currency) => (currency, amount as f64 / 1e6),
            Self::CoreHours => ("core-hours", amount as f64 / 3_600.0),
        }
    }

    /// What its smallest part is called.
    pub fn smallest(&self) -> String {
        match self {
            Self::Money(currency) => format!("millionths of {currency}"),
            Self::CoreHours => "core-seconds".to_owned(),
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
    fn an_amount_is_said_in_cents_and_in_tenths_of_core_hours() {
        let euro = Unit::Money("EUR".into());
        assert_eq!((euro.amount(0), euro.amount(12_340_001)), ("0.00 EUR".to_owned(), "12.35 EUR".to_owned()));
        assert_eq!(Unit::CoreHours.amount(7 * 3_600 + 1_800), "7.5 core-hours");
        assert_eq!(euro.number(12_340_000), ("EUR", 12.34));
        assert_eq!(Unit::CoreHours.number(7 * 3_600 + 1_800), ("core-hours", 7.5));
        assert_eq!((euro.cost(50_000, 1_800), Unit::CoreHours.cost(8 * 3_600, 10)), (30_000, 80));
    }

    #[test]
    fn core_hours_need_no_price() {
        assert_eq!(Unit::CoreHours.per_hour(8, None), Ok(8 * 3_600));
    }
}
