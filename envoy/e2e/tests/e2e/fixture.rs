//! A cluster and a gateway before it; most tests share one.

use std::net::Ipv4Addr;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bifrost_e2e::clients::{Clients, Family, Tally};
use bifrost_e2e::connections::{self, Watch};
use bifrost_e2e::gateway::{GATEWAY_IP, Gateway, VirtualCluster};
use bifrost_e2e::kafka::{BROKER_IP, Kafka, Version};
use bifrost_e2e::run_dir::RunDir;
use bifrost_e2e::tap::Tap;
use bifrost_e2e::tools::Tools;

/// Clients connect here; every byte that they receive is searched.
pub(crate) const TAP_IP: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// Position in the gateway's document.
const TAPPED: usize = 0;
const UNTAPPED: usize = 1;

/// Brokers, one gateway with two virtual clusters on them, a tap before the first.
pub(crate) struct Fixture {
    pub(crate) tools: Tools,
    pub(crate) run: RunDir,
    pub(crate) kafka: Arc<Kafka>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) tap: Tap,
    pub(crate) watch: Watch,
    /// Programs that are sent through the tap.
    pub(crate) clients: Clients,
}

/// The shared fixture of three brokers, as long as a test may use it.
pub(crate) struct Turn<G> {
    fixture: &'static Fixture,
    _guard: G,
}

impl<G> Deref for Turn<G> {
    type Target = Fixture;

    fn deref(&self) -> &Fixture {
        self.fixture
    }
}

static TURNS: RwLock<()> = RwLock::new(());

/// For tests that leave everything running.
pub(crate) fn shared() -> Turn<RwLockReadGuard<'static, ()>> {
    Turn { fixture: fixture(), _guard: beside_others() }
}

/// For tests with brokers of their own: not while another measures time.
pub(crate) fn beside_others() -> RwLockReadGuard<'static, ()> {
    TURNS.read().unwrap_or_else(PoisonError::into_inner)
}

/// For tests that stop brokers or measure time.
pub(crate) fn alone() -> Turn<RwLockWriteGuard<'static, ()>> {
    Turn { fixture: fixture(), _guard: TURNS.write().unwrap_or_else(PoisonError::into_inner) }
}

/// A name that no other test of this run has.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn tools() -> Tools {
    Tools::from_environment().expect("everything is installed and built")
}

fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| Fixture::start("tests", Version::V4_4, 3))
}

impl Fixture {
    /// `name` is that of the folder for data and logs.
    pub(crate) fn start(name: &str, version: Version, nodes: u16) -> Fixture {
        let tools = tools();
        let run = RunDir::create(&tools, name).unwrap();
        let kafka = Arc::new(Kafka::start(&tools, &run, version, nodes).unwrap());
        let servers = kafka.bootstrap_servers();
        let virtual_clusters =
            [VirtualCluster::new("tapped", &servers).advertised(TAP_IP), VirtualCluster::new("untapped", &servers)];
        let gateway = Arc::new(Gateway::start(&tools, &run, "gateway", &virtual_clusters).unwrap());
        let tap = Tap::start(TAP_IP, GATEWAY_IP, gateway.all_ports(TAPPED), &[BROKER_IP.to_string()]).unwrap();
        let (brokers, envoy) = (Arc::clone(&kafka), tools.envoy.clone());
        // Any Envoy: some tests start gateways of their own.
        let watch =
            Watch::start(&kafka.addresses(), move || [brokers.pids(), connections::processes_of(&envoy)].concat());
        let clients = Clients::new(&tools, &run, format!("{TAP_IP}:{}", gateway.port(TAPPED))).unwrap();
        Fixture { tools, run, kafka, gateway, tap, watch, clients }
    }

    /// Bootstrap address without the tap, for raw connections.
    pub(crate) fn raw(&self) -> (Ipv4Addr, u16) {
        (GATEWAY_IP, self.gateway.port(UNTAPPED))
    }

    /// The port of a node, without the tap.
    pub(crate) fn raw_node(&self, id: u16) -> (Ipv4Addr, u16) {
        (GATEWAY_IP, self.gateway.port(UNTAPPED) + 1 + id)
    }

    /// A new topic, made through the gateway.
    pub(crate) fn topic(&self, family: Family, name: &str, partitions: u32) -> String {
        let topic = unique(name);
        let (partitions, replication) = (partitions.to_string(), self.kafka.ids().len().to_string());
        let arguments = [("topic", &*topic), ("partitions", &partitions), ("replication", &replication)];
        self.clients.run(family, "create-topic", &arguments).unwrap();
        topic
    }

    /// Reads `count` records in a new group.
    pub(crate) fn consume(&self, family: Family, topic: &str, count: u64, config: &[(&str, &str)]) -> Tally {
        let (group, count) = (unique("group"), count.to_string());
        let mut arguments = vec![("topic", topic), ("group", &group), ("count", &count), ("timeout_ms", "60000")];
        arguments.extend(config);
        self.clients.tally(family, "consume", &arguments).unwrap()
    }

    /// No client has seen a broker's address, and none has connected to a broker.
    pub(crate) fn assert_brokers_are_hidden(&self) {
        assert_eq!(self.tap.findings(), Vec::<String>::new(), "a broker's address went to a client");
        let seen = self.watch.seen();
        let strangers: Vec<String> = seen.strangers.iter().map(ToString::to_string).collect();
        assert_eq!(strangers, Vec::<String>::new(), "not only gateway and brokers connected to brokers");
        assert!(seen.allowed > 0, "the watch saw no connection at all");
    }
}
