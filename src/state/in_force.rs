//! The parameters that are in force at a height: the specification's, and what the chain itself changed of them.

use super::State;
use super::tables::{Change, ParameterRow, Parameters};
use crate::format::codec::NAME_BYTES_MAX;
use crate::format::model::{BODY_BYTES_MAX, CLOCK_ENTRIES_MAX, PAYLOAD_BYTES_MAX};
use crate::format::payload::ParameterValue;
use crate::format::spec::{Authority, ChainSpec, Limits, Parameter, Rules};

/// The parameters in force at a height that a block or a transaction is judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Sizes and counts.
    pub limits: Limits,
    /// What transactions and blocks must obey.
    pub rules: Rules,
    /// See [`Terms::block_time_us`](crate::format::spec::Terms::block_time_us).
    pub block_time_us: u64,
    /// See [`Terms::stake_min`](crate::format::spec::Terms::stake_min).
    pub stake_min: u64,
}

impl InForce {
    /// Those at `height`, which is at most one above the state's; without a state, each that the chain may change is as wide as
    /// the format allows, so that nothing is refused which only a state could refuse. O(changeable parameters).
    #[must_use]
    pub fn at(spec: &ChainSpec, state: Option<&State>, height: u64) -> Self {
        let spec = spec.at(height);
        let mut in_force = Self {
            limits: spec.limits.clone(),
            rules: spec.rules.clone(),
            block_time_us: spec.terms.block_time_us,
            stake_min: spec.terms.stake_min,
        };
        for parameter in &spec.terms.changeable {
            match state {
                Some(state) => {
                    if let Some(ParameterValue::Number(number)) =
                        state.parameter(*parameter, height)
                    {
                        in_force.set(*parameter, number);
                    }
                }
                None => in_force.widen(*parameter),
            }
        }
        in_force
    }

    /// Sets a parameter that is a number. One beyond its field is set to the field's end; no such change is ever approved.
    fn set(&mut self, parameter: Parameter, number: u64) {
        let (limits, rules) = (&mut self.limits, &mut self.rules);
        let short = u32::try_from(number).unwrap_or(u32::MAX);
        let byte = u8::try_from(number).unwrap_or(u8::MAX);
        match parameter {
            Parameter::BlockTimeUs => self.block_time_us = number,
            Parameter::TransactionsMax => limits.transactions_max = short,
            Parameter::BodyBytesMax => limits.body_bytes_max = short,
            Parameter::PayloadBytesMax => limits.payload_bytes_max = short,
            Parameter::NameBytesMax => limits.name_bytes_max = short,
            Parameter::ClockEntriesMax => limits.clock_entries_max = short,
            Parameter::WitnessesMax => limits.witnesses_max = byte,
            Parameter::FeeMin => rules.fee_min = number,
            Parameter::ClockDriftMaxUs => rules.clock_drift_max_us = number,
            Parameter::ClockAdvanceMax => rules.clock_advance_max = number,
            Parameter::WitnessesMin => rules.witnesses_min = byte,
            Parameter::StakeMin => self.stake_min = number,
            Parameter::Members => {}
        }
    }

    fn widen(&mut self, parameter: Parameter) {
        let widest = match parameter {
            Parameter::BodyBytesMax => BODY_BYTES_MAX as u64,
            Parameter::PayloadBytesMax => PAYLOAD_BYTES_MAX as u64,
            Parameter::NameBytesMax => NAME_BYTES_MAX as u64,
            Parameter::ClockEntriesMax => CLOCK_ENTRIES_MAX as u64,
            Parameter::FeeMin | Parameter::WitnessesMin | Parameter::StakeMin => 0,
            _ => u64::MAX,
        };
        self.set(parameter, widest);
    }

    /// What a parameter that is a number is; `None` of the members, which [`members`] tells.
    #[must_use]
    pub const fn number(&self, parameter: Parameter) -> Option<u64> {
        let (limits, rules) = (&self.limits, &self.rules);
        Some(match parameter {
            Parameter::BlockTimeUs => self.block_time_us,
            Parameter::TransactionsMax => limits.transactions_max as u64,
            Parameter::BodyBytesMax => limits.body_bytes_max as u64,
            Parameter::PayloadBytesMax => limits.payload_bytes_max as u64,
            Parameter::NameBytesMax => limits.name_bytes_max as u64,
            Parameter::ClockEntriesMax => limits.clock_entries_max as u64,
            Parameter::WitnessesMax => limits.witnesses_max as u64,
            Parameter::FeeMin => rules.fee_min,
            Parameter::ClockDriftMaxUs => rules.clock_drift_max_us,
            Parameter::ClockAdvanceMax => rules.clock_advance_max,
            Parameter::WitnessesMin => rules.witnesses_min as u64,
            Parameter::StakeMin => self.stake_min,
            Parameter::Members => return None,
        })
    }
}

/// The members that a chain has at `height`, at most two above the state's, where it changed them; `None` where they are the
/// specification's.
#[must_use]
pub fn members(spec: &ChainSpec, state: &State, height: u64) -> Option<Vec<Authority>> {
    let spec = spec.at(height);
    let first = match spec.composition().stake() {
        // What an earlier specification left for the first height of this one, or the next, counts no more.
        Some(_) => spec.first_height().saturating_add(2),
        None if spec.terms.changeable.contains(&Parameter::Members) => spec.first_height(),
        None => return None,
    };
    // What was in force before counts no more: the specification says itself what it goes on with.
    let (from, change) = state.parameter_row(Parameter::Members, height)?;
    match change.value {
        ParameterValue::Members(members) if from >= first => Some(members),
        ParameterValue::Members(_) | ParameterValue::Number(_) => None,
    }
}

impl State {
    /// What the chain changed a parameter to that is in force at `height`, under whatever specification; `None` where it never did.
    /// O(changes after `height`).
    #[must_use]
    pub fn parameter(&self, parameter: Parameter, height: u64) -> Option<ParameterValue> {
        self.parameter_row(parameter, height)
            .map(|(_, change)| change.value)
    }

    /// The row with the value in force at `height`, and the first height of that value.
    #[must_use]
    pub fn parameter_row(&self, parameter: Parameter, height: u64) -> Option<(u64, Change)> {
        self.parameter_changes(parameter)
            .find(|(from, _)| *from <= height)
    }

    /// The values that the chain changed a parameter to, the latest first, each with its first height. O(log rows) each.
    pub fn parameter_changes(
        &self,
        parameter: Parameter,
    ) -> impl Iterator<Item = (u64, Change)> + '_ {
        let last = self.value::<Parameters>(&Parameters::last_key(parameter));
        let mut next = match last {
            Some(ParameterRow::Last(from)) => from,
            _ => 0,
        };
        std::iter::from_fn(move || {
            let from = next;
            if from == 0 {
                return None;
            }
            let row = self.value::<Parameters>(&Parameters::key(parameter, from))?;
            let ParameterRow::Change(_, change) = row else {
                return None;
            };
            // Each is before the one that names it, or a damaged row could lead in a circle.
            next = match change.before < from {
                true => change.before,
                false => 0,
            };
            Some((from, change))
        })
    }
}
