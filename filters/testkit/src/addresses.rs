//! A broker whose answers hold addresses that no client may see, and what the address filter has to make of them.

use std::collections::BTreeMap;

use bifrost_broker_address::{
    Advertised, Config, HostPattern, HostPerNode, HostRule, NodeHost, NodePortRange, PortPerNode,
};
use bifrost_core::protocol::{Api, ApiKey, Entity, Field, Kind};

use crate::choices::Choices;
use crate::generate::Content;
use crate::notes::Note;

/// What every real host name begins with, and nothing else does.
pub const REAL: &str = "real-";

/// A node id that has no port.
pub const UNMAPPED: i32 = 77;

/// The virtual addresses: nodes 0 to 9 on the ports from 19094 on. If the host is a pattern with the node's id: all nodes, by
/// name, on one port. If it is a template with `$1` for that: nodes 0 to 9, by the names that their brokers advertise.
pub fn config(advertised_host: &str) -> Config {
    let by_id = HostPattern::parse(advertised_host).map(NodeHost::ById).ok();
    let by_upstream_host = HostRule::parse(&format!(r"{REAL}([0-9])\.internal"), advertised_host);
    if let Some(node_host) = by_id.or_else(|| by_upstream_host.map(NodeHost::ByUpstreamHost).ok()) {
        let bootstrap_host = "bootstrap.corp.net".to_owned();
        return Config::HostPerNode(HostPerNode { bootstrap_host, node_host, advertised_port: 19_093 });
    }
    Config::PortPerNode(PortPerNode {
        advertised_host: advertised_host.to_owned(),
        bootstrap_port: 19_093,
        bootstrap_slots: 1,
        node_ports: vec![NodePortRange { first_id: 0, last_id: 9, first_port: 19_094 }],
        advertised_offset: 0,
    })
}

/// Where node `id` really is.
pub fn real(id: i32) -> (String, u16) {
    (format!("{REAL}{id}.internal"), 9_000 + id as u16)
}

/// Content of messages as brokers and clients send them: addresses that fit their node id, acks that exist, and
/// ApiVersions without an error.
#[derive(Clone, Debug)]
pub struct Realistic {
    /// Write addresses; otherwise all hosts are empty, which is Kafka's "none".
    pub addresses: bool,
    /// Write tags that no definition has.
    pub unknown_tags: bool,
    /// How many bytes a partition's records may have.
    pub records_sizes: &'static [usize],
    id: i32,
}

impl Realistic {
    /// Messages that hold addresses, or none.
    pub fn new(addresses: bool) -> Self {
        Realistic { addresses, unknown_tags: true, records_sizes: &[61, 0, 1, 300], id: -1 }
    }
}

impl Content for Realistic {
    fn content(&mut self, field: &'static Field, choices: &mut Choices<'_>) -> Option<Vec<u8>> {
        match field.entity {
            Entity::BrokerId => {
                self.id = choices.of(&[1, 2, 0, 9, UNMAPPED, -1]);
                Some(self.id.to_be_bytes().to_vec())
            }
            Entity::BrokerHost if !self.addresses || self.id < 0 => Some(Vec::new()),
            Entity::BrokerHost => Some(real(self.id).0.into_bytes()),
            Entity::BrokerPort if self.id < 0 => Some(port_bytes(field.kind, -1)),
            Entity::BrokerPort => Some(port_bytes(field.kind, i32::from(real(self.id).1))),
            Entity::Records if !(field.nullable.contains(0) && choices.one_in(5)) => {
                let size = choices.of(self.records_sizes);
                let first = choices.byte();
                Some((0..size).map(|index| first.wrapping_add(index as u8)).collect())
            }
            Entity::ErrorCode => Some(choices.of(&[0i16, 6, 74, 3]).to_be_bytes().to_vec()),
            _ if field.name == "Acks" => Some(choices.of(&[-1i16, 1, 0]).to_be_bytes().to_vec()),
            _ => None,
        }
    }

    fn unknown_tags(&self) -> bool {
        self.unknown_tags
    }
}

fn port_bytes(kind: Kind, port: i32) -> Vec<u8> {
    match kind {
        Kind::Uint16 => (port as u16).to_be_bytes().to_vec(),
        _ => port.to_be_bytes().to_vec(),
    }
}

/// What an answer has to look like behind the address filter.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The answer.
    pub notes: Vec<Note>,
    /// Nodes that must be known from it.
    pub learned: BTreeMap<i32, (String, u16)>,
    /// Addresses without a port.
    pub unmapped: u64,
}

/// An independent model of the filter, on notes instead of bytes.
pub fn expected(api: &Api, config: &Config, notes: &[Note]) -> Expected {
    let mut model = Model { api: api.key, ..Model::new(config) };
    notes.iter().for_each(|note| model.note(note));
    model.done
}

/// `notes` with all node endpoints left out, as a stream without room for them shows them.
pub fn without_endpoints(notes: &[Note]) -> Vec<Note> {
    let mut out = Vec::new();
    let mut inside = false;
    for note in notes {
        match note {
            Note::Array("NodeEndpoints", _) => {
                inside = true;
                out.push(Note::Array("NodeEndpoints", Some(0)));
            }
            Note::ArrayEnd("NodeEndpoints") => {
                inside = false;
                out.push(note.clone());
            }
            _ if inside => {}
            _ => out.push(note.clone()),
        }
    }
    out
}

struct Model<'m> {
    api: ApiKey,
    config: &'m Config,
    done: Expected,
    id: i32,
    controllers: bool,
    /// Where the host of the address lies in the output.
    host: Option<(usize, String)>,
    /// Where the last error code lies in the output.
    error: Option<usize>,
    fail_next: bool,
    drop: bool,
    arrays: Vec<usize>,
    elements: Vec<usize>,
}

impl<'m> Model<'m> {
    fn new(config: &'m Config) -> Self {
        Model {
            api: ApiKey::METADATA,
            config,
            done: Expected::default(),
            id: -1,
            controllers: false,
            host: None,
            error: None,
            fail_next: false,
            drop: false,
            arrays: Vec::new(),
            elements: Vec::new(),
        }
    }

    fn note(&mut self, note: &Note) {
        let at = self.done.notes.len();
        self.done.notes.push(note.clone());
        match note {
            Note::Array(_, Some(_)) => self.arrays.push(at),
            Note::ArrayEnd(_) => drop(self.arrays.pop()),
            Note::Element(_) => self.elements.push(at),
            Note::ElementEnd(_) => {
                let start = self.elements.pop().expect("an element that began");
                if core::mem::take(&mut self.drop) {
                    self.done.notes.truncate(start);
                    let array = *self.arrays.last().expect("an array around the element");
                    if let Note::Array(_, Some(count)) = &mut self.done.notes[array] {
                        *count -= 1;
                    }
                }
            }
            Note::Value(name, entity, Some(bytes)) => self.value(at, name, *entity, bytes),
            _ => {}
        }
    }

    fn value(&mut self, at: usize, name: &str, entity: Entity, bytes: &[u8]) {
        match entity {
            Entity::BrokerId => self.id = i32::from_be_bytes(bytes.try_into().expect("int32")),
            Entity::BrokerHost => {
                let text = String::from_utf8(bytes.to_vec()).expect("a host");
                self.host = (!text.is_empty()).then_some((at, text));
            }
            Entity::BrokerPort => self.port(at, bytes.len()),
            Entity::ErrorCode if self.api == ApiKey::FIND_COORDINATOR => {
                self.error = Some(at);
                if core::mem::take(&mut self.fail_next) {
                    self.set(at, vec![0, 15]);
                }
            }
            _ if name == "EndpointType" => self.controllers = bytes == [2],
            _ => {}
        }
    }

    fn port(&mut self, at: usize, width: usize) {
        let Some((host_at, host)) = self.host.take() else { return };
        match self.config.advertised(self.id, &host) {
            Some(Advertised { host: advertised_host, port }) => {
                if self.api != ApiKey::DESCRIBE_QUORUM && !self.controllers {
                    self.done.learned.insert(self.id, (host, real(self.id).1));
                }
                self.set(host_at, advertised_host.into_owned().into_bytes());
                let port = i32::from(port).to_be_bytes();
                self.set(at, port[4 - width..].to_vec());
            }
            None => {
                self.done.unmapped += 1;
                if self.api == ApiKey::FIND_COORDINATOR {
                    self.set(host_at, Vec::new());
                    self.set(at, vec![0xff; 4]);
                    // Up to version 3 the error code comes first, from version 4 on behind the address.
                    if self.elements.is_empty() {
                        self.set(self.error.expect("an error code"), vec![0, 15]);
                    } else {
                        self.fail_next = true;
                    }
                } else {
                    self.drop = true;
                }
            }
        }
    }

    fn set(&mut self, at: usize, bytes: Vec<u8>) {
        if let Note::Value(_, _, value) = &mut self.done.notes[at] {
            *value = Some(bytes);
        }
    }
}
