//! Whoever has the hash of a block, and is shown the rest.

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use hubledger::digest::BlockHash;
use hubledger::payload::ParameterValue;
use hubledger::proof::Proof;
use hubledger::spec::Parameter;
use hubledger::state::tables::{
    ParameterRow, Parameters, Registration, Registrations, Table, Tenure, Tenures,
};
use hubledger::state::{Account, TABLE_ACCOUNTS};

use crate::hub::Hub;

/// Somebody who has the hash of a block, and believes nothing that isn't proved against it.
pub(super) struct Client {
    pub(super) head: BlockHash,
}

impl Client {
    /// What was proved about a key; `None` if that is that there is nothing.
    fn value(&self, table: u8, key: &[u8], proof: &Bytes) -> anyhow::Result<Option<Bytes>> {
        let Proof::State(proof) = Proof::decode(proof)? else {
            bail!("a proof of something else");
        };
        let proven = proof.verify(&self.head)?;
        // Any proof that verifies is true, but it has to be about what was asked for.
        ensure!(
            proven.table == table && proven.key == key,
            "a proof of another row"
        );
        Ok(proven.value)
    }

    fn row<T: Table>(&self, hub: &Hub, key: &[u8]) -> anyhow::Result<Option<T::Value>> {
        let proof = hub.prove(T::NUMBER, key)?;
        let value = self.value(T::NUMBER, key, &proof)?;
        Ok(value.map(|bytes| T::decode(&bytes)).transpose()?)
    }

    /// The set of keys of this number that a name had: the latest is in its registration, each earlier one in a row of its own.
    pub(super) fn tenure(
        &self,
        hub: &Hub,
        name: &str,
        number: u32,
    ) -> anyhow::Result<Option<Tenure>> {
        match self.registration(hub, name)? {
            Some(one) if number + 1 == one.tenures => Ok(Some(one.latest)),
            Some(one) if number < one.tenures => {
                self.row::<Tenures>(hub, &Tenures::key(name, number))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn registration(
        &self,
        hub: &Hub,
        name: &str,
    ) -> anyhow::Result<Option<Registration>> {
        self.row::<Registrations>(hub, name.as_bytes())
    }

    /// The value that the chain gave a parameter from a height on.
    pub(super) fn changed(
        &self,
        hub: &Hub,
        parameter: Parameter,
        from: u64,
    ) -> anyhow::Result<ParameterValue> {
        let key = Parameters::key(parameter, from);
        match self.row::<Parameters>(hub, &key)? {
            Some(ParameterRow::Change(_, change)) => Ok(change.value),
            _ => bail!("{} didn't change at height {from}", parameter.word()),
        }
    }

    pub(super) fn account(&self, hub: &Hub, name: &str) -> anyhow::Result<Account> {
        let proof = hub.prove(TABLE_ACCOUNTS, name.as_bytes())?;
        let value = self.value(TABLE_ACCOUNTS, name.as_bytes(), &proof)?;
        Ok(Account::decode(&value.context("nothing is known of it")?)?)
    }
}
