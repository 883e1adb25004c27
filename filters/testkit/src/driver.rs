//! Plays Envoy's part: feeds a connection bytes in pieces and collects what is passed on.

use bifrost_chain::{Connection, Step};
use bifrost_core::fault::Fault;
use bifrost_core::host::Host;
use bifrost_core::session::{Action, Flow, Session};
use bifrost_core::window::Window;

use crate::buffer::{Buffer, Calls};
use crate::host::FakeHost;

/// What can be driven.
pub trait Driven {
    /// What it tells the driver, but for the request to be resumed.
    type Told;

    /// Takes the client's bytes.
    ///
    /// # Errors
    /// A fault ends the connection.
    fn downstream(&mut self, window: &mut dyn Window, host: &mut dyn Host) -> Result<Flow, Fault>;

    /// Takes the broker's bytes.
    ///
    /// # Errors
    /// A fault ends the connection.
    fn upstream(&mut self, window: &mut dyn Window, host: &mut dyn Host) -> Result<(), Fault>;

    /// The next thing to do: `Ok` to resume the client's side.
    fn poll(&mut self, host: &mut dyn Host) -> Option<Result<(), Self::Told>>;

    /// Bytes that it keeps, where it tells.
    fn held_bytes(&self) -> usize;
}

impl Driven for Session {
    type Told = Action;

    fn downstream(&mut self, window: &mut dyn Window, host: &mut dyn Host) -> Result<Flow, Fault> {
        self.handle_downstream(window, host)
    }

    fn upstream(&mut self, window: &mut dyn Window, host: &mut dyn Host) -> Result<(), Fault> {
        self.handle_upstream(window, host)
    }

    fn poll(&mut self, _: &mut dyn Host) -> Option<Result<(), Action>> {
        match self.poll_action()? {
            Action::ResumeDownstream => Some(Ok(())),
            told @ Action::OwnAnswered => Some(Err(told)),
        }
    }

    fn held_bytes(&self) -> usize {
        Session::held_bytes(self)
    }
}

impl Driven for Connection {
    type Told = Step;

    fn downstream(&mut self, window: &mut dyn Window, host: &mut dyn Host) -> Result<Flow, Fault> {
        self.handle_downstream(window, host)
    }

    fn upstream(&mut self, window: &mut dyn Window, host: &mut dyn Host) -> Result<(), Fault> {
        self.handle_upstream(window, host)
    }

    fn poll(&mut self, _: &mut dyn Host) -> Option<Result<(), Step>> {
        match self.poll_step()? {
            Step::ResumeDownstream => Some(Ok(())),
            told @ Step::Asked => Some(Err(told)),
        }
    }

    fn held_bytes(&self) -> usize {
        0
    }
}

/// A connection between a client and a broker that both do what the test says.
pub struct Driver<D: Driven> {
    /// What is driven.
    pub driven: D,
    /// The process around it.
    pub host: FakeHost,
    /// The client's bytes that have not been taken.
    pub unread: Buffer,
    /// What the broker got.
    pub to_broker: Vec<u8>,
    /// What the client got.
    pub to_client: Vec<u8>,
    /// What the driven told.
    pub told: Vec<D::Told>,
    /// Host calls of the last call of [`Driver::client`].
    pub client_calls: Calls,
    /// Host calls of the last call of [`Driver::broker`].
    pub broker_calls: Calls,
    /// The most that was kept behind any call.
    pub held_bytes_max: usize,
}

impl<D: Driven> Driver<D> {
    /// Before the first byte.
    pub fn new(driven: D) -> Self {
        Driver {
            driven,
            host: FakeHost::default(),
            unread: Buffer::default(),
            to_broker: Vec::new(),
            to_client: Vec::new(),
            told: Vec::new(),
            client_calls: Calls::default(),
            broker_calls: Calls::default(),
            held_bytes_max: 0,
        }
    }

    /// The client sends `bytes`, which arrive at once.
    ///
    /// # Errors
    /// The fault that ends the connection.
    pub fn client(&mut self, bytes: &[u8]) -> Result<Flow, Fault> {
        self.unread.bytes.extend_from_slice(bytes);
        self.unread.calls = Calls::default();
        let flow = self.downstream()?;
        self.client_calls = self.unread.calls;
        self.poll()?;
        Ok(flow)
    }

    /// The broker sends `bytes`, which arrive at once.
    ///
    /// # Errors
    /// The fault that ends the connection.
    pub fn broker(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let mut buffer = Buffer::new(bytes);
        self.driven.upstream(&mut buffer, &mut self.host)?;
        self.broker_calls = buffer.calls;
        self.to_client.extend(buffer.bytes);
        self.poll()
    }

    /// The client sends `bytes` in pieces of these sizes, over and over.
    ///
    /// # Errors
    /// The fault that ends the connection.
    pub fn client_in(&mut self, sizes: &[usize], bytes: &[u8]) -> Result<(), Fault> {
        pieces(sizes, bytes).try_for_each(|piece| self.client(piece).map(drop))
    }

    /// The broker sends `bytes` in pieces of these sizes, over and over.
    ///
    /// # Errors
    /// The fault that ends the connection.
    pub fn broker_in(&mut self, sizes: &[usize], bytes: &[u8]) -> Result<(), Fault> {
        pieces(sizes, bytes).try_for_each(|piece| self.broker(piece))
    }

    /// Does what the driven asks for, as Envoy does behind every callback.
    ///
    /// # Errors
    /// The fault that ends the connection.
    pub fn poll(&mut self) -> Result<(), Fault> {
        while let Some(step) = self.driven.poll(&mut self.host) {
            match step {
                Ok(()) => drop(self.downstream()?),
                Err(told) => self.told.push(told),
            }
        }
        self.held_bytes_max = self.held_bytes_max.max(self.driven.held_bytes());
        Ok(())
    }

    fn downstream(&mut self) -> Result<Flow, Fault> {
        let before = self.unread.bytes.len();
        let flow = self.driven.downstream(&mut self.unread, &mut self.host)?;
        match flow {
            Flow::Forward => self.to_broker.append(&mut self.unread.bytes),
            Flow::Stop => assert_eq!(self.unread.bytes.len(), before, "a stopped buffer is left as it is"),
        }
        Ok(flow)
    }
}

/// `bytes` cut into pieces of these sizes, over and over; all at once without a size.
pub fn pieces<'a>(sizes: &'a [usize], mut bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = sizes.iter().cycle();
    core::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let size = sizes.next().map_or(bytes.len(), |size| (*size).clamp(1, bytes.len()));
        let (piece, rest) = bytes.split_at(size);
        bytes = rest;
        Some(piece)
    })
}
