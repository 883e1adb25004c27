//! Drives a connection through a workload and counts its host calls.

use anyhow::{Context as _, Result, ensure};
use bifrost_broker_address::{Arrival, Config as BrokerAddress};
use bifrost_chain::{Config, Connection, ServerNames, Upstream, VirtualCluster};
use bifrost_core::fault::Fault;
use bifrost_core::limits::Limits;
use bifrost_testkit::addresses;
use bifrost_testkit::buffer::Calls;
use bifrost_testkit::driver::{Driver, pieces};
use bifrost_testkit::frames;
use clap::ValueEnum;

use crate::boundary::{Counted, end_part};
use crate::workload::Workload;

/// What a callback holds at most: Envoy's buffer as `envoy/config` renders it.
const CALLBACK_BYTES: usize = 1 << 20;

/// How many requests are measured, at least.
const REQUESTS: usize = 20;

/// The filters of a virtual cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Chain {
    /// Broker addresses.
    Addresses,
    /// Tenancy and broker addresses.
    Tenancy,
}

/// A direction of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Client to broker.
    Request,
    /// Broker to client.
    Answer,
}

/// What one direction of a workload cost the host.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Requests, or answers, that were counted.
    pub(crate) frames: usize,
    /// Calls for Envoy's buffers.
    pub(crate) calls: Calls,
    /// Calls for data that workers share.
    pub(crate) shared_calls: usize,
}

impl Chain {
    pub(crate) const ALL: [Chain; 2] = [Chain::Addresses, Chain::Tenancy];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Chain::Addresses => "addresses",
            Chain::Tenancy => "tenancy",
        }
    }

    /// What physical names begin with.
    fn prefix(self) -> &'static str {
        match self {
            Chain::Addresses => "",
            Chain::Tenancy => "acme.",
        }
    }

    fn connect(self) -> Result<Connection> {
        let prefix = self.prefix().to_owned();
        let tenancy = (self == Chain::Tenancy).then(|| bifrost_tenancy::Config {
            topic_prefix: prefix.clone(),
            group_prefix: prefix.clone(),
            transaction_id_prefix: prefix,
            ..bifrost_tenancy::Config::default()
        });
        let broker_address = addresses::config("gateway.corp.net");
        let arrival = match &broker_address {
            BrokerAddress::PortPerNode(ports) => Arrival { port: ports.bootstrap_port, ..Arrival::default() },
            BrokerAddress::HostPerNode(hosts) => {
                Arrival { port: hosts.advertised_port, server_name: hosts.bootstrap_host.clone() }
            }
        };
        let cluster = VirtualCluster::new(Config {
            virtual_cluster: "acme".to_owned(),
            upstream: Upstream {
                bootstrap_cluster: "bootstrap".to_owned(),
                node_cluster: "nodes".to_owned(),
                ask_cluster: "ask".to_owned(),
                server_names: ServerNames::default(),
                resolve: Vec::new(),
            },
            limits: Limits::default(),
            client_principal: None,
            cluster_identity: None,
            quota: None,
            tenancy,
            broker_address,
        });
        cluster.connect(&arrival).context("the bootstrap address leads to the cluster")
    }
}

impl Way {
    pub(crate) const ALL: [Way; 2] = [Way::Request, Way::Answer];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Way::Request => "request",
            Way::Answer => "answer",
        }
    }
}

/// What `workload` costs a connection through `chain`, in the order of [`Way::ALL`].
///
/// # Errors
/// When the connection does not live through it.
pub(crate) fn drive(chain: Chain, workload: &Workload) -> Result<[Counts; 2]> {
    let (request, answer) = (workload.request(), workload.answer(chain.prefix()));
    let rounds = REQUESTS.div_ceil(workload.frames);
    // Ids become known, and memory is warm, before anything is counted.
    let mut driver = Driver::new(chain.connect()?);
    let (asked, told) = workload.introduction(chain.prefix());
    for (request, answer) in [(&asked, &told), (&request, &answer)] {
        driver.client(request)?;
        driver.broker(answer)?;
    }
    let mut driver = Driver { host: driver.host, ..Driver::new(Counted::new(driver.driven)) };
    let mut counted = |way, frame: &[u8]| -> Result<Counts> {
        let counts = one_way(&mut driver, way, &frame.repeat(workload.frames), rounds)?;
        let expected = rounds * workload.frames;
        ensure!(counts.frames == expected, "{} of {expected} went through as {}", counts.frames, way.name());
        Ok(counts)
    };
    Ok([counted(Way::Request, &request)?, counted(Way::Answer, &answer)?])
}

/// Sends `stream` through `rounds` times.
fn one_way(driver: &mut Driver<Counted>, way: Way, stream: &[u8], rounds: usize) -> Result<Counts, Fault> {
    let mut counts = Counts::default();
    driver.driven.shared_calls = 0;
    for _ in 0..rounds {
        for piece in pieces(&[CALLBACK_BYTES], stream) {
            counts.calls += match way {
                Way::Request => driver.client(piece).map(|_| driver.client_calls)?,
                Way::Answer => driver.broker(piece).map(|()| driver.broker_calls)?,
            };
        }
        let passed = match way {
            Way::Request => &mut driver.to_broker,
            Way::Answer => &mut driver.to_client,
        };
        counts.frames += frames::split(passed).len();
        passed.clear();
    }
    end_part();
    counts.shared_calls = driver.driven.shared_calls;
    Ok(counts)
}
