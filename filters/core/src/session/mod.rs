//! One client connection and its one upstream connection: frames in order, requests in flight, own requests, holds.
//!
//! # Driving a session
//! For bytes of the client call [`Session::handle_downstream`], for bytes of the broker
//! [`Session::handle_upstream`], each with a window on the host's buffer. Behind the call the buffer holds only finished
//! output, to be passed on. Then call [`Session::poll_action`] until it gives `None`. A fault ends both
//! connections; the session is not used again.

mod collected;
mod frame;
mod gate;
mod lane;
mod pause;
mod request;
mod response;
mod spare;

use std::collections::VecDeque;
use std::rc::Rc;

use crate::edits::Edits;
use crate::fault::Fault;
use crate::filter::{Chain, Direction, Filter, Message, Plan, Question, Wishes};
use crate::host::Host;
use crate::principal::Principal;
use crate::protocol::{ApiKey, api};
use crate::stream::Progress;
use crate::walker::{Event, Listeners};
use crate::window::{View, Window};

pub(crate) use frame::walk_whole;
use frame::{Audience, own_request};
use gate::Gate;
use lane::{InFlight, Lane, Role, State};
use pause::Pause;
pub(crate) use spare::Spare;

/// Correlation id of the gateway's own requests. Answers are told by their order, so one is enough.
pub const OWN_CORRELATION_ID: i32 = 0x6269_6672;

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

/// The state of one connection. See the module for how to drive it.
pub struct Session {
    chain: Rc<Chain>,
    filters: Vec<Box<dyn Filter>>,
    downstream: Lane,
    upstream: Lane,
    in_flight: VecDeque<InFlight>,
    /// Bytes of the answers of ours that wait in `in_flight`.
    answer_bytes: usize,
    /// The gateway's own requests that wait for a place between two frames of the client.
    own: VecDeque<(InFlight, Vec<u8>)>,
    /// Held requests may go or own requests wait: the driver has to call [`Session::handle_downstream`].
    resume: bool,
    own_answered: bool,
    /// Set by [`Session::hold`].
    held: bool,
    gate: Gate,
    principal: Principal,
    pause: Pause,
    /// The filters have seen the head of the request that is held.
    head_seen: bool,
    edits: Edits,
    wishes: Wishes,
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
        let gate = if chain.first_questions().is_empty() { Gate::Open } else { Gate::Shut };
        Session {
            chain,
            filters,
            downstream: Lane::new(),
            upstream: Lane::new(),
            in_flight: VecDeque::new(),
            answer_bytes: 0,
            own: VecDeque::new(),
            resume: false,
            own_answered: false,
            held: false,
            gate,
            principal: Principal::default(),
            pause: Pause::default(),
            head_seen: false,
            edits: Edits::default(),
            wishes: Wishes::default(),
            booked: 0,
            last: None,
        }
    }

    /// Says who the client is, before its first byte.
    pub fn identify(&mut self, principal: Principal) {
        self.principal = principal;
    }

    /// Who the client is.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The connection has come; to be called once, before everything else.
    ///
    /// # Errors
    /// A fault closes the connection.
    pub fn handle_connection(&mut self, host: &mut dyn Host) -> Result<(), Fault> {
        self.filters.iter_mut().try_for_each(|filter| filter.on_connection(host))
    }

    /// Takes the client's bytes.
    ///
    /// # Errors
    /// A fault closes both connections.
    pub fn handle_downstream(&mut self, window: &mut dyn Window, host: &mut dyn Host) -> Result<Flow, Fault> {
        self.resume = false;
        // A pause ends by itself, so a frame that has begun can wait, too. Own requests do not.
        if (self.own.is_empty() || !self.downstream.at_boundary()) && self.pause.holds(host) {
            return Ok(Flow::Stop);
        }
        // A frame that has begun goes on: the answer that would end the wait may be its own.
        if self.blocked() && self.downstream.at_boundary() && self.own.is_empty() {
            return Ok(Flow::Stop);
        }
        let mut view = View::new(core::mem::take(&mut self.downstream.carry), window);
        let hold = self.run(Direction::Request, &mut view, host)?;
        let passed = hold.unwrap_or(view.len());
        if let State::Stream(stream) = &mut self.downstream.state {
            stream.advance(passed)?;
        }
        self.downstream.carry = view.finish(hold)?;
        // Requests that are held wait here: Envoy passes on all of its buffer or nothing, so what is behind a request that
        // goes cannot stay there.
        self.chain.limits().check_held(self.downstream.carry.len())?;
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
        let hold = self.run(Direction::Response, &mut view, host)?;
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

    /// True between two bytes of a request, whether or not the first of them have been passed on.
    #[must_use]
    pub fn is_inside_request(&self) -> bool {
        !self.downstream.at_boundary()
    }

    /// The client will send no more.
    ///
    /// # Errors
    /// `Truncated` when it stopped inside a frame.
    pub fn handle_downstream_end(&self) -> Result<(), Fault> {
        // What is not read yet lies in the host's buffer.
        if self.pause.until_ms().is_some() {
            return Ok(());
        }
        let complete = self.downstream.at_boundary() && (self.downstream.carry.is_empty() || self.blocked());
        if complete { Ok(()) } else { Err(Fault::Truncated) }
    }

    /// The next thing the driver has to do.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        if core::mem::take(&mut self.own_answered) {
            return Some(Action::OwnAnswered);
        }
        // Inside a frame nothing can be sent; its end comes with bytes of the client, and what waits goes then.
        (core::mem::take(&mut self.resume) && self.downstream.at_boundary()).then_some(Action::ResumeDownstream)
    }

    /// Sends a request of the gateway's own with this body as soon as the client's stream is between two frames. The filters
    /// see the answer, the client does not.
    ///
    /// # Errors
    /// `Internal` when the tables do not know the API.
    pub fn send(&mut self, key: ApiKey, version: i16, body: &[u8]) -> Result<(), Fault> {
        self.ask(key, version, body, Role::Own)?;
        self.resume = true;
        Ok(())
    }

    fn ask(&mut self, key: ApiKey, version: i16, body: &[u8], role: Role) -> Result<(), Fault> {
        let api = api(key).ok_or(Fault::Internal("own request of an unknown API"))?;
        let correlation_id = OWN_CORRELATION_ID;
        let frame = own_request(api, version, correlation_id, body)?;
        let request =
            InFlight { correlation_id, api, version, plan: Plan::Whole, role, heeded: false, memos: Vec::new() };
        self.own.push_back((request, frame));
        Ok(())
    }

    /// Until when the client is not read, as [`Host::now_ms`] tells the time. The driver has to call
    /// [`Session::handle_downstream`] then.
    #[must_use]
    pub fn paused_until_ms(&self) -> Option<u64> {
        self.pause.until_ms()
    }

    /// Does what filters have asked for while a message was walked through. Answers and holds are for whole requests, where
    /// they have been taken out already.
    fn grant(&mut self) -> Result<(), Fault> {
        let Wishes { answer, hold, release, pause_until_ms, own } = core::mem::take(&mut self.wishes);
        self.pause.extend(pause_until_ms);
        if answer.is_some() || hold {
            return Err(Fault::Internal("only a request that is seen whole can be answered or held"));
        }
        for Question { key, version, body } in own {
            self.send(key, version, &body)?;
        }
        if release {
            self.hold(false);
        }
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
        let lanes = self.downstream.held_bytes().saturating_add(self.upstream.held_bytes());
        lanes.saturating_add(self.answer_bytes)
    }

    /// Books the bytes that this connection keeps in memory.
    fn account(&mut self) -> Result<(), Fault> {
        let held = self.held_bytes();
        let before = core::mem::replace(&mut self.booked, held);
        self.chain.book(before, held)
    }

    /// Whether the client is not read for now. The number of requests in flight is looked at between callbacks only, so it may
    /// exceed its limit by what lies in Envoy's buffer.
    fn blocked(&self) -> bool {
        self.held || self.gate.waits() || self.in_flight.len() >= self.chain.limits().in_flight_max as usize
    }

    /// Handles one direction's frames as far as they are there. Gives the offset from which on bytes stay with us.
    fn run(&mut self, direction: Direction, view: &mut View<'_>, host: &mut dyn Host) -> Result<Option<usize>, Fault> {
        let mut at = 0usize;
        loop {
            let lane = match direction {
                Direction::Request => &mut self.downstream,
                Direction::Response => &mut self.upstream,
            };
            match &mut lane.state {
                State::Boundary => {
                    let begun = match direction {
                        Direction::Request => self.begin_request(view, at, host)?,
                        Direction::Response => self.begin_response(view, at, host)?,
                    };
                    if !begun {
                        return Ok((at < view.len()).then_some(at));
                    }
                }
                State::Pass { left } => {
                    let step = view.len().saturating_sub(at).min(*left);
                    at = at.saturating_add(step);
                    *left = left.saturating_sub(step);
                    if *left > 0 {
                        return Ok(None);
                    }
                    lane.state = State::Boundary;
                }
                State::Replace { left } => {
                    let end = view.len().min(at.saturating_add(*left));
                    *left = left.saturating_sub(end.saturating_sub(at));
                    if *left > 0 {
                        view.replace(at..end, Vec::new());
                        return Ok(None);
                    }
                    lane.state = State::Boundary;
                    let replacement = match direction {
                        Direction::Request => self.carrier(host)?,
                        Direction::Response => self.carried_answer()?,
                    };
                    view.replace(at..end, replacement);
                    at = end;
                }
                State::Whole { frame_bytes } => {
                    let end = at.saturating_add(*frame_bytes);
                    if end > view.len() {
                        return Ok(Some(at));
                    }
                    lane.state = State::Boundary;
                    match direction {
                        Direction::Request if !self.whole_request(view, at..end, host)? => continue,
                        Direction::Request => {}
                        Direction::Response => self.whole_response(view, at..end, host)?,
                    }
                    at = end;
                }
                State::Collect(_) => {
                    let end = self.collect_response(view, at, host)?;
                    if matches!(self.upstream.state, State::Collect(_)) {
                        return Ok(None);
                    }
                    at = end;
                }
                State::Stream(stream) => {
                    let mut none = Vec::new();
                    let memos = lane.current.as_mut().map_or(&mut none, |request| &mut request.memos);
                    let wishes = &mut self.wishes;
                    let mut audience = Audience {
                        filters: &mut self.filters,
                        host: &mut *host,
                        principal: &self.principal,
                        wishes,
                        memos,
                    };
                    let mut on_event =
                        |message: &Message, listeners: Listeners, event: &Event<'_>, edits: &mut Edits| {
                            audience.on_event(message, listeners, event, edits)
                        };
                    let has_room = self.chain.has_room(stream.frame_bytes());
                    let progress = stream.run(view, self.chain.limits(), has_room, &mut on_event)?;
                    let acks = stream.acks();
                    if self.wishes.hold && direction == Direction::Request && stream.is_holdable() {
                        let State::Stream(done) = core::mem::replace(&mut lane.state, State::Boundary) else {
                            return Err(Fault::Internal("a stream that is none"));
                        };
                        at = self.collect_request(view, &done)?;
                        self.chain.spare().keep_stream(done);
                        continue;
                    }
                    let next = match progress {
                        Progress::Done(end) => {
                            at = end;
                            State::Boundary
                        }
                        Progress::Seen { at: seen, left } => {
                            at = seen;
                            State::Pass { left }
                        }
                        Progress::More(hold) => return self.grant().map(|()| hold),
                    };
                    if let State::Stream(done) = core::mem::replace(&mut lane.state, next) {
                        self.chain.spare().keep_stream(done);
                    }
                    let current = lane.current.take();
                    if let (Direction::Request, Some(request)) = (direction, current) {
                        self.admit(request, acks, host);
                    }
                    self.grant()?;
                }
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.chain.book(self.booked, 0);
    }
}
