//! Responses: which request one answers, and what becomes of it.

use core::ops::Range;

use super::Session;
use super::collected::Collected;
use super::frame::{Audience, frame_bytes, walk_whole, write_size};
use super::lane::{Role, State};
use crate::edits::Edits;
use crate::fault::Fault;
use crate::filter::{Direction, Message, Plan};
use crate::host::{Counter, Host};
use crate::protocol::ApiKey;
use crate::walker::{Event, Listeners, RESPONSE_HEAD_BYTES, SIZE_BYTES, Walker};
use crate::window::View;

impl Session {
    /// Finds the request that a response answers and decides what to do with it. False when it cannot begin yet.
    pub(super) fn begin_response(
        &mut self,
        view: &mut View<'_>,
        at: usize,
        host: &mut dyn Host,
    ) -> Result<bool, Fault> {
        if view.len().saturating_sub(at) < RESPONSE_HEAD_BYTES {
            return Ok(false);
        }
        let frame_bytes = frame_bytes(self.chain.limits(), view, at, false, RESPONSE_HEAD_BYTES)?;
        host.count(Counter::Responses, 1);
        let head = view.slice(at..at.saturating_add(RESPONSE_HEAD_BYTES))?;
        let &[_, _, _, _, c0, c1, c2, c3, ..] = head else {
            return Err(Fault::Internal("short response head"));
        };
        let got = i32::from_be_bytes([c0, c1, c2, c3]);
        let mut request = self.in_flight.pop_front().ok_or(Fault::Unsolicited)?;
        self.answer_bytes = self.answer_bytes.saturating_sub(request.held_bytes());
        self.last = Some((request.api.key, request.version));
        if got != request.correlation_id {
            return Err(Fault::Correlation { expected: request.correlation_id, got });
        }
        let (api, version, mut plan) = (request.api, request.version, request.plan);
        if self.chain.heeds_heads() && matches!(request.role, Role::Client) {
            let heed = self.show_response_head((api, version, frame_bytes), host)?;
            request.heeded = heed != Plan::Pass;
            plan = plan.max(heed);
        }
        let heeded = request.heeded;
        self.upstream.state = match plan {
            _ if matches!(request.role, Role::Carried(_)) => State::Replace { left: frame_bytes },
            Plan::Pass => State::Pass { left: frame_bytes },
            Plan::Head => {
                let message = Message {
                    api,
                    version,
                    direction: Direction::Response,
                    resizable: false,
                    holdable: false,
                    own: false,
                };
                let layout = self.chain.answer_layout(api, version, heeded);
                State::Stream(self.chain.spare().stream(layout, message, at, frame_bytes, Plan::Head)?)
            }
            // The version of an ApiVersions answer is only known when it is there.
            Plan::Whole if api.key == ApiKey::API_VERSIONS || view.len().saturating_sub(at) >= frame_bytes => {
                self.chain.limits().check_held(frame_bytes)?;
                State::Whole { frame_bytes }
            }
            Plan::Whole => {
                let own = request.role.is_own();
                let message =
                    Message { api, version, direction: Direction::Response, resizable: true, holdable: false, own };
                let walker = Walker::new(self.chain.answer_layout(api, version, heeded), frame_bytes);
                State::Collect(Box::new(Collected::new(walker, message, frame_bytes)))
            }
        };
        self.upstream.current = Some(request);
        Ok(true)
    }

    /// Takes what has come of a response that is being collected; gives the offset behind it.
    pub(super) fn collect_response(
        &mut self,
        view: &mut View<'_>,
        at: usize,
        host: &mut dyn Host,
    ) -> Result<usize, Fault> {
        const LOST: Fault = Fault::Internal("response without a request");
        let State::Collect(mut collected) = core::mem::replace(&mut self.upstream.state, State::Boundary) else {
            return Err(LOST);
        };
        let request = self.upstream.current.as_mut().ok_or(LOST)?;
        let own = request.role.is_own();
        let mut audience = Audience {
            filters: &mut self.filters,
            host,
            principal: &self.principal,
            wishes: &mut self.wishes,
            memos: &mut request.memos,
        };
        let end = view.len().min(at.saturating_add(collected.missing()));
        let piece = view.slice(at..end)?.get(..end.saturating_sub(at)).ok_or(Fault::Internal("short piece"))?;
        collected.push(piece, self.chain.limits(), &mut |message, listeners, event, edits| {
            audience.on_event(message, listeners, event, edits)
        })?;
        if collected.missing() > 0 {
            view.replace(at..end, Vec::new());
            self.upstream.state = State::Collect(collected);
            return Ok(end);
        }
        let role = self.upstream.current.take().map(|request| request.role);
        self.grant()?;
        self.answered(role);
        view.replace(at..end, if own { Vec::new() } else { collected.finish()? });
        Ok(end)
    }

    /// Our answer, once the carrier's answer has been taken away.
    pub(super) fn carried_answer(&mut self) -> Result<Vec<u8>, Fault> {
        let request = self.upstream.current.take().ok_or(Fault::Internal("response without a request"))?;
        match request.role {
            Role::Carried(answer) => Ok(answer),
            Role::Client | Role::Own | Role::First => Err(Fault::Internal("answer of ours without a carrier")),
        }
    }

    /// All filters have seen the answer to a request of this role.
    fn answered(&mut self, role: Option<Role>) {
        match role {
            Some(Role::Own) => self.own_answered = true,
            Some(Role::First) => self.gate.answered(),
            Some(Role::Client | Role::Carried(_)) | None => {}
        }
    }

    /// Handles a response that is complete.
    pub(super) fn whole_response(
        &mut self,
        view: &mut View<'_>,
        range: Range<usize>,
        host: &mut dyn Host,
    ) -> Result<(), Fault> {
        let mut request = self.upstream.current.take().ok_or(Fault::Internal("response without a request"))?;
        let own = request.role.is_own();
        let (api, version) = (request.api, request.version);
        let frame = view.slice(range.clone())?.get(..range.len()).ok_or(Fault::Internal("short frame"))?;
        if api.key == ApiKey::API_VERSIONS && !own {
            let narrowed = self.chain.narrowed().narrowed(&self.chain, frame, version)?;
            let head = frame.get(SIZE_BYTES..RESPONSE_HEAD_BYTES).unwrap_or_default();
            let mut answer = Vec::with_capacity(narrowed.ours.len().saturating_add(RESPONSE_HEAD_BYTES));
            answer.extend_from_slice(&[0; SIZE_BYTES]);
            answer.extend_from_slice(head);
            answer.extend_from_slice(&narrowed.ours);
            write_size(&mut answer)?;
            self.filters.iter_mut().for_each(|filter| filter.on_broker_versions(&narrowed.broker));
            view.replace(range, answer);
            return Ok(());
        }
        let message = Message { api, version, direction: Direction::Response, resizable: true, holdable: false, own };
        let layout = self.chain.answer_layout(api, version, request.heeded);
        let mut walker = self.chain.spare().walker(layout, frame.len());
        let mut audience = Audience {
            filters: &mut self.filters,
            host,
            principal: &self.principal,
            wishes: &mut self.wishes,
            memos: &mut request.memos,
        };
        let on_event = |message: &Message, listeners: Listeners, event: &Event<'_>, edits: &mut Edits| {
            audience.on_event(message, listeners, event, edits)
        };
        let edited = walk_whole(&mut walker, &message, frame, &mut self.edits, on_event)?;
        self.chain.spare().keep_walker(walker);
        self.grant()?;
        self.answered(Some(request.role));
        if own {
            view.replace(range, Vec::new());
        } else if let Some(frame) = edited {
            view.replace(range, frame);
        }
        Ok(())
    }
}
