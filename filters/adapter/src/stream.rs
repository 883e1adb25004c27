//! One connection of a client, or of the gateway's own that asks for the nodes.

use std::cell::RefCell;
use std::rc::Rc;

use bifrost_chain::{
    Arrival, CertificateName, ClientCertificate, Closing, Connection, Node, Route, Step, VirtualCluster,
};
use bifrost_core::fault::Fault;
use bifrost_core::session::Flow;
use bifrost_core::window::Window;
use proxy_wasm::traits::{Context, StreamContext};
use proxy_wasm::types::{Action, PeerType};

use crate::host::{self, Buffer, BufferType, Level};
use crate::metrics::NO_ADDRESS;
use crate::worker::Worker;

/// What the question for the nodes gets for an answer: see [`Worker`].
const ASKED: &[u8] = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// One connection as Envoy calls it.
pub(crate) struct Callbacks(Rc<RefCell<Stream>>);

/// One connection.
pub(crate) struct Stream {
    context_id: u32,
    worker: Rc<Worker>,
    /// `None` once the connection is being closed.
    connection: Option<Connection>,
    /// Where it goes has been decided, as far as that can be done.
    routed: bool,
    /// It waits until somebody knows where its node is.
    waits: bool,
    /// Something has been passed on to the next filter.
    resumed: bool,
    /// The client's buffer can be reached outside of its callback.
    reachable: bool,
    /// Bytes that held requests have left in the client's buffer.
    left: usize,
}

impl Context for Callbacks {}

impl StreamContext for Callbacks {
    /// Pause: `tcp_proxy` chooses its upstream only when bytes are released, so everything said until then counts.
    fn on_new_connection(&mut self) -> Action {
        self.with(Stream::arrive);
        Action::Pause
    }

    fn on_downstream_data(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.with(|stream| {
            stream.reachable = true;
            let done = stream.downstream(size, end_of_stream);
            if stream.waits {
                stream.worker.wait(stream.context_id, &self.0);
            }
            stream.pass_on(done)
        })
        .unwrap_or(Action::Pause)
    }

    fn on_upstream_data(&mut self, size: usize, _end_of_stream: bool) -> Action {
        self.with(|stream| {
            let done = stream.upstream(size);
            let _ = stream.fail_on(done);
        });
        Action::Continue
    }

    /// `Local`: Envoy has ended the connection, not the client. That is how a failed connect shows.
    fn on_downstream_close(&mut self, peer_type: PeerType) {
        self.with(|stream| {
            if let (Some(connection), PeerType::Local) = (&mut stream.connection, peer_type) {
                log_upstream_failure(connection);
                connection.handle_upstream_lost(&mut &stream.worker.metrics);
            }
        });
    }
}

impl Drop for Callbacks {
    fn drop(&mut self) {
        if let Ok(stream) = self.0.try_borrow() {
            stream.worker.forget(stream.context_id);
            stream.worker.metrics.flush();
        }
    }
}

impl Callbacks {
    pub(crate) fn new(context_id: u32, worker: Rc<Worker>) -> Self {
        Callbacks(Rc::new(RefCell::new(Stream {
            context_id,
            worker,
            connection: None,
            routed: false,
            waits: false,
            resumed: false,
            reachable: false,
            left: 0,
        })))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Stream) -> T) -> Option<T> {
        with(&self.0, act)
    }
}

/// Does something with the connection, and sees to it that it is woken up if it is paused then. Nothing if it is busy, which
/// Envoy, that puts off what a callback asks for, never lets it be.
fn with<T>(stream: &Rc<RefCell<Stream>>, act: impl FnOnce(&mut Stream) -> T) -> Option<T> {
    let mut open = stream.try_borrow_mut().ok()?;
    let done = act(&mut open);
    if let Some(until_ms) = open.connection.as_ref().and_then(Connection::paused_until_ms) {
        open.worker.pause(open.context_id, until_ms, stream);
    }
    Some(done)
}

/// The nodes have been asked for: the connection goes to its node, or ends. For use outside its own callbacks.
pub(crate) fn look_again(stream: &Rc<RefCell<Stream>>) {
    with(stream, Stream::look_again);
}

/// Nobody knows where its node is, and its time is up. For use outside its own callbacks.
pub(crate) fn wait_is_over(stream: &Rc<RefCell<Stream>>) {
    with(stream, Stream::wait_is_over);
}

/// The connection's pause is over. For use outside its own callbacks.
pub(crate) fn pause_is_over(stream: &Rc<RefCell<Stream>>) {
    with(stream, Stream::pause_is_over);
}

impl Stream {
    fn arrive(&mut self) {
        let cluster = &self.worker.cluster;
        let filter_chain = host::property(&["xds", "filter_chain_name"]).unwrap_or_default();
        if filter_chain == cluster.ask_cluster().as_bytes() {
            self.connection = Some(cluster.ask());
            return;
        }
        let arrival = arrival();
        self.connection = cluster.connect(&arrival);
        let Some(connection) = &mut self.connection else {
            self.worker.metrics.closed(NO_ADDRESS);
            let Arrival { port, server_name } = arrival;
            let message =
                format!("closed: no address of this virtual cluster: port {port}, server name '{server_name}'");
            host::log(Level::Warn, &format!("{}: {message}", peer()));
            host::close();
            return;
        };
        let done = connection.handle_connection(&mut &self.worker.metrics);
        let _ = self.fail_on(done);
    }

    fn look_again(&mut self) {
        if !self.waits || host::set_effective_context(self.context_id).is_err() {
            return;
        }
        let done = self.route();
        if self.fail_on(done).is_none() {
            return;
        }
        if self.waits {
            return self.give_up(Closing::NodeUnknown);
        }
        let done = self.downstream(self.left, false);
        let _ = self.pass_on(done);
    }

    /// Goes on with what waits in the client's buffer, if it can be reached; otherwise nothing waits there.
    fn pause_is_over(&mut self) {
        if self.reachable && !self.waits && host::set_effective_context(self.context_id).is_ok() {
            let done = self.downstream(self.left, false);
            let _ = self.pass_on(done);
        }
    }

    fn wait_is_over(&mut self) {
        if self.waits && host::set_effective_context(self.context_id).is_ok() {
            self.give_up(Closing::NodeWait);
        }
    }

    fn give_up(&mut self, closing: fn(Node) -> Closing) {
        self.waits = false;
        let connection = self.connection.take();
        if let Some(node) = connection.as_ref().and_then(Connection::node) {
            let closing = closing(node.clone());
            self.worker.metrics.closed(closing.reason());
            host::log(Level::Info, &format!("{}: closed: {closing}", client(connection.as_ref())));
        }
        host::close();
    }

    /// Lets the client's buffer go on to the next filter, if it may, and says what the callback returns.
    fn pass_on(&mut self, done: Result<bool, Fault>) -> Action {
        let Some(true) = self.fail_on(done) else { return Action::Pause };
        // Inside a frame nothing of our own can be sent, so the buffer need not stay reachable and may just go on.
        if self.connection.as_ref().is_some_and(Connection::is_inside_request) {
            self.reachable = false;
            return Action::Continue;
        }
        let done = host::resume_downstream();
        let _ = self.fail_on(done);
        Action::Pause
    }

    /// Takes the client's bytes. True when what is in the buffer then may go on.
    fn downstream(&mut self, size: usize, end_of_stream: bool) -> Result<bool, Fault> {
        let mut buffer = Buffer::new(BufferType::Downstream, size);
        let Some(connection) = &mut self.connection else {
            // Nothing of a connection that is being closed may reach the broker.
            buffer.replace_front(size, &[])?;
            return Ok(false);
        };
        if connection.asks() {
            // The HTTP request has said all there is to say by being there.
            buffer.replace_front(size, &[])?;
        }
        if !self.routed {
            self.routed = true;
            if !connection.asks() {
                identify(connection, &self.worker.cluster)?;
            }
            self.route()?;
        }
        if self.waits {
            self.left = size;
            return Ok(false);
        }
        let mut metrics = &self.worker.metrics;
        let Some(connection) = &mut self.connection else { return Ok(false) };
        let flow = connection.handle_downstream(&mut buffer, &mut metrics)?;
        if end_of_stream {
            connection.handle_downstream_end()?;
        }
        self.left = if flow == Flow::Stop { size } else { 0 };
        // Passing on nothing would connect the upstream before the first frame has been judged.
        let goes_on = flow == Flow::Forward && (self.resumed || !buffer.is_empty());
        self.resumed |= goes_on;
        Ok(goes_on)
    }

    fn upstream(&mut self, size: usize) -> Result<(), Fault> {
        let mut buffer = Buffer::new(BufferType::Upstream, size);
        let mut metrics = &self.worker.metrics;
        let Some(connection) = &mut self.connection else { return buffer.replace_front(size, &[]) };
        connection.handle_upstream(&mut buffer, &mut metrics)?;
        while let Some(step) = self.connection.as_mut().and_then(Connection::poll_step) {
            match step {
                Step::ResumeDownstream => {
                    if self.downstream(self.left, false)? {
                        host::resume_downstream()?;
                    }
                }
                Step::Asked => buffer.append(ASKED)?,
            }
        }
        Ok(())
    }

    /// Tells Envoy's next filters where the connection goes.
    fn route(&mut self) -> Result<(), Fault> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let route = connection.route(&mut &self.worker.metrics)?;
        self.waits = matches!(route, Route::Unknown(_));
        match route {
            Route::Unknown(_) => {}
            Route::Cluster(cluster) => host::set_filter_state("envoy.tcp_proxy.cluster", &cluster)?,
            Route::Node { cluster, address, server_name, subject_alt_name } => {
                host::set_filter_state("envoy.tcp_proxy.cluster", &cluster)?;
                host::set_filter_state("envoy.upstream.dynamic_host", &address.host)?;
                host::set_filter_state("envoy.upstream.dynamic_port", &address.port.to_string())?;
                if let Some(name) = server_name {
                    host::set_filter_state("envoy.network.upstream_server_name", &name)?;
                }
                if let Some(name) = subject_alt_name {
                    host::set_filter_state("envoy.network.upstream_subject_alt_names", &name)?;
                }
            }
        }
        Ok(())
    }

    fn fail_on<T>(&mut self, done: Result<T, Fault>) -> Option<T> {
        let fault = match done {
            Ok(value) => return Some(value),
            Err(fault) => fault,
        };
        let connection = self.connection.take();
        let client = client(connection.as_ref());
        let message = connection.and_then(|connection| connection.last_message());
        let message = message.map_or_else(String::new, |(key, version)| format!(" after {key} version {version}"));
        self.worker.metrics.closed(fault.reason());
        host::log(Level::Warn, &format!("{client}: closed{message}: {fault}"));
        host::close();
        None
    }
}

/// Says who the client is. Envoy has checked its certificate; what it says can be read from the first data on.
fn identify(connection: &mut Connection, cluster: &VirtualCluster) -> Result<(), Fault> {
    let Some(kind) = cluster.identified_by() else { return Ok(()) };
    let name = match kind {
        CertificateName::Subject => "subject_peer_certificate",
        CertificateName::DnsName => "dns_san_peer_certificate",
        CertificateName::Uri => "uri_san_peer_certificate",
    };
    let shown =
        host::property(&["connection", "mtls"]).ok_or(Fault::Internal("no word on the client's certificate"))?;
    if shown != [1] {
        return connection.identify(ClientCertificate::None);
    }
    let name = host::property(&["connection", name]).and_then(|name| String::from_utf8(name).ok());
    connection.identify(ClientCertificate::Named(name.as_deref()))
}

/// Says why the upstream could not be connected to, when Envoy has a reason: a certificate that is not good, a refused
/// connection.
fn log_upstream_failure(connection: &Connection) {
    let text = |path| String::from_utf8(host::property(path).unwrap_or_default()).unwrap_or_default();
    let reason = text(&["upstream", "transport_failure_reason"]);
    if reason.is_empty() {
        return;
    }
    let at = text(&["upstream", "address"]);
    let upstream = match connection.unanswered_node() {
        Some((id, address)) => format!("node {id}, {}:{} at {at},", address.host, address.port),
        None => format!("bootstrap server {at}"),
    };
    let client = client(Some(connection));
    host::log(Level::Warn, &format!("{client}: closed: {upstream} could not be connected to: {reason}"));
}

/// Where the client's connection has arrived.
fn arrival() -> Arrival {
    let port = host::property(&["destination", "port"]).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    let port = port.and_then(|bytes| u16::try_from(i64::from_le_bytes(bytes)).ok()).unwrap_or_default();
    let server_name = host::property(&["connection", "requested_server_name"]).unwrap_or_default();
    Arrival { port, server_name: String::from_utf8(server_name).unwrap_or_default() }
}

/// The client for logs: its address, and who it is if that was asked.
fn client(connection: Option<&Connection>) -> String {
    if connection.is_some_and(Connection::asks) {
        return "the gateway, which asks for the nodes".to_owned();
    }
    match connection.and_then(Connection::principal) {
        Some(principal) => format!("{} ({principal})", peer()),
        None => peer(),
    }
}

/// The client's address, for logs.
fn peer() -> String {
    let address = host::property(&["source", "address"]).unwrap_or_default();
    String::from_utf8(address).unwrap_or_default()
}
