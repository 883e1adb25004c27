//! What the gateway has to know before the client's first request passes.

use std::rc::Rc;

use super::Session;
use super::lane::Role;
use crate::fault::Fault;
use crate::filter::Question;
use crate::protocol::ApiKey;

/// Whether requests of the client may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Only those by which a client logs in; at the first other one the gateway asks.
    Shut,
    /// None: so many questions wait for their answer.
    Asked(usize),
    /// All.
    Open,
}

impl Gate {
    pub(super) fn waits(self) -> bool {
        matches!(self, Gate::Asked(_))
    }

    /// One question has been answered, and no filter minded.
    pub(super) fn answered(&mut self) {
        *self = match *self {
            Gate::Asked(left @ 2..) => Gate::Asked(left.saturating_sub(1)),
            Gate::Asked(_) => Gate::Open,
            gate => gate,
        };
    }
}

impl Session {
    /// Whether a request of this API has to wait because of what is asked before it; the questions are in `own` then.
    pub(super) fn asks_before(&mut self, key: ApiKey) -> Result<bool, Fault> {
        let logs_in = matches!(key, ApiKey::API_VERSIONS | ApiKey::SASL_HANDSHAKE | ApiKey::SASL_AUTHENTICATE);
        if self.gate != Gate::Shut || logs_in {
            return Ok(false);
        }
        let chain = Rc::clone(&self.chain);
        for Question { key, version, body } in chain.first_questions() {
            self.ask(*key, *version, body, Role::First)?;
        }
        self.gate = Gate::Asked(chain.first_questions().len());
        Ok(true)
    }
}
