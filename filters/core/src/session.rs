//! One client connection and its one upstream connection: frames in order, requests in flight, own requests, holds.
//!
//! # Driving a session
//! For bytes of the client call [`Session::handle_downstream`], for bytes of the broker
//! [`Session::handle_upstream`], each with a window on the host's buffer. Behind the call the buffer holds only finished
//! output, to be passed on. Then call [`Session::poll_action`] until it gives `None`. A fault ends both
//! connections; the session is not used again.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::api_versions::{self, Narrowing};
use crate::edits::Edits;
use crate::fault::{Fault, Protocol};
use crate::filter::{Chain, Direction, Filter, Message, Plan};
use crate::host::{Counter, Host};
use crate::protocol::{Api, ApiKey, api};
use crate::reader::Input;
use crate::stream::{self, Progress, Stream};
use crate::walker::{Event, REQUEST_HEAD_BYTES, RESPONSE_HEAD_BYTES, Walker};
use crate::window::{View, Window};

/// Bytes of a frame's size field.
const SIZE_BYTES: usize = 4;

/// What the driver has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Call [`Session::handle_downstream`] with what is in the client's buffer now and pass the result on: requests that
    /// were held may go, or an own request is to be sent.
    ResumeDownstream,
    /// An own request has been answered; the filters have seen the answer.
    OwnAnswered,
}

/// Whether the client's bytes were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The buffer holds finished output: pass it on.
    Forward,
    /// Requests are held: leave the buffer as it is and pass nothing on, so that the host stops reading in time.
    Stop,
}

/// A request whose answer has not begun.
#[derive(Debug)]
struct InFlight {
    correlation_id: i32,
    api: &'static Api,
    version: i16,
    plan: Plan,
    role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The client gets the answer.
    Client,
    /// The client gets an answer of ours in its place.
    Carried,
    /// The gateway asked.
    Own,
}

#[derive(Debug)]
enum State {
    /// At the first byte of a frame.
    Boundary,
    /// Inside a frame that nobody looks at.
    Pass { left: usize },
    /// Inside a frame that is dropped as it comes; when it is complete another takes its place: a carrier for a request
    /// that is answered here, the answer for the carrier's answer.
    Replace { left: usize },
    /// Collecting a frame of this many bytes.
    Whole { frame_bytes: usize },
    /// Looking at a frame's fields as it streams past.
    Stream(Box<Stream>),
}

/// One direction's bytes.
#[derive(Debug)]
struct Lane {
    /// Bytes taken out of the host's buffer: the beginning of a frame that is not complete, or held requests.
    carry: Vec<u8>,
    state: State,
    /// Of the frame that is being handled.
    current: Option<InFlight>,
    frames: u64,
}

impl Lane {
    fn new() -> Self {
        Lane { carry: Vec::new(), state: State::Boundary, current: None, frames: 0 }
    }

    fn at_boundary(&self) -> bool {
        matches!(self.state, State::Boundary)
    }
}

/// The state of one connection. See the module for how to drive it.
pub struct Session {
    chain: Rc<Chain>,
    filters: Vec<Box<dyn Filter>>,
    downstream: Lane,
    upstream: Lane,
    in_flight: VecDeque<InFlight>,
    own: VecDeque<InFlight>,
    own_frames: VecDeque<Vec<u8>>,
    /// Held requests may go or own requests wait: the driver has to call [`Session::handle_downstream`].
    resume: bool,
    own_answered: bool,
    /// Set by [`Session::hold`].
    held: bool,
    edits: Edits,
    /// Bytes booked with the chain.
    booked: usize,
    /// API and version of the message handled last, for logs.
    last: Option<(ApiKey, i16)>,
}

impl Session {
    /// A session for a new connection.
    #[must_use]
    pub fn new(chain: Rc<Chain>) -> Self {
        let filters = chain.connect();
        Session {
            chain,
            filters,
            downstream: Lane::new(),
            upstream: Lane::new(),
            in_flight: VecDeque::new(),
            own: VecDeque::new(),
            own_frames: VecDeque::new(),
            resume: false,
            own_answered: false,
            held: false,
            edits: Edits::default(),
            booked: 0,
            last: None,
        }
    }

    /// Takes the client's bytes.
    ///
    /// # Errors
    /// A fault closes both connections.
    pub fn handle_downstream(&mut self, window: &mut dyn Window, host: &mut dyn Host) -> Result<Flow, Fault> {
        self.resume = false;
        // A frame that has begun goes on: the answer that would end the wait may be its own.
        if self.blocked() && self.downstream.at_boundary() && self.own_frames.is_empty() {
            return Ok(Flow::Stop);
        }
        let mut view = View::new(core::mem::take(&mut self.downstream.carry), window);
        let hold = self.requests(&mut view, host)?;
        let passed = hold.unwrap_or(view.len());
        if let State::Stream(stream) = &mut self.downstream.state {
            stream.advance(passed)?;
        }
        self.downstream.carry = view.finish(hold)?;
        // What could go has gone.
        self.resume = false;
        self.account()?;
        Ok(Flow::Forward)
    }

    /// Takes the broker's bytes.
    ///
    /// # Errors
    /// A fault closes both connections.
    pub fn handle_upstream(&mut self, window: &mut dyn Window, host: &mut dyn Host) -> Result<(), Fault> {
        let was_blocked = self.blocked();
        let mut view = View::new(core::mem::take(&mut self.upstream.carry), window);
        let hold = self.responses(&mut view, host)?;
        let passed = hold.unwrap_or(view.len());
        if let State::Stream(stream) = &mut self.upstream.state {
            stream.advance(passed)?;
        }
        self.upstream.carry = view.finish(hold)?;
        self.account()?;
        if was_blocked && !self.blocked() {
            self.resume = true;
        }
        Ok(())
    }

    /// True between two bytes of a request that has been passed on in part.
    #[must_use]
    pub fn is_inside_request(&self) -> bool {
        !self.downstream.at_boundary()
    }

    /// The client will send no more.
    ///
    /// # Errors
    /// `Truncated` when it stopped inside a frame.
    pub fn handle_downstream_end(&self) -> Result<(), Fault> {
        let complete = self.downstream.at_boundary() && (self.downstream.carry.is_empty() || self.blocked());
        if complete { Ok(()) } else { Err(Fault::Truncated) }
    }

    /// The next thing the driver has to do.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        if core::mem::take(&mut self.own_answered) {
            return Some(Action::OwnAnswered);
        }
        core::mem::take(&mut self.resume).then_some(Action::ResumeDownstream)
    }

    /// Sends a request of the gateway's own as soon as the client's stream is between two frames. `frame` is complete
    /// and carries `correlation_id`. The filters see the answer, the client does not.
    ///
    /// # Errors
    /// `Internal` when the tables do not know the API.
    pub fn send(&mut self, key: ApiKey, version: i16, correlation_id: i32, frame: Vec<u8>) -> Result<(), Fault> {
        let api = api(key).ok_or(Fault::Internal("own request of an unknown API"))?;
        self.own.push_back(InFlight { correlation_id, api, version, plan: Plan::Whole, role: Role::Own });
        self.own_frames.push_back(frame);
        self.resume = true;
        Ok(())
    }

    /// Holds the client's requests from now on (true), or lets them go again (false).
    pub fn hold(&mut self, held: bool) {
        if self.held && !held {
            self.resume = true;
        }
        self.held = held;
    }

    /// API and version of the message that was being handled, for the log line of a fault.
    #[must_use]
    pub fn last_message(&self) -> Option<(ApiKey, i16)> {
        self.last
    }

    /// Bytes that are kept in memory for this connection.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.downstream.carry.len().saturating_add(self.upstream.carry.len())
    }

    /// Books the bytes that this connection keeps in memory.
    fn account(&mut self) -> Result<(), Fault> {
        let held = self.held_bytes();
        let before = core::mem::replace(&mut self.booked, held);
        self.chain.book(before, held)
    }

    fn blocked(&self) -> bool {
        self.held || self.in_flight.len() >= self.chain.limits().in_flight_max as usize
    }

    /// Handles requests as far as they are there. Gives the offset from which on bytes stay with us.
    fn requests(&mut self, view: &mut View<'_>, host: &mut dyn Host) -> Result<Option<usize>, Fault> {
        let mut at = 0usize;
        loop {
            match &mut self.downstream.state {
                State::Boundary => {
                    self.send_own(view, at, host);
                    let left = view.len().saturating_sub(at);
                    if left == 0 {
                        return Ok(None);
                    }
                    if left < SIZE_BYTES {
                        return Ok(Some(at));
                    }
                    let first = self.downstream.frames == 0;
                    let frame_bytes = self.frame_bytes(view, at, first, REQUEST_HEAD_BYTES)?;
                    if left < REQUEST_HEAD_BYTES || self.blocked() {
                        return Ok(Some(at));
                    }
                    self.begin_request(view, at, frame_bytes)?;
                    self.downstream.frames = self.downstream.frames.saturating_add(1);
                    host.count(Counter::Requests, 1);
                }
                State::Pass { left } => {
                    let step = view.len().saturating_sub(at).min(*left);
                    at = at.saturating_add(step);
                    *left = left.saturating_sub(step);
                    if *left > 0 {
                        return Ok(None);
                    }
                    self.downstream.state = State::Boundary;
                }
                State::Replace { left } => {
                    let end = view.len().min(at.saturating_add(*left));
                    *left = left.saturating_sub(end.saturating_sub(at));
                    let complete = *left == 0;
                    let carrier = if complete { self.carry_answer(host)? } else { Vec::new() };
                    view.replace(at..end, carrier);
                    at = end;
                    if !complete {
                        return Ok(None);
                    }
                }
                State::Whole { frame_bytes } => {
                    let end = at.saturating_add(*frame_bytes);
                    if end > view.len() {
                        return Ok(Some(at));
                    }
                    self.whole_request(view, at..end, host)?;
                    self.downstream.state = State::Boundary;
                    at = end;
                }
                State::Stream(stream) => {
                    let filters = &mut self.filters;
                    let mut on_event = |message: &Message, event: &Event<'_>, edits: &mut Edits| {
                        dispatch(filters, message, event, edits, host)
                    };
                    let held_max = self.chain.limits().held_bytes_max;
                    let progress = stream.run(view, held_max, &mut self.edits, &mut on_event)?;
                    let acks = stream.acks();
                    if let Some(acks) = acks {
                        // Produce with acks=0 has no answer.
                        if let Some(request) = self.downstream.current.take().filter(|_| acks != 0) {
                            self.in_flight.push_back(request);
                        }
                    }
                    match progress {
                        Progress::Done(end) => {
                            self.downstream.state = State::Boundary;
                            at = end;
                        }
                        Progress::Seen { at: seen, left } => {
                            self.downstream.state = State::Pass { left };
                            at = seen;
                        }
                        Progress::More(hold) => return Ok(hold),
                    }
                }
            }
        }
    }

    /// Decides what to do with a request from the first bytes of its frame.
    fn begin_request(&mut self, view: &mut View<'_>, at: usize, frame_bytes: usize) -> Result<(), Fault> {
        let head = view.slice(at..at.saturating_add(REQUEST_HEAD_BYTES))?;
        let &[_, _, _, _, k0, k1, v0, v1, c0, c1, c2, c3, ..] = head else {
            return Err(Fault::Internal("short request head"));
        };
        let key = ApiKey(i16::from_be_bytes([k0, k1]));
        let version = i16::from_be_bytes([v0, v1]);
        let correlation_id = i32::from_be_bytes([c0, c1, c2, c3]);
        self.last = Some((key, version));
        let Some((api, request_plan, plan)) = self.chain.plans(key, version) else {
            let api = api(key).filter(|api| api.key == ApiKey::API_VERSIONS);
            let api = api.ok_or(Fault::Unsupported { api_key: key, version })?;
            self.downstream.current =
                Some(InFlight { correlation_id, api, version: 0, plan: Plan::Whole, role: Role::Carried });
            self.downstream.state = State::Replace { left: frame_bytes };
            return Ok(());
        };
        let request = InFlight { correlation_id, api, version, plan, role: Role::Client };
        let message = Message { api, version, direction: Direction::Request, resizable: request_plan == Plan::Whole };
        match request_plan {
            Plan::Whole => {
                self.downstream.current = Some(request);
                self.collect_request(frame_bytes)?;
            }
            // Whether a Produce request is answered stands behind its transactional id.
            Plan::Pass | Plan::Head if key == ApiKey::PRODUCE => {
                self.downstream.current = Some(request);
                let walker = Walker::request(api, version, frame_bytes);
                let stream = Stream::new(walker, message, at, frame_bytes, request_plan)?;
                self.downstream.state = State::Stream(Box::new(stream));
            }
            Plan::Head => {
                self.in_flight.push_back(request);
                let walker = Walker::request(api, version, frame_bytes);
                let stream = Stream::new(walker, message, at, frame_bytes, request_plan)?;
                self.downstream.state = State::Stream(Box::new(stream));
            }
            Plan::Pass => {
                self.in_flight.push_back(request);
                self.downstream.state = State::Pass { left: frame_bytes };
            }
        }
        Ok(())
    }

    /// The request that carries an answer of ours, once the client's own request has been taken away.
    fn carry_answer(&mut self, host: &mut dyn Host) -> Result<Vec<u8>, Fault> {
        let request = self.downstream.current.take().ok_or(Fault::Internal("request without a head"))?;
        let carrier = api_versions::carrier(request.correlation_id);
        self.in_flight.push_back(request);
        self.downstream.state = State::Boundary;
        host.count(Counter::LocalAnswers, 1);
        Ok(carrier)
    }

    fn collect_request(&mut self, frame_bytes: usize) -> Result<(), Fault> {
        self.check_held(frame_bytes)?;
        self.downstream.state = State::Whole { frame_bytes };
        Ok(())
    }

    fn whole_request(
        &mut self,
        view: &mut View<'_>,
        range: core::ops::Range<usize>,
        host: &mut dyn Host,
    ) -> Result<(), Fault> {
        let request = self.downstream.current.take().ok_or(Fault::Internal("request without a head"))?;
        let message =
            Message { api: request.api, version: request.version, direction: Direction::Request, resizable: true };
        let frame = view.slice(range.clone())?.get(..range.len()).ok_or(Fault::Internal("short frame"))?;
        let walker = Walker::request(request.api, request.version, frame.len());
        let filters = &mut self.filters;
        let mut acks = None;
        let on_event = |message: &Message, event: &Event<'_>, edits: &mut Edits| {
            acks = acks.or(stream::acks(event));
            dispatch(filters, message, event, edits, host)
        };
        if let Some(frame) = walk_whole(walker, &message, frame, &mut self.edits, on_event)? {
            view.replace(range, frame);
        }
        // Produce with acks=0 has no answer.
        if acks != Some(0) {
            self.in_flight.push_back(request);
        }
        Ok(())
    }

    /// Handles responses as far as they are there. Gives the offset from which on bytes stay with us.
    fn responses(&mut self, view: &mut View<'_>, host: &mut dyn Host) -> Result<Option<usize>, Fault> {
        let mut at = 0usize;
        loop {
            match &mut self.upstream.state {
                State::Boundary => {
                    let left = view.len().saturating_sub(at);
                    if left == 0 {
                        return Ok(None);
                    }
                    if left < RESPONSE_HEAD_BYTES {
                        return Ok(Some(at));
                    }
                    let frame_bytes = self.frame_bytes(view, at, false, RESPONSE_HEAD_BYTES)?;
                    self.begin_response(view, at, frame_bytes)?;
                    self.upstream.frames = self.upstream.frames.saturating_add(1);
                    host.count(Counter::Responses, 1);
                }
                State::Pass { left } => {
                    let step = view.len().saturating_sub(at).min(*left);
                    at = at.saturating_add(step);
                    *left = left.saturating_sub(step);
                    if *left > 0 {
                        return Ok(None);
                    }
                    self.upstream.state = State::Boundary;
                }
                State::Replace { left } => {
                    let end = view.len().min(at.saturating_add(*left));
                    *left = left.saturating_sub(end.saturating_sub(at));
                    let complete = *left == 0;
                    let answer = if complete { self.carried_answer()? } else { Vec::new() };
                    view.replace(at..end, answer);
                    at = end;
                    if !complete {
                        return Ok(None);
                    }
                }
                State::Whole { frame_bytes } => {
                    let end = at.saturating_add(*frame_bytes);
                    if end > view.len() {
                        return Ok(Some(at));
                    }
                    self.whole_response(view, at..end, host)?;
                    self.upstream.state = State::Boundary;
                    at = end;
                }
                State::Stream(stream) => {
                    let filters = &mut self.filters;
                    let mut on_event = |message: &Message, event: &Event<'_>, edits: &mut Edits| {
                        dispatch(filters, message, event, edits, host)
                    };
                    let held_max = self.chain.limits().held_bytes_max;
                    match stream.run(view, held_max, &mut self.edits, &mut on_event)? {
                        Progress::Done(end) => {
                            self.upstream.state = State::Boundary;
                            at = end;
                        }
                        Progress::Seen { at: seen, left } => {
                            self.upstream.state = State::Pass { left };
                            at = seen;
                        }
                        Progress::More(hold) => return Ok(hold),
                    }
                }
            }
        }
    }

    /// Finds the request that a response answers and decides what to do with it.
    fn begin_response(&mut self, view: &mut View<'_>, at: usize, frame_bytes: usize) -> Result<(), Fault> {
        let head = view.slice(at..at.saturating_add(RESPONSE_HEAD_BYTES))?;
        let &[_, _, _, _, c0, c1, c2, c3, ..] = head else {
            return Err(Fault::Internal("short response head"));
        };
        let got = i32::from_be_bytes([c0, c1, c2, c3]);
        let request = self.in_flight.pop_front().ok_or(Fault::Unsolicited)?;
        self.last = Some((request.api.key, request.version));
        if got != request.correlation_id {
            return Err(Fault::Correlation { expected: request.correlation_id, got });
        }
        let message = Message {
            api: request.api,
            version: request.version,
            direction: Direction::Response,
            resizable: request.plan == Plan::Whole,
        };
        self.upstream.state = match request.plan {
            _ if request.role == Role::Carried => {
                self.upstream.current = Some(request);
                State::Replace { left: frame_bytes }
            }
            Plan::Pass => State::Pass { left: frame_bytes },
            Plan::Head => {
                let walker = Walker::response(request.api, request.version, frame_bytes);
                State::Stream(Box::new(Stream::new(walker, message, at, frame_bytes, Plan::Head)?))
            }
            Plan::Whole => {
                self.check_held(frame_bytes)?;
                self.upstream.current = Some(request);
                State::Whole { frame_bytes }
            }
        };
        Ok(())
    }

    /// Our answer, once the carrier's answer has been taken away.
    fn carried_answer(&mut self) -> Result<Vec<u8>, Fault> {
        let request = self.upstream.current.take().ok_or(Fault::Internal("response without a request"))?;
        self.upstream.state = State::Boundary;
        Ok(api_versions::refusal(&self.chain, request.correlation_id))
    }

    fn whole_response(
        &mut self,
        view: &mut View<'_>,
        range: core::ops::Range<usize>,
        host: &mut dyn Host,
    ) -> Result<(), Fault> {
        let request = self.upstream.current.take().ok_or(Fault::Internal("response without a request"))?;
        let frame = view.slice(range.clone())?.get(..range.len()).ok_or(Fault::Internal("short frame"))?;
        let is_api_versions = request.api.key == ApiKey::API_VERSIONS;
        let version =
            if is_api_versions { api_versions::response_version(frame, request.version) } else { request.version };
        let message = Message { api: request.api, version, direction: Direction::Response, resizable: true };
        let walker = Walker::response(request.api, version, frame.len());
        let filters = &mut self.filters;
        let chain = &self.chain;
        let mut narrowing = is_api_versions.then(Narrowing::default);
        let on_event = |message: &Message, event: &Event<'_>, edits: &mut Edits| {
            if let Some(narrowing) = &mut narrowing {
                narrowing.on_event(chain, event, edits)?;
            }
            dispatch(filters, message, event, edits, host)
        };
        let edited = walk_whole(walker, &message, frame, &mut self.edits, on_event)?;
        if request.role == Role::Own {
            view.replace(range, Vec::new());
            self.own_answered = true;
        } else if let Some(frame) = edited {
            view.replace(range, frame);
        }
        Ok(())
    }

    /// Puts the own requests that wait in front of the client's next frame.
    fn send_own(&mut self, view: &mut View<'_>, at: usize, host: &mut dyn Host) {
        while let (Some(request), Some(frame)) = (self.own.pop_front(), self.own_frames.pop_front()) {
            view.replace(at..at, frame);
            self.in_flight.push_back(request);
            host.count(Counter::OwnRequests, 1);
        }
    }

    /// The size of the frame at `at`, its size field included, as soon as four bytes are there.
    fn frame_bytes(&self, view: &mut View<'_>, at: usize, first: bool, least: usize) -> Result<usize, Fault> {
        let head = view.slice(at..at.saturating_add(SIZE_BYTES))?;
        let &[a, b, c, d, ..] = head else { return Err(Fault::Internal("short size field")) };
        let size = i32::from_be_bytes([a, b, c, d]);
        let max = self.chain.limits().frame_bytes_max;
        let fits = u32::try_from(size).ok().filter(|size| *size <= max);
        let Some(size) = fits else {
            return Err(match sniff([a, b, c, d]).filter(|_| first) {
                Some(protocol) => Fault::NotKafka(protocol),
                None if size < 0 => Fault::Malformed { field: "size", at: 0 },
                None => {
                    Fault::Limit { limit: "frameBytesMax", max: u64::from(max), got: u64::from(size.unsigned_abs()) }
                }
            });
        };
        let frame_bytes = (size as usize).saturating_add(SIZE_BYTES);
        if frame_bytes < least { Err(Fault::Malformed { field: "size", at: 0 }) } else { Ok(frame_bytes) }
    }

    fn check_held(&self, frame_bytes: usize) -> Result<(), Fault> {
        let max = self.chain.limits().held_bytes_max;
        if frame_bytes > max as usize {
            let got = u64::try_from(frame_bytes).unwrap_or(u64::MAX);
            return Err(Fault::Limit { limit: "heldBytesMax", max: u64::from(max), got });
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.chain.book(self.booked, 0);
    }
}

/// Walks a complete frame; gives the new frame when something changed.
fn walk_whole(
    mut walker: Walker,
    message: &Message,
    frame: &[u8],
    edits: &mut Edits,
    mut on_event: impl FnMut(&Message, &Event<'_>, &mut Edits) -> Result<(), Fault>,
) -> Result<Option<Vec<u8>>, Fault> {
    edits.clear();
    loop {
        let event = walker.next(Input { bytes: frame, base: 0 })?;
        let event = event.ok_or(Fault::Internal("walker wants more than the whole frame"))?;
        on_event(message, &event, edits)?;
        if matches!(event, Event::End) {
            break;
        }
    }
    if edits.is_empty() {
        return Ok(None);
    }
    let mut frame = edits.apply(frame, 0, walker.tag_sizes())?;
    let size = frame.len().checked_sub(SIZE_BYTES).and_then(|size| i32::try_from(size).ok());
    let size = size.ok_or(Fault::Internal("frame too large to write"))?;
    let field = frame.get_mut(..SIZE_BYTES).ok_or(Fault::Internal("frame without a size"))?;
    field.copy_from_slice(&size.to_be_bytes());
    Ok(Some(frame))
}

fn dispatch(
    filters: &mut [Box<dyn Filter>],
    message: &Message,
    event: &Event<'_>,
    edits: &mut Edits,
    host: &mut dyn Host,
) -> Result<(), Fault> {
    filters.iter_mut().try_for_each(|filter| filter.on_event(message, event, edits, host))
}

/// Other protocols, told by the bytes that would be the size of the first frame.
fn sniff(head: [u8; SIZE_BYTES]) -> Option<Protocol> {
    const METHODS: [&[u8; SIZE_BYTES]; 9] =
        [b"GET ", b"POST", b"PUT ", b"HEAD", b"OPTI", b"DELE", b"CONN", b"PATC", b"PRI "];
    if let [0x16, 0x03, ..] = head {
        return Some(Protocol::Tls);
    }
    METHODS.contains(&&head).then_some(Protocol::Http)
}
