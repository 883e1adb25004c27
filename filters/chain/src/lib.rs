//! One virtual cluster: its configuration, the chain of filters it makes, and where its connections go.
//!
//! A connection to the bootstrap port goes to any bootstrap server. A connection to a node's port goes to that node and no
//! other. When the node's address is not known yet, the connection waits while the gateway asks a bootstrap server for all
//! nodes, on a connection of its own ([`VirtualCluster::ask`]). It asks at its start and from time to time, too.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails, and that is all"))]

mod config;
mod principal;
mod resolve;

use core::fmt;
use core::net::IpAddr;
use std::cell::RefCell;
use std::rc::Rc;

use bifrost_broker_address::{Address, BrokerAddress, Nodes, Target};
use bifrost_cluster_identity::ClusterIdentity;
use bifrost_core::fault::Fault;
use bifrost_core::filter::{Chain, FilterConfig};
use bifrost_core::host::Host;
use bifrost_core::limits::Limits;
use bifrost_core::principal::Principal;
use bifrost_core::protocol::ApiKey;
use bifrost_core::session::{Action, Flow, Session};
use bifrost_core::window::Window;
use bifrost_quota::{Quota, TopicNames};
use bifrost_tenancy::Tenancy;

pub use bifrost_broker_address::{Arrival, Node};
pub use bifrost_cluster_identity::Config as ClusterIdentityConfig;
pub use bifrost_quota::{ConnectionReading, InForce, Reading};
pub use config::{Config, ServerNames, Upstream};
pub use principal::{CertificateName, ClientCertificate, ClientPrincipal, MappingRules};
pub use resolve::{Override, resolve};

/// The gateway asks for nodes with Metadata of this version, known to every broker since 0.10.1. The answer tells the cluster id,
/// too, so that no nodes of a wrong cluster are learned ...
const ASK_VERSION: i16 = 2;
/// ... for no topics (an empty array): the answer holds the brokers.
const ASK_BODY: [u8; 4] = [0; 4];

/// A virtual cluster in one worker.
pub struct VirtualCluster {
    config: Rc<Config>,
    chain: Rc<Chain>,
    nodes: Rc<RefCell<Nodes>>,
    quotas: Rc<InForce>,
}

impl VirtualCluster {
    /// Reads the configuration that Envoy hands over.
    ///
    /// # Errors
    /// What is wrong and where, for Envoy's log.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        Self::from_json_after(json, Rc::default())
    }

    /// Reads a configuration that Envoy hands over in place of another one. `quotas`: those of connections that are open under
    /// the other one; they change with this one.
    ///
    /// # Errors
    /// What is wrong and where, for Envoy's log.
    pub fn from_json_after(json: &[u8], quotas: Rc<InForce>) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json).map(|config| Self::new_after(config, quotas))
    }

    /// Puts the chain together.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::new_after(config, Rc::default())
    }

    fn new_after(config: Config, quotas: Rc<InForce>) -> Self {
        let nodes = Rc::new(RefCell::new(Nodes::default()));
        let mut filters: Vec<Box<dyn FilterConfig>> = Vec::new();
        // First, so that nobody learns anything from another cluster's answer.
        if let Some(cluster_identity) = &config.cluster_identity {
            filters.push(Box::new(ClusterIdentity::new(cluster_identity)));
        }
        let mut tenancy = config.tenancy.clone();
        quotas.set(&config.quota.clone().unwrap_or_default());
        if let Some(quota) = &config.quota {
            if let Some(tenancy) = tenancy.as_mut().filter(|_| quota.limits_creations()) {
                // Who counts creations has to see them all. Two filters do not edit the same field, so it is this one's.
                tenancy.topic_creation.auto_create = false;
            }
            let names = tenancy.as_ref().map(topic_names).unwrap_or_default();
            filters.push(Box::new(Quota::new(quota.clone(), Rc::clone(&quotas), names, tenancy.is_none())));
        }
        if let Some(tenancy) = tenancy {
            filters.push(Box::new(Tenancy::new(tenancy)));
        }
        filters.push(Box::new(BrokerAddress::new(Rc::new(config.broker_address.clone()), Rc::clone(&nodes))));
        let chain = Chain::new(filters, config.limits.clone());
        VirtualCluster { config: Rc::new(config), chain: Rc::new(chain), nodes, quotas }
    }

    /// The quotas in force, which outlive this configuration.
    #[must_use]
    pub fn quotas(&self) -> &Rc<InForce> {
        &self.quotas
    }

    /// Name of the virtual cluster.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.virtual_cluster
    }

    /// The bounds of the data path.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// What of a client's certificate [`Connection::identify`] wants to know; nothing when clients are not asked for one.
    #[must_use]
    pub fn identified_by(&self) -> Option<CertificateName> {
        Some(self.config.client_principal.as_ref()?.from)
    }

    /// A connection that has arrived, or `None` when its address belongs to nothing.
    #[must_use]
    pub fn connect(&self, arrival: &Arrival) -> Option<Connection> {
        Some(Connection {
            config: Rc::clone(&self.config),
            nodes: Rc::clone(&self.nodes),
            session: Session::new(Rc::clone(&self.chain)),
            target: self.config.broker_address.target(arrival)?,
            asks: false,
            led_to: None,
            answered: false,
        })
    }

    /// A connection without a client that asks a bootstrap server for the nodes.
    #[must_use]
    pub fn ask(&self) -> Connection {
        Connection {
            config: Rc::clone(&self.config),
            nodes: Rc::clone(&self.nodes),
            session: Session::new(Rc::clone(&self.chain)),
            target: Target::Bootstrap,
            asks: true,
            led_to: None,
            answered: false,
        }
    }

    /// Name of the Envoy cluster, and of the filter chain behind it, through which the gateway asks.
    #[must_use]
    pub fn ask_cluster(&self) -> &str {
        &self.config.upstream.ask_cluster
    }
}

/// How the quotas learn the virtual names of topics in answers.
fn topic_names(tenancy: &bifrost_tenancy::Config) -> TopicNames {
    let shared = tenancy.shared_topics.iter().map(|topic| (topic.topic.clone(), topic.virtual_name().to_owned()));
    TopicNames { prefix: tenancy.topic_prefix.clone(), shared: shared.collect() }
}

/// Where a connection is led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To this Envoy cluster, any host of it.
    Cluster(String),
    /// Through this dynamic forward proxy cluster to this address.
    Node {
        /// Name of the Envoy cluster.
        cluster: String,
        /// Where the node is.
        address: Address,
        /// The host name to send in the TLS handshake (SNI). IP addresses are not sent (RFC 6066).
        server_name: Option<String>,
        /// The name or IP address that the node's certificate must be for.
        subject_alt_name: Option<String>,
    },
    /// Nowhere yet: nobody knows where this node is. To be asked for.
    Unknown(Node),
}

/// What the driver has to do behind a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Call [`Connection::handle_downstream`] with the client's buffer and pass the result on.
    ResumeDownstream,
    /// The connection of [`VirtualCluster::ask`] has done its work: the nodes are known.
    Asked,
}

/// Why the gateway closes a connection although nobody did anything wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The target cluster does not know this node.
    NodeUnknown(Node),
    /// Nobody said where the node is within `limits.nodeWaitMs`.
    NodeWait(Node),
}

impl Closing {
    /// The label under which it is counted.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Closing::NodeUnknown(_) => "node_unknown",
            Closing::NodeWait(_) => "node_wait",
        }
    }

    /// All labels.
    pub const REASONS: &'static [&'static str] = &["node_unknown", "node_wait"];
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Closing::NodeUnknown(node) => write!(f, "the target cluster has no node {node}"),
            Closing::NodeWait(node) => write!(f, "nobody told the address of node {node} in time (limits.nodeWaitMs)"),
        }
    }
}

/// One client connection.
pub struct Connection {
    config: Rc<Config>,
    nodes: Rc<RefCell<Nodes>>,
    session: Session,
    target: Target,
    /// The connection exists only to ask where the nodes are.
    asks: bool,
    /// The node's id and address.
    led_to: Option<(i32, Address)>,
    /// Something has come from the upstream.
    answered: bool,
}

impl Connection {
    /// Takes note of who the client is. To be called once, before [`Connection::route`]; without it the client is anonymous.
    ///
    /// # Errors
    /// `Unidentified` when the certificate gives no principal.
    pub fn identify(&mut self, certificate: ClientCertificate<'_>) -> Result<(), Fault> {
        if let Some(rules) = &self.config.client_principal {
            self.session.identify(rules.identify(certificate)?);
        }
        Ok(())
    }

    /// Who the client is; `None` when clients are not asked.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.config.client_principal.as_ref().map(|_| self.session.principal())
    }

    /// The connection has come; to be called once, before everything else.
    ///
    /// # Errors
    /// A fault closes the connection.
    pub fn handle_connection(&mut self, host: &mut dyn Host) -> Result<(), Fault> {
        self.session.handle_connection(host)
    }

    /// Until when the client is not read, see [`Session::paused_until_ms`].
    #[must_use]
    pub fn paused_until_ms(&self) -> Option<u64> {
        self.session.paused_until_ms()
    }

    /// Decides where the connection goes. To be called before any byte is passed on, and again behind [`Route::Unknown`].
    ///
    /// # Errors
    /// `Internal` when the gateway's own question cannot be sent.
    pub fn route(&mut self, host: &mut dyn Host) -> Result<Route, Fault> {
        if self.asks {
            self.session.hold(true);
            self.session.send(ApiKey::METADATA, ASK_VERSION, &ASK_BODY)?;
        }
        let Target::Node(node) = &self.target else {
            return Ok(Route::Cluster(self.config.upstream.bootstrap_cluster.clone()));
        };
        let found = self.nodes.borrow_mut().find(node, &self.config.broker_address, host);
        let Some((id, address)) = found else { return Ok(Route::Unknown(node.clone())) };
        self.led_to = Some((id, address.clone()));
        Ok(self.to_node(address))
    }

    fn to_node(&self, address: Address) -> Route {
        let upstream = &self.config.upstream;
        // An IP address in the form in which certificates are compared, without zeros that mean nothing.
        let ip = address.host.parse::<IpAddr>().ok().map(|ip| ip.to_string());
        let is_ip = ip.is_some();
        let name = ip.unwrap_or_else(|| address.host.clone());
        // Only the connection goes elsewhere; the node is called by the name that it has.
        let address = match resolve(&upstream.resolve, &address.host) {
            Some(ip) => Address { host: ip.to_string(), ..address },
            None => address,
        };
        Route::Node {
            cluster: upstream.node_cluster.clone(),
            address,
            server_name: (upstream.server_names != ServerNames::None && !is_ip).then(|| name.clone()),
            subject_alt_name: (upstream.server_names == ServerNames::Verified).then_some(name),
        }
    }

    /// The node that the connection is for.
    #[must_use]
    pub fn node(&self) -> Option<&Node> {
        match &self.target {
            Target::Node(node) => Some(node),
            Target::Bootstrap => None,
        }
    }

    /// Whether this is a connection of [`VirtualCluster::ask`].
    #[must_use]
    pub fn asks(&self) -> bool {
        self.asks
    }

    /// Takes the client's bytes, see [`Session::handle_downstream`].
    ///
    /// # Errors
    /// A fault closes both connections.
    pub fn handle_downstream(&mut self, window: &mut dyn Window, host: &mut dyn Host) -> Result<Flow, Fault> {
        self.session.handle_downstream(window, host)
    }

    /// True between two bytes of a request.
    #[must_use]
    pub fn is_inside_request(&self) -> bool {
        self.session.is_inside_request()
    }

    /// The client will send no more, see [`Session::handle_downstream_end`].
    ///
    /// # Errors
    /// `Truncated` when it stopped inside a frame.
    pub fn handle_downstream_end(&self) -> Result<(), Fault> {
        self.session.handle_downstream_end()
    }

    /// Takes the broker's bytes, see [`Session::handle_upstream`].
    ///
    /// # Errors
    /// A fault closes both connections.
    pub fn handle_upstream(&mut self, window: &mut dyn Window, host: &mut dyn Host) -> Result<(), Fault> {
        self.answered = true;
        let done = self.session.handle_upstream(window, host);
        if matches!(done, Err(Fault::WrongCluster { .. })) {
            // The node has moved, and somebody else has its address now.
            self.forget_node(host);
        }
        done
    }

    /// The node that the connection was led to, and its address, as long as nothing has come from there.
    #[must_use]
    pub fn unanswered_node(&self) -> Option<(i32, &Address)> {
        let (id, address) = self.led_to.as_ref().filter(|_| !self.answered)?;
        Some((*id, address))
    }

    /// The gateway's side has ended the connection, as it does when the upstream cannot be reached. An address where
    /// nobody ever answered is forgotten, so that a node that has moved is found again by asking.
    pub fn handle_upstream_lost(&mut self, host: &mut dyn Host) {
        if !self.answered {
            self.forget_node(host);
        }
    }

    fn forget_node(&mut self, host: &mut dyn Host) {
        if let Some((id, address)) = self.led_to.take() {
            self.nodes.borrow_mut().forget(id, &address, host);
        }
    }

    /// The next thing to do; to be called until it gives `None`.
    #[must_use]
    pub fn poll_step(&mut self) -> Option<Step> {
        loop {
            return Some(match self.session.poll_action()? {
                Action::ResumeDownstream => Step::ResumeDownstream,
                Action::OwnAnswered if self.asks => Step::Asked,
                Action::OwnAnswered => continue,
            });
        }
    }

    /// API and version of the message that was being handled, for the log line of a fault.
    #[must_use]
    pub fn last_message(&self) -> Option<(ApiKey, i16)> {
        self.session.last_message()
    }
}
