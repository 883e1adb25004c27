//! FindCoordinator: whether a key names a group or a transaction stands beside it in the request, and nowhere in the answer.

use bifrost_core::edits::Edits;
use bifrost_core::fault::Fault;
use bifrost_core::walker::Value;

use crate::names::{Change, Names, Origin};
use crate::string_field::StringField;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// INVALID_REQUEST, also for key type 2, which is a share partition (KIP-932).
const INVALID_REQUEST: i16 = 42;

/// The keys of the request that is being walked.
#[derive(Default)]
pub(crate) struct CoordinatorKey {
    /// A group where the request does not say (version 0).
    key_type: i8,
    /// Up to version 3 the key stands before its type.
    waiting: Option<(StringField, String)>,
    /// Keys that are refused.
    pub(crate) refused: Vec<String>,
}

impl CoordinatorKey {
    pub(crate) fn key_type(&mut self, value: &Value<'_>) {
        self.key_type = value.number().and_then(|n| i8::try_from(n).ok()).unwrap_or(-1);
    }

    /// A key whose type follows.
    pub(crate) fn wait(&mut self, field: StringField, key: &str) {
        self.waiting = Some((field, key.to_owned()));
    }

    pub(crate) fn rename(
        &mut self,
        names: &Names,
        field: &StringField,
        key: &str,
        edits: &mut Edits,
    ) -> Result<(), Fault> {
        match self.key_type {
            GROUP => field.change(&names.groups.physical(), edits),
            TRANSACTION => field.change(&names.transactions.physical(), edits),
            // Brokers know no other types than these three, and ask for share partitions among themselves.
            _ => {
                self.refused.push(key.to_owned());
                Ok(())
            }
        }
    }

    /// The error code with which the request is refused.
    pub(crate) fn end(&mut self, names: &Names, edits: &mut Edits) -> Result<Option<i16>, Fault> {
        if let Some((field, key)) = self.waiting.take() {
            self.rename(names, &field, &key, edits)?;
        }
        Ok((!matches!(self.key_type, GROUP | TRANSACTION)).then_some(INVALID_REQUEST))
    }

    /// What the answer needs.
    pub(crate) fn memo(&self) -> u64 {
        u64::from(self.key_type.to_be_bytes()[0])
    }
}

/// Makes the key in an answer virtual again; false when it is not the tenant's.
pub(crate) fn restore(
    names: &Names,
    memo: u64,
    field: &StringField,
    key: &str,
    edits: &mut Edits,
) -> Result<bool, Fault> {
    let origin = match u8::try_from(memo).map(u8::cast_signed) {
        Ok(GROUP) => names.groups.origin(key),
        Ok(TRANSACTION) => names.transactions.origin(key),
        _ => Origin::Own(Change::NONE),
    };
    match origin {
        Origin::Own(change) => field.change(&change, edits).map(|()| true),
        Origin::Refused { .. } | Origin::Foreign => Ok(false),
    }
}
