//! Requests: which plan one gets, whether it is answered here, and its place among those in flight.

use core::ops::Range;

use super::Session;
use super::frame::{Audience, frame_bytes, own_answer, walk_whole};
use super::lane::{InFlight, Role, State};
use crate::api_versions;
use crate::edits::Edits;
use crate::fault::Fault;
use crate::filter::{Direction, Message, Plan, Wishes};
use crate::host::{Counter, Host};
use crate::protocol::{ApiKey, api};
use crate::stream::{self, Stream};
use crate::walker::{Event, Listeners, REQUEST_HEAD_BYTES, SIZE_BYTES};
use crate::window::View;

impl Session {
    /// Decides what to do with a request from the first bytes of its frame. False when it cannot begin yet.
    pub(super) fn begin_request(&mut self, view: &mut View<'_>, at: usize, host: &mut dyn Host) -> Result<bool, Fault> {
        self.send_own(view, at, host);
        let left = view.len().saturating_sub(at);
        if left < SIZE_BYTES {
            return Ok(false);
        }
        let first = self.last.is_none();
        let frame_bytes = frame_bytes(self.chain.limits(), view, at, first, REQUEST_HEAD_BYTES)?;
        if left < REQUEST_HEAD_BYTES || self.held || self.gate.waits() {
            return Ok(false);
        }
        // What has come together with the request that led to the pause. Without room for it, the pause begins behind it.
        if self.pause.until_ms().is_some() && self.chain.has_room(left) {
            return Ok(false);
        }
        let head = view.slice(at..at.saturating_add(REQUEST_HEAD_BYTES))?;
        let &[_, _, _, _, k0, k1, v0, v1, c0, c1, c2, c3, ..] = head else {
            return Err(Fault::Internal("short request head"));
        };
        let key = ApiKey(i16::from_be_bytes([k0, k1]));
        let version = i16::from_be_bytes([v0, v1]);
        let correlation_id = i32::from_be_bytes([c0, c1, c2, c3]);
        if self.asks_before(key)? {
            self.send_own(view, at, host);
            return Ok(false);
        }
        self.last = Some((key, version));
        let Some((api, request_plan, plan)) = self.chain.plans(key, version) else {
            let api = api(key).filter(|api| api.key == ApiKey::API_VERSIONS);
            let api = api.ok_or(Fault::Unsupported { api_key: key, version })?;
            let role = Role::Carried(api_versions::refusal(&self.chain, correlation_id));
            let plan = Plan::Whole;
            self.downstream.current =
                Some(InFlight { correlation_id, api, version: 0, plan, role, heeded: false, memos: Vec::new() });
            self.downstream.state = State::Replace { left: frame_bytes };
            return Ok(true);
        };
        if self.chain.heeds_heads() && !self.show_request_head(view, at, (api, version, frame_bytes), host)? {
            return Ok(false);
        }
        let request =
            InFlight { correlation_id, api, version, plan, role: Role::Client, heeded: false, memos: Vec::new() };
        match request_plan {
            Plan::Whole => {
                self.chain.limits().check_held(frame_bytes)?;
                self.downstream.current = Some(request);
                self.downstream.state = State::Whole { frame_bytes };
            }
            Plan::Pass if key != ApiKey::PRODUCE => {
                self.admit(request, None, host);
                self.downstream.state = State::Pass { left: frame_bytes };
            }
            // Whether a Produce request is answered stands behind its transactional id.
            Plan::Pass | Plan::Head => {
                let message = Message {
                    api,
                    version,
                    direction: Direction::Request,
                    resizable: false,
                    holdable: false,
                    own: false,
                };
                self.downstream.current = Some(request);
                let layout = self.chain.layout(api, version, Direction::Request);
                let mut stream = self.chain.spare().stream(layout, message, at, frame_bytes, request_plan)?;
                stream.begin(view);
                self.downstream.state = State::Stream(stream);
            }
        }
        Ok(true)
    }

    /// A filter wants to hold a request that streams, of which nothing has been passed on: it is collected and seen again.
    pub(super) fn collect_request(&mut self, view: &mut View<'_>, stream: &Stream) -> Result<usize, Fault> {
        self.wishes = Wishes::default();
        self.filters.iter_mut().for_each(|filter| filter.forget());
        if let Some(request) = &mut self.downstream.current {
            request.memos.clear();
        }
        self.downstream.state = State::Whole { frame_bytes: stream.frame_bytes() };
        stream.take_back(view)
    }

    /// The request goes to the broker and waits for its answer; Produce with acks=0 has none.
    pub(super) fn admit(&mut self, request: InFlight, acks: Option<i16>, host: &mut dyn Host) {
        host.count(Counter::Requests, 1);
        if acks != Some(0) {
            self.answer_bytes = self.answer_bytes.saturating_add(request.held_bytes());
            self.in_flight.push_back(request);
        }
    }

    /// The request that carries an answer of ours, once the client's own request has been taken away.
    pub(super) fn carrier(&mut self, host: &mut dyn Host) -> Result<Vec<u8>, Fault> {
        let request = self.downstream.current.take().ok_or(Fault::Internal("request without a head"))?;
        let carrier = api_versions::carrier(request.correlation_id);
        self.admit(request, None, host);
        host.count(Counter::LocalAnswers, 1);
        Ok(carrier)
    }

    /// Handles a request that is complete. False when a filter holds it.
    pub(super) fn whole_request(
        &mut self,
        view: &mut View<'_>,
        range: Range<usize>,
        host: &mut dyn Host,
    ) -> Result<bool, Fault> {
        let mut request = self.downstream.current.take().ok_or(Fault::Internal("request without a head"))?;
        let (api, version) = (request.api, request.version);
        let message =
            Message { api, version, direction: Direction::Request, resizable: true, holdable: true, own: false };
        let frame = view.slice(range.clone())?.get(..range.len()).ok_or(Fault::Internal("short frame"))?;
        let layout = self.chain.layout(api, version, Direction::Request);
        let mut walker = self.chain.spare().walker(layout, frame.len());
        let mut acks = None;
        let mut audience = Audience {
            filters: &mut self.filters,
            host: &mut *host,
            principal: &self.principal,
            wishes: &mut self.wishes,
            memos: &mut request.memos,
        };
        let on_event = |message: &Message, listeners: Listeners, event: &Event<'_>, edits: &mut Edits| {
            acks = acks.or(stream::acks(event));
            audience.on_event(message, listeners, event, edits)
        };
        let edited = walk_whole(&mut walker, &message, frame, &mut self.edits, on_event)?;
        self.chain.spare().keep_walker(walker);
        let hold = core::mem::take(&mut self.wishes.hold);
        let answer = self.wishes.answer.take();
        self.grant()?;
        if hold {
            self.held = true;
            self.head_seen = self.chain.heeds_heads();
            return Ok(false);
        }
        match (answer, edited) {
            (Some(_), _) if acks == Some(0) => view.replace(range, Vec::new()),
            (Some(body), _) => {
                request.role = Role::Carried(own_answer(api, version, request.correlation_id, &body)?);
                request.plan = Plan::Whole;
                view.replace(range, api_versions::carrier(request.correlation_id));
                host.count(Counter::LocalAnswers, 1);
            }
            (None, Some(frame)) => view.replace(range, frame),
            (None, None) => {}
        }
        self.admit(request, acks, host);
        Ok(true)
    }

    /// Puts the own requests that wait in front of the client's next frame.
    fn send_own(&mut self, view: &mut View<'_>, at: usize, host: &mut dyn Host) {
        for (request, frame) in self.own.drain(..) {
            view.replace(at..at, frame);
            self.in_flight.push_back(request);
            host.count(Counter::OwnRequests, 1);
        }
    }
}
