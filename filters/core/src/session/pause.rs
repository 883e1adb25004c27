//! How messages begin, which filters may see of every one, and the pauses that they ask for.

use super::Session;
use crate::fault::Fault;
use crate::filter::{Direction, Head, PAUSE_MS_MAX, Plan};
use crate::host::Host;
use crate::protocol::Api;
use crate::walker::REQUEST_HEAD_BYTES;
use crate::window::View;

/// Bytes of a client id's length.
const LENGTH_BYTES: usize = 2;

/// Until when the client is not read; 0 when it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pause(u64);

impl Pause {
    /// Not before `until_ms`; 0 changes nothing.
    pub(super) fn extend(&mut self, until_ms: u64) {
        self.0 = self.0.max(until_ms);
    }

    pub(super) fn until_ms(self) -> Option<u64> {
        (self.0 > 0).then_some(self.0)
    }

    /// Whether it goes on. Looks at the clock only if there is one.
    pub(super) fn holds(&mut self, host: &mut dyn Host) -> bool {
        if self.0 > 0 && !(1..=PAUSE_MS_MAX).contains(&self.0.saturating_sub(host.now_ms())) {
            self.0 = 0;
        }
        self.0 > 0
    }
}

impl Session {
    /// Shows the filters how the request at `at` begins, once. False when its client id is not all there yet.
    pub(super) fn show_request_head(
        &mut self,
        view: &mut View<'_>,
        at: usize,
        (api, version, frame_bytes): (&'static Api, i16, usize),
        host: &mut dyn Host,
    ) -> Result<bool, Fault> {
        const SHORT: Fault = Fault::Internal("short client id");
        if core::mem::take(&mut self.head_seen) {
            return Ok(true);
        }
        let malformed = Fault::Malformed { field: "ClientId", at: REQUEST_HEAD_BYTES };
        let left = view.len().saturating_sub(at);
        let start = REQUEST_HEAD_BYTES.saturating_add(LENGTH_BYTES);
        if frame_bytes < start {
            return Err(malformed);
        }
        if left < start {
            return Ok(false);
        }
        let head = view.slice(at..at.saturating_add(start))?;
        let length = head.get(REQUEST_HEAD_BYTES..start).and_then(<[u8]>::first_chunk).ok_or(SHORT)?;
        let length = match i16::from_be_bytes(*length) {
            -1 => None,
            length => Some(usize::try_from(length).map_err(|_| malformed.clone())?),
        };
        let end = start.saturating_add(length.unwrap_or(0));
        if end > frame_bytes {
            return Err(malformed);
        }
        if left < end {
            return Ok(false);
        }
        let head = view.slice(at..at.saturating_add(end))?;
        let client_id = match length {
            Some(_) => Some(head.get(start..end).ok_or(SHORT)?),
            None => None,
        };
        let direction = Direction::Request;
        let head = Head { api, version, direction, frame_bytes, client_id, principal: &self.principal };
        for filter in &mut self.filters {
            let heed = filter.on_head(&head, host)?;
            self.pause.extend(heed.pause_until_ms);
        }
        Ok(true)
    }

    /// Shows the filters how an answer begins; gives how much of it they have to see beyond their plans.
    pub(super) fn show_response_head(
        &mut self,
        (api, version, frame_bytes): (&'static Api, i16, usize),
        host: &mut dyn Host,
    ) -> Result<Plan, Fault> {
        let direction = Direction::Response;
        let mut plan = Plan::Pass;
        let head = Head { api, version, direction, frame_bytes, client_id: None, principal: &self.principal };
        for filter in &mut self.filters {
            let heed = filter.on_head(&head, host)?;
            plan = plan.max(heed.plan);
            self.pause.extend(heed.pause_until_ms);
        }
        Ok(plan)
    }
}
