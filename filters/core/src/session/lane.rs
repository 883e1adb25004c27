//! One direction's bytes, and what is remembered of a request until its answer.

use crate::filter::Plan;
use crate::protocol::Api;
use crate::stream::Stream;

use super::collected::Collected;

/// A request whose answer has not begun.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) correlation_id: i32,
    pub(super) api: &'static Api,
    pub(super) version: i16,
    pub(super) plan: Plan,
    pub(super) role: Role,
    /// A filter wants to see more of the answer than its plan says.
    pub(super) heeded: bool,
    /// What each filter remembers of it; empty when no filter has seen it.
    pub(super) memos: Vec<u64>,
}

impl InFlight {
    /// Bytes that wait with it.
    pub(super) fn held_bytes(&self) -> usize {
        match &self.role {
            Role::Carried(answer) => answer.len(),
            Role::Client | Role::Own | Role::First => 0,
        }
    }
}

#[derive(Debug)]
pub(super) enum Role {
    /// The client gets the answer.
    Client,
    /// The client gets this answer of ours in place of the carrier's.
    Carried(Vec<u8>),
    /// The gateway asked.
    Own,
    /// The gateway asked before the client's first request, which waits for the answer.
    First,
}

impl Role {
    /// Whether the answer is the gateway's, and not for the client.
    pub(super) fn is_own(&self) -> bool {
        matches!(self, Role::Own | Role::First)
    }
}

#[derive(Debug)]
pub(super) enum State {
    /// At the first byte of a frame.
    Boundary,
    /// Inside a frame that nobody looks at.
    Pass { left: usize },
    /// Inside a frame that is dropped as it comes; when it is complete another takes its place: a carrier for a request
    /// that is answered here, the answer for the carrier's answer.
    Replace { left: usize },
    /// Collecting a frame of this many bytes.
    Whole { frame_bytes: usize },
    /// Collecting what is to be kept of a response.
    Collect(Box<Collected>),
    /// Looking at a frame's fields as it streams past.
    Stream(Box<Stream>),
}

/// One direction's bytes.
#[derive(Debug)]
pub(super) struct Lane {
    /// Bytes taken out of the host's buffer: the beginning of a frame that is not complete, or held requests.
    pub(super) carry: Vec<u8>,
    pub(super) state: State,
    /// Of the frame that is being handled.
    pub(super) current: Option<InFlight>,
}

impl Lane {
    pub(super) fn new() -> Self {
        Lane { carry: Vec::new(), state: State::Boundary, current: None }
    }

    /// Bytes that are kept of frames that are not complete.
    pub(super) fn held_bytes(&self) -> usize {
        let collected = match &self.state {
            State::Collect(collected) => collected.held_bytes(),
            _ => 0,
        };
        self.carry.len().saturating_add(collected)
    }

    pub(super) fn at_boundary(&self) -> bool {
        matches!(self.state, State::Boundary)
    }
}
