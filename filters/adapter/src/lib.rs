//! The proxy-wasm network filter of stock Envoy. Moves bytes and translates; it holds no Kafka knowledge.
//!
//! Shape of the callbacks, measured on Envoy 1.40: downstream leaves only finished output in the buffer, resumes and returns
//! Pause, which keeps the buffer reachable, so that own requests can be sent later; only inside a frame, where none can be sent,
//! it returns Continue. Upstream returns Continue, always.

mod host;
mod metrics;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bifrost_chain::{
    Arrival, CertificateName, ClientCertificate, Closing, Connection, Node, Route, Step, VirtualCluster,
};
use bifrost_core::fault::Fault;
use bifrost_core::session::Flow;
use bifrost_core::window::Window;
use proxy_wasm::traits::{Context, RootContext, StreamContext};
use proxy_wasm::types::{Action, ContextType, PeerType};

use host::{Buffer, BufferType, Level};
use metrics::{Metrics, NO_ADDRESS};

/// How often counters are flushed and deadlines of waiting connections are looked at.
const TICK_MS: u32 = 500;

/// What Envoy calls when the module is loaded.
mod entry {
    #![allow(missing_docs, reason = "the function is written by the SDK's macro")]
    use super::{Root, RootContext};

    proxy_wasm::main! {{
        proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> { Box::new(Root::default()) });
    }}
}

/// One per worker and configuration.
#[derive(Default)]
struct Root {
    worker: Option<Rc<Worker>>,
}

/// What all connections of a worker share.
struct Worker {
    cluster: VirtualCluster,
    metrics: Metrics,
    /// Connections that wait for a node's address: context id to node and deadline.
    waiting: RefCell<BTreeMap<u32, (Node, u64)>>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        match Worker::configure(size) {
            Ok(worker) => self.worker = Some(Rc::new(worker)),
            Err(error) => host::log(Level::Error, &format!("plugin configuration refused: {error}")),
        }
        self.worker.is_some()
    }

    fn create_stream_context(&self, context_id: u32) -> Option<Box<dyn StreamContext>> {
        let worker = Rc::clone(self.worker.as_ref()?);
        Some(Box::new(Stream { context_id, worker, connection: None, routed: false, resumed: false, left: 0 }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::StreamContext)
    }

    fn on_tick(&mut self) {
        let Some(worker) = &self.worker else { return };
        worker.metrics.flush();
        if worker.waiting.borrow().is_empty() {
            return;
        }
        let now_ms = host::now_ms();
        worker.waiting.borrow_mut().retain(|context_id, (node, deadline_ms)| {
            if now_ms < *deadline_ms {
                return true;
            }
            if host::set_effective_context(*context_id).is_ok() {
                worker.close(Closing::NodeWait(node.clone()), &peer());
            }
            false
        });
    }
}

impl Worker {
    fn configure(size: usize) -> Result<Self, Box<dyn core::error::Error>> {
        let json = Buffer::new(BufferType::PluginConfiguration, size).peek(0..size)?;
        let cluster = VirtualCluster::from_json(&json)?;
        let metrics = Metrics::define(cluster.name())?;
        host::set_tick_period(TICK_MS)?;
        Ok(Worker { cluster, metrics, waiting: RefCell::default() })
    }

    /// Closes the connection of the effective context, which nobody is to blame for.
    fn close(&self, closing: Closing, client: &str) {
        self.metrics.closed(closing.reason());
        host::log(Level::Info, &format!("{client}: closed: {closing}"));
        host::close();
    }
}

/// One per client connection.
struct Stream {
    context_id: u32,
    worker: Rc<Worker>,
    /// `None` once the connection is being closed.
    connection: Option<Connection>,
    /// The upstream has been chosen.
    routed: bool,
    /// Something has been passed on to the next filter.
    resumed: bool,
    /// Bytes that held requests have left in the client's buffer.
    left: usize,
}

impl Context for Stream {}

impl StreamContext for Stream {
    /// Pause: `tcp_proxy` chooses its upstream only when bytes are released, so everything said until then counts.
    fn on_new_connection(&mut self) -> Action {
        let arrival = arrival();
        self.connection = self.worker.cluster.connect(&arrival);
        if self.connection.is_none() {
            self.worker.metrics.closed(NO_ADDRESS);
            let Arrival { port, server_name } = arrival;
            let message =
                format!("closed: no address of this virtual cluster: port {port}, server name '{server_name}'");
            host::log(Level::Warn, &format!("{}: {message}", peer()));
            host::close();
        }
        Action::Pause
    }

    fn on_downstream_data(&mut self, size: usize, end_of_stream: bool) -> Action {
        let done = self.downstream(size, end_of_stream);
        let Some(true) = self.fail_on(done) else { return Action::Pause };
        // Inside a frame nothing of our own can be sent, so the buffer need not stay reachable and may just go on.
        if self.connection.as_ref().is_some_and(Connection::is_inside_request) {
            return Action::Continue;
        }
        let done = host::resume_downstream();
        let _ = self.fail_on(done);
        Action::Pause
    }

    fn on_upstream_data(&mut self, size: usize, _end_of_stream: bool) -> Action {
        let done = self.upstream(size).and_then(|()| self.steps());
        let _ = self.fail_on(done);
        Action::Continue
    }

    /// `Local`: Envoy has ended the connection, not the client. That is how a failed connect shows.
    fn on_downstream_close(&mut self, peer_type: PeerType) {
        if let (Some(connection), PeerType::Local) = (&mut self.connection, peer_type) {
            log_upstream_failure(connection);
            connection.handle_upstream_lost(&mut &self.worker.metrics);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.worker.waiting.borrow_mut().remove(&self.context_id);
        self.worker.metrics.flush();
    }
}

impl Stream {
    /// Takes the client's bytes. True when what is in the buffer then may go on.
    fn downstream(&mut self, size: usize, end_of_stream: bool) -> Result<bool, Fault> {
        let mut buffer = Buffer::new(BufferType::Downstream, size);
        let mut metrics = &self.worker.metrics;
        let Some(connection) = &mut self.connection else {
            // Nothing of a connection that is being closed may reach the broker.
            buffer.replace_front(size, &[])?;
            return Ok(false);
        };
        if !self.routed {
            identify(connection, &self.worker.cluster)?;
            route(connection, &self.worker, self.context_id)?;
            self.routed = true;
        }
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
        connection.handle_upstream(&mut buffer, &mut metrics)
    }

    fn steps(&mut self) -> Result<(), Fault> {
        loop {
            let Some(connection) = &mut self.connection else { return Ok(()) };
            let Some(step) = connection.poll_step(&mut &self.worker.metrics) else { return Ok(()) };
            match step {
                Step::ResumeDownstream => {
                    if self.downstream(self.left, false)? {
                        host::resume_downstream()?;
                    }
                }
                Step::Close(closing) => {
                    let client = client(self.connection.take().as_ref());
                    self.worker.close(closing, &client);
                }
            }
        }
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

/// Tells Envoy's next filters where the connection goes.
fn route(connection: &mut Connection, worker: &Worker, context_id: u32) -> Result<(), Fault> {
    let mut metrics = &worker.metrics;
    match connection.route(&mut metrics)? {
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
    if let Some(node) = connection.waits_for_node() {
        let deadline_ms = host::now_ms().saturating_add(u64::from(worker.cluster.limits().node_wait_ms));
        worker.waiting.borrow_mut().insert(context_id, (node.clone(), deadline_ms));
    }
    Ok(())
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
    host::log(
        Level::Warn,
        &format!("{}: closed: {upstream} could not be connected to: {reason}", client(Some(connection))),
    );
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
