//! The proxy-wasm network filter of stock Envoy. Moves bytes and translates; it holds no Kafka knowledge.
//!
//! Shape of the callbacks, measured on Envoy 1.40: downstream leaves only finished output in the buffer, resumes and returns
//! Pause, which keeps the buffer reachable, so that own requests can be sent later; only inside a frame, where none can be sent,
//! it returns Continue. Upstream returns Continue, always.

mod host;
mod metrics;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use bifrost_chain::{
    Arrival, CertificateName, ClientCertificate, Closing, Connection, InForce, Node, Route, Step, VirtualCluster,
};
use bifrost_core::fault::Fault;
use bifrost_core::filter::PAUSE_MS_MAX;
use bifrost_core::session::Flow;
use bifrost_core::window::Window;
use proxy_wasm::traits::{Context, RootContext, StreamContext};
use proxy_wasm::types::{Action, ContextType, PeerType};

use host::{Buffer, BufferType, Level};
use metrics::{Metrics, NO_ADDRESS};

/// How often counters are flushed and deadlines of waiting connections are looked at.
const TICK_MS: u64 = 500;

/// Ticks that end pauses come no closer than this.
const TICK_MS_MIN: u64 = 2;

/// What Envoy calls when the module is loaded.
mod entry {
    #![allow(missing_docs, reason = "the function is written by the SDK's macro")]
    use super::{Root, RootContext};

    proxy_wasm::main! {{
        proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> { Box::new(Root::default()) });
    }}
}

thread_local! {
    /// The quotas of this VM, which is a virtual cluster's own. A new configuration comes with a new root context; connections
    /// stay with the one that they came under, but quotas are those of the newest.
    static QUOTAS: Rc<InForce> = Rc::default();
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
    paused: RefCell<BTreeMap<u32, Paused>>,
    /// When the next tick is to come.
    tick_at_ms: Cell<u64>,
    tick_period_ms: Cell<u64>,
    flush_at_ms: Cell<u64>,
}

/// A connection whose client is not read.
struct Paused {
    until_ms: u64,
    open: Weak<RefCell<Open>>,
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
        Some(Box::new(Stream::new(context_id, worker)))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::StreamContext)
    }

    fn on_tick(&mut self) {
        let Some(worker) = &self.worker else { return };
        let now_ms = host::now_ms();
        if now_ms >= worker.flush_at_ms.get() || now_ms.saturating_add(TICK_MS) < worker.flush_at_ms.get() {
            worker.flush_at_ms.set(now_ms.saturating_add(TICK_MS));
            worker.flush();
            worker.close_overdue(now_ms);
        }
        worker.end_pauses(now_ms);
        worker.tick_again(now_ms);
    }
}

impl Worker {
    fn configure(size: usize) -> Result<Self, Box<dyn core::error::Error>> {
        let json = Buffer::new(BufferType::PluginConfiguration, size).peek(0..size)?;
        let cluster = VirtualCluster::from_json_after(&json, QUOTAS.with(Rc::clone))?;
        let metrics = Metrics::define(cluster.name())?;
        let worker = Worker {
            cluster,
            metrics,
            waiting: RefCell::default(),
            paused: RefCell::default(),
            tick_at_ms: Cell::default(),
            tick_period_ms: Cell::default(),
            flush_at_ms: Cell::default(),
        };
        worker.tick_at(host::now_ms().saturating_add(TICK_MS))?;
        Ok(worker)
    }

    fn flush(&self) {
        let quotas = self.cluster.quotas();
        quotas.tick(&mut &self.metrics);
        self.metrics.flush_quotas(quotas);
        self.metrics.flush();
    }

    /// Closes the connections that have waited too long for a node's address.
    fn close_overdue(&self, now_ms: u64) {
        self.waiting.borrow_mut().retain(|context_id, (node, deadline_ms)| {
            if now_ms < *deadline_ms {
                return true;
            }
            if host::set_effective_context(*context_id).is_ok() {
                self.close(Closing::NodeWait(node.clone()), &peer());
            }
            false
        });
    }

    /// Reads on where a pause is over.
    fn end_pauses(&self, now_ms: u64) {
        if self.paused.borrow().is_empty() {
            return;
        }
        let is_over =
            |_: &u32, paused: &mut Paused| !(1..=PAUSE_MS_MAX).contains(&paused.until_ms.saturating_sub(now_ms));
        let over: Vec<(u32, Paused)> = self.paused.borrow_mut().extract_if(.., is_over).collect();
        for (context_id, paused) in over {
            if let Some(open) = paused.open.upgrade()
                && host::set_effective_context(context_id).is_ok()
            {
                Stream(open).wake();
            }
        }
    }

    /// A connection is paused until then.
    fn pause(&self, context_id: u32, until_ms: u64, open: &Rc<RefCell<Open>>) {
        let paused = Paused { until_ms, open: Rc::downgrade(open) };
        self.paused.borrow_mut().insert(context_id, paused);
        if until_ms < self.tick_at_ms.get() {
            // A tick that is missed costs a pause that is a little longer.
            let _ = self.tick_at(until_ms);
        }
    }

    fn tick_again(&self, now_ms: u64) {
        let regular_ms = now_ms.saturating_add(TICK_MS);
        let next_ms = self.paused.borrow().values().map(|paused| paused.until_ms).fold(regular_ms, u64::min);
        let _ = self.tick_at(next_ms);
    }

    fn tick_at(&self, at_ms: u64) -> Result<(), Fault> {
        let now_ms = host::now_ms();
        let period_ms = at_ms.saturating_sub(now_ms).clamp(TICK_MS_MIN, TICK_MS);
        self.tick_at_ms.set(now_ms.saturating_add(period_ms));
        if self.tick_period_ms.replace(period_ms) != period_ms {
            host::set_tick_period(u32::try_from(period_ms).unwrap_or(u32::MAX))?;
        }
        Ok(())
    }

    /// Closes the connection of the effective context, which nobody is to blame for.
    fn close(&self, closing: Closing, client: &str) {
        self.metrics.closed(closing.reason());
        host::log(Level::Info, &format!("{client}: closed: {closing}"));
        host::close();
    }
}

/// One per client connection.
struct Stream(Rc<RefCell<Open>>);

/// What is behind it; a tick gets there, too.
struct Open {
    context_id: u32,
    worker: Rc<Worker>,
    /// `None` once the connection is being closed.
    connection: Option<Connection>,
    /// The upstream has been chosen.
    routed: bool,
    /// Something has been passed on to the next filter.
    resumed: bool,
    /// The client's buffer can be reached outside of its callback.
    reachable: bool,
    /// Bytes that held requests have left in the client's buffer.
    left: usize,
}

impl Context for Stream {}

impl StreamContext for Stream {
    /// Pause: `tcp_proxy` chooses its upstream only when bytes are released, so everything said until then counts.
    fn on_new_connection(&mut self) -> Action {
        self.with(Open::on_new_connection);
        Action::Pause
    }

    fn on_downstream_data(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.with(|open| open.on_downstream_data(size, end_of_stream)).unwrap_or(Action::Pause)
    }

    fn on_upstream_data(&mut self, size: usize, _end_of_stream: bool) -> Action {
        self.with(|open| {
            let done = open.upstream(size).and_then(|()| open.steps());
            let _ = open.fail_on(done);
        });
        Action::Continue
    }

    /// `Local`: Envoy has ended the connection, not the client. That is how a failed connect shows.
    fn on_downstream_close(&mut self, peer_type: PeerType) {
        self.with(|open| {
            if let (Some(connection), PeerType::Local) = (&mut open.connection, peer_type) {
                log_upstream_failure(connection);
                connection.handle_upstream_lost(&mut &open.worker.metrics);
            }
        });
    }
}

impl Stream {
    fn new(context_id: u32, worker: Rc<Worker>) -> Self {
        let (routed, resumed, reachable, left) = (false, false, false, 0);
        Stream(Rc::new(RefCell::new(Open { context_id, worker, connection: None, routed, resumed, reachable, left })))
    }

    /// Does something with the connection, and sees to it that it is woken up if it is paused then.
    fn with<T>(&self, act: impl FnOnce(&mut Open) -> T) -> Option<T> {
        let mut open = self.0.try_borrow_mut().ok()?;
        let done = act(&mut open);
        if let Some(until_ms) = open.connection.as_ref().and_then(Connection::paused_until_ms) {
            open.worker.pause(open.context_id, until_ms, &self.0);
        }
        Some(done)
    }

    /// The pause is over. Without a callback of the client's side that may be continued, nothing of it waits.
    fn wake(&self) {
        self.with(|open| {
            if open.reachable {
                let done = open.resume();
                let _ = open.fail_on(done);
            }
        });
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.worker.waiting.borrow_mut().remove(&self.context_id);
        self.worker.paused.borrow_mut().remove(&self.context_id);
        self.worker.metrics.flush();
    }
}

impl Open {
    fn on_new_connection(&mut self) {
        let arrival = arrival();
        self.connection = self.worker.cluster.connect(&arrival);
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

    fn on_downstream_data(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.reachable = true;
        let done = self.downstream(size, end_of_stream);
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

    /// Goes on with what waits in the client's buffer.
    fn resume(&mut self) -> Result<(), Fault> {
        if self.downstream(self.left, false)? {
            host::resume_downstream()?;
        }
        self.steps()
    }

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
