//! Fetch sessions (KIP-227). Brokers keep them under a number and bind them to nothing: whoever guesses the number of another
//! tenant's session reads what is in it. So a connection may use the sessions that it was given, and no others.
//!
//! Hidden topic ids are kept out of sessions: the broker would go on answering for such an id after its topic has become the
//! tenant's.

use core::ops::Range;

use bifrost_core::edits::Edits;
use bifrost_core::walker::Value;

use crate::connection::Known;

/// FETCH_SESSION_ID_NOT_FOUND: the client goes on with a full fetch.
const NOT_FOUND: i16 = 70;

/// Epoch of a request that asks for an answer without a session.
const FINAL_EPOCH: i32 = -1;

/// Session and epoch of the request that is being walked.
#[derive(Default)]
pub(crate) struct FetchSession {
    id: Option<(Range<usize>, i32)>,
    epoch: Option<(Range<usize>, i32)>,
}

impl FetchSession {
    pub(crate) fn value(&mut self, value: &Value<'_>) {
        let number = value.number().and_then(|n| i32::try_from(n).ok()).map(|n| (value.range.clone(), n));
        if value.field.name == "SessionId" {
            self.id = number;
        } else {
            self.epoch = number;
        }
    }

    /// The error code with which the request is refused; `hidden`: one of its topic ids is.
    pub(crate) fn end(&mut self, known: &Known, hidden: bool, edits: &mut Edits) -> Option<i16> {
        let ((id_at, id), (epoch_at, epoch)) = (self.id.take()?, self.epoch.take()?);
        let own = id == 0 || known.sessions.contains(&id);
        if epoch > 0 {
            return (!own || hidden).then_some(NOT_FOUND);
        }
        if !own {
            // A full fetch would close the session that it names.
            edits.replace(id_at, vec![0; 4]);
        }
        if hidden && epoch != FINAL_EPOCH {
            edits.replace(epoch_at, FINAL_EPOCH.to_be_bytes().as_slice());
        }
        None
    }
}
