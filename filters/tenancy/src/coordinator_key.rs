//! FindCoordinator: whether a key names a group or a transaction stands beside it in the request, and nowhere in the answer.

use bifrost_core::edits::Edits;
use bifrost_core::fault::Fault;
use bifrost_core::walker::Value;

use crate::names::{Change, Names, Origin};
use crate::string_field::StringField;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
/// A share partition, `group:topic id:partition` (KIP-932). Brokers ask for those among themselves.
const SHARE: i8 = 2;

/// The keys of the request that is being walked.
#[derive(Default)]
pub(crate) struct CoordinatorKey {
    /// A group where the request does not say (version 0).
    key_type: i8,
    /// Up to version 3 the key stands before its type.
    waiting: Option<(StringField, String)>,
}

impl CoordinatorKey {
    pub(crate) fn key_type(&mut self, names: &Names, value: &Value<'_>, edits: &mut Edits) -> Result<(), Fault> {
        self.key_type = value.number().and_then(|n| i8::try_from(n).ok()).unwrap_or(-1);
        self.end(names, edits)
    }

    /// A key whose type follows.
    pub(crate) fn wait(&mut self, field: StringField, key: &str) {
        self.waiting = Some((field, key.to_owned()));
    }

    pub(crate) fn rename(&self, names: &Names, field: &StringField, key: &str, edits: &mut Edits) -> Result<(), Fault> {
        match self.key_type {
            GROUP => field.change(&names.groups.physical(), edits),
            TRANSACTION => field.change(&names.transactions.physical(), edits),
            // With one colon more it is no key at all, and the broker answers INVALID_REQUEST for it.
            SHARE => field.set(Some(&format!("{key}:")), edits),
            // Unknown to every broker.
            _ => Ok(()),
        }
    }

    pub(crate) fn end(&mut self, names: &Names, edits: &mut Edits) -> Result<(), Fault> {
        match self.waiting.take() {
            Some((field, key)) => self.rename(names, &field, &key, edits),
            None => Ok(()),
        }
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
        Ok(SHARE) => {
            field.set(Some(key.strip_suffix(':').unwrap_or(key)), edits)?;
            return Ok(true);
        }
        _ => Origin::Own(Change::NONE),
    };
    match origin {
        Origin::Own(change) => field.change(&change, edits).map(|()| true),
        Origin::Refused { .. } | Origin::Foreign => Ok(false),
    }
}
