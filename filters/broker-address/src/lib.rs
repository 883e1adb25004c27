//! Sends clients back through the gateway by rewriting broker addresses in responses.
//!
//! Which fields hold an address is known from the protocol tables (entities `BrokerHost` and `BrokerPort`): Metadata,
//! FindCoordinator, DescribeCluster, DescribeQuorum, and the node endpoints of Produce, Fetch, ShareFetch and
//! ShareAcknowledge (KIP-951, KIP-932). In addition the values of DescribeConfigs, see `values.rs`. Everything else is
//! forwarded byte for byte.
//!
//! Every address met is learned, so that connections to a node's port find the node.
//!
//! Where nodes are named after what their brokers advertise, two that would get one name are none to clients but for the first.
//!
//! A node whose id has no address here is left out, and FindCoordinator answers COORDINATOR_NOT_AVAILABLE for it: a client is
//! never shown a broker's real address.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails, and that is all"))]

mod config;
mod nodes;
mod pattern;
mod rule;
mod values;

use core::ops::Range;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bifrost_core::edits::Edits;
use bifrost_core::fault::Fault;
use bifrost_core::filter::{Context, Direction, Filter, FilterConfig, Message, Plan};
use bifrost_core::host::{Counter, Host, Report};
use bifrost_core::protocol::{Api, ApiKey, Entity, Field, Kind, VersionRange, api};
use bifrost_core::reader::{Width, string_bytes};
use bifrost_core::walker::{Array, Event, Value, holds};

pub use config::{Advertised, Arrival, Config, HostPerNode, Node, NodeHost, NodePortRange, PortPerNode, Target};
pub use nodes::{Address, Nodes};
pub use pattern::HostPattern;
pub use rule::{BadRule, HostRule, Part};

/// COORDINATOR_NOT_AVAILABLE: clients ask again later.
const COORDINATOR_NOT_AVAILABLE: i16 = 15;

/// DescribeCluster's endpoint type of controllers, whose addresses are not for clients of brokers (KIP-919).
const CONTROLLER_ENDPOINTS: i64 = 2;

/// The configured filter.
pub struct BrokerAddress {
    config: Rc<Config>,
    nodes: Rc<RefCell<Nodes>>,
}

impl BrokerAddress {
    /// The filter for one virtual cluster; `nodes` is the VM's copy of the node map.
    #[must_use]
    pub fn new(config: Rc<Config>, nodes: Rc<RefCell<Nodes>>) -> Self {
        BrokerAddress { config, nodes }
    }
}

impl FilterConfig for BrokerAddress {
    /// Everything in the tables: they say where addresses are.
    fn supported(&self, key: ApiKey) -> Option<VersionRange> {
        api(key).map(|api| api.versions)
    }

    fn plan(&self, api: &'static Api, version: i16, direction: Direction) -> Plan {
        let body_holds = |wanted: &dyn Fn(&Field) -> bool| api.response.iter().any(|f| holds(f, version, wanted));
        match direction {
            Direction::Request => Plan::Pass,
            Direction::Response if api.key == ApiKey::DESCRIBE_CONFIGS => Plan::Whole,
            Direction::Response if !body_holds(&|field| field.entity == Entity::BrokerHost) => Plan::Pass,
            Direction::Response if body_holds(&|field| field.kind == Kind::Records) => Plan::Head,
            Direction::Response => Plan::Whole,
        }
    }

    /// Addresses, and what belongs to them.
    fn wants(
        &self,
        api: &'static Api,
        direction: Direction,
        siblings: &'static [Field],
        field: &'static Field,
    ) -> bool {
        let has_host = |field: &Field| holds(field, api.versions.max, &|inner| inner.entity == Entity::BrokerHost);
        let wanted = match field.entity {
            Entity::BrokerHost | Entity::BrokerPort => true,
            Entity::BrokerId => siblings.iter().any(has_host),
            Entity::ErrorCode => api.key == ApiKey::FIND_COORDINATOR,
            _ => api.key == ApiKey::DESCRIBE_CONFIGS || field.name == "EndpointType",
        };
        direction == Direction::Response && wanted
    }

    fn connect(&self) -> Box<dyn Filter> {
        Box::new(Connection {
            config: Rc::clone(&self.config),
            nodes: Rc::clone(&self.nodes),
            response: Answer::default(),
        })
    }
}

/// State of one connection.
struct Connection {
    config: Rc<Config>,
    nodes: Rc<RefCell<Nodes>>,
    response: Answer,
}

/// What has been met in the answer that is being walked.
#[derive(Default)]
struct Answer {
    /// The node id met last; an address belongs to the node id before it.
    node_id: Option<i32>,
    host: Option<HostField>,
    met: Vec<(i32, Address)>,
    endpoints: Option<Endpoints>,
    /// Names that nodes have got, where they come from what brokers advertise.
    names: BTreeMap<String, Address>,
    /// The element in which an address was met that clients cannot be given another for has to go.
    drop_element: bool,
    /// FindCoordinator up to v3: where its error code lies.
    error_at: Option<Range<usize>>,
    /// FindCoordinator from v4: the element's error code follows its address.
    fail_coordinator: bool,
    controllers: bool,
    resource_type: Option<i64>,
    resource_id: Option<i32>,
    config_name: String,
}

impl Answer {
    /// Whether no other node has the name that node `id` gets at this address.
    fn is_free(
        &mut self,
        message: &Message,
        nodes: &mut Nodes,
        named: &HostPerNode,
        id: i32,
        address: &Address,
    ) -> bool {
        // Without a name it is left out for that.
        let Some(name) = named.host(id, &address.host) else { return true };
        if lists_all(message) {
            return self.names.entry(name).or_insert_with(|| address.clone()) == address;
        }
        nodes.is_free(&name, id, address, named)
    }
}

/// Whether the answer holds every broker that there is.
fn lists_all(message: &Message) -> bool {
    matches!(message.api.key, ApiKey::METADATA | ApiKey::DESCRIBE_CLUSTER)
}

/// A host field whose port follows.
struct HostField {
    range: Range<usize>,
    width: Width,
    text: String,
}

/// An array whose elements are nodes.
struct Endpoints {
    array: Array,
    /// How many edits there were before it.
    edits_before: usize,
    dropped: u32,
    /// Where its last element ended.
    end: usize,
}

impl Filter for Connection {
    fn on_event(&mut self, message: &Message, event: &Event<'_>, context: &mut Context<'_>) -> Result<(), Fault> {
        let Context { edits, host, .. } = context;
        if message.direction == Direction::Request {
            return Ok(());
        }
        match event {
            Event::Value(value) if message.api.key == ApiKey::DESCRIBE_CONFIGS => self.config_value(value, edits),
            Event::Value(value) => self.value(message, value, edits, *host),
            Event::Array(array) => {
                if array.field.fields.iter().any(|field| field.entity == Entity::BrokerHost) {
                    let (edits_before, end) = (edits.len(), array.count_range.end);
                    self.response.endpoints = Some(Endpoints { array: array.clone(), edits_before, dropped: 0, end });
                }
                Ok(())
            }
            Event::ElementEnd(field, range) => {
                self.element_end(field, range, edits);
                Ok(())
            }
            Event::ArrayEnd(array) => self.array_end(message, array, edits),
            Event::End => {
                let answer = core::mem::take(&mut self.response);
                let named = self.config.named().filter(|_| lists_all(message));
                self.nodes.borrow_mut().learn(&answer.met, named, *host);
                Ok(())
            }
            Event::Element(..) | Event::NullStruct(..) | Event::Records(..) => Ok(()),
        }
    }
}

impl Connection {
    fn value(
        &mut self,
        message: &Message,
        value: &Value<'_>,
        edits: &mut Edits,
        host: &mut dyn Host,
    ) -> Result<(), Fault> {
        let answer = &mut self.response;
        match value.field.entity {
            Entity::BrokerId => answer.node_id = value.number().and_then(|id| i32::try_from(id).ok()),
            Entity::BrokerHost => {
                // A host that is no text cannot be an address; it is replaced all the same.
                let text = value.text().unwrap_or_default().to_owned();
                let empty = value.bytes.is_none_or(<[u8]>::is_empty);
                let host = HostField { range: value.range.clone(), width: value.width, text };
                answer.host = (!empty).then_some(host);
            }
            Entity::BrokerPort => return self.port(message, value, edits, host),
            Entity::ErrorCode if message.api.key == ApiKey::FIND_COORDINATOR => {
                if core::mem::take(&mut answer.fail_coordinator) {
                    edits.replace(value.range.clone(), COORDINATOR_NOT_AVAILABLE.to_be_bytes().as_slice());
                }
                answer.error_at = Some(value.range.clone());
            }
            _ if value.field.name == "EndpointType" => {
                answer.controllers = value.number() == Some(CONTROLLER_ENDPOINTS);
            }
            _ => {}
        }
        Ok(())
    }

    /// Node id and host came before: the address is complete.
    fn port(
        &mut self,
        message: &Message,
        value: &Value<'_>,
        edits: &mut Edits,
        host: &mut dyn Host,
    ) -> Result<(), Fault> {
        let answer = &mut self.response;
        // An empty host is Kafka's "none", for instance of a coordinator that is not available.
        let Some(real) = answer.host.take() else { return Ok(()) };
        // Controllers listen on another port than the one that clients of brokers need.
        let controller = message.api.key == ApiKey::DESCRIBE_QUORUM || answer.controllers;
        let address = value.number().and_then(|port| nodes::address(&real.text, port)).filter(|_| !controller);
        let advertised = answer.node_id.and_then(|id| {
            let mut nodes = self.nodes.borrow_mut();
            match (&address, self.config.named()) {
                (Some(address), Some(named)) if !answer.is_free(message, &mut nodes, named, id, address) => None,
                (None, Some(_)) => Some((id, self.config.advertised(id, nodes.host(id).unwrap_or(&real.text))?)),
                _ => Some((id, self.config.advertised(id, &real.text)?)),
            }
        });
        let Some((id, Advertised { host: advertised_host, port })) = advertised else {
            host.count(Counter::NodesUnmapped, 1);
            host.report(Report::NodeUnmapped(answer.node_id.unwrap_or(-1)));
            if message.api.key == ApiKey::FIND_COORDINATOR {
                edits.replace(real.range, string_bytes(real.width, "")?);
                edits.replace(value.range.clone(), (-1i32).to_be_bytes().as_slice());
                match answer.error_at.take() {
                    Some(error_at) if answer.endpoints.is_none() => {
                        edits.replace(error_at, COORDINATOR_NOT_AVAILABLE.to_be_bytes().as_slice());
                    }
                    _ => answer.fail_coordinator = true,
                }
            } else {
                answer.drop_element = true;
            }
            return Ok(());
        };
        answer.met.extend(address.map(|address| (id, address)));
        edits.replace(real.range, string_bytes(real.width, &advertised_host)?);
        let port = match value.range.len() {
            2 => port.to_be_bytes().to_vec(),
            _ => i32::from(port).to_be_bytes().to_vec(),
        };
        edits.replace(value.range.clone(), port);
        Ok(())
    }

    fn element_end(&mut self, field: &'static Field, range: &Range<usize>, edits: &mut Edits) {
        let answer = &mut self.response;
        let Some(endpoints) = answer.endpoints.as_mut().filter(|e| core::ptr::eq(e.array.field, field)) else { return };
        endpoints.end = range.end;
        if core::mem::take(&mut answer.drop_element) {
            edits.replace(range.clone(), Vec::new());
            endpoints.dropped = endpoints.dropped.saturating_add(1);
        }
    }

    fn array_end(&mut self, message: &Message, array: &Array, edits: &mut Edits) -> Result<(), Fault> {
        let is_this = |e: &Endpoints| core::ptr::eq(e.array.field, array.field);
        if !self.response.endpoints.as_ref().is_some_and(is_this) {
            return Ok(());
        }
        let Some(endpoints) = self.response.endpoints.take() else { return Ok(()) };
        let count = array.count.unwrap_or(0).saturating_sub(endpoints.dropped);
        if endpoints.dropped > 0 {
            edits.recount(array, count)?;
        }
        if !message.resizable && edits.growth(endpoints.edits_before) > 0 {
            // No room for the longer addresses: endpoints are only a hint, without them clients ask for metadata.
            edits.truncate(endpoints.edits_before);
            edits.replace(array.count_range.end..endpoints.end, Vec::new());
            edits.recount(array, 0)?;
        }
        Ok(())
    }

    /// DescribeConfigs: resource type and name come first, every value comes behind its name.
    fn config_value(&mut self, value: &Value<'_>, edits: &mut Edits) -> Result<(), Fault> {
        let answer = &mut self.response;
        match value.field.name {
            "ResourceType" => answer.resource_type = value.number(),
            "ResourceName" => answer.resource_id = value.text().and_then(|id| id.parse().ok()),
            "Name" => answer.config_name = value.text().unwrap_or_default().to_owned(),
            "Value" if answer.resource_type == Some(values::BROKER_RESOURCE) => {
                let nodes = self.nodes.borrow();
                let at = |id| self.config.advertised(id, nodes.host(id).unwrap_or_default());
                let shown =
                    value.text().and_then(|text| values::shown(&at, &answer.config_name, answer.resource_id, text));
                if let Some(shown) = shown {
                    edits.replace(value.range.clone(), string_bytes(value.width, &shown)?);
                }
            }
            _ => {}
        }
        Ok(())
    }
}
