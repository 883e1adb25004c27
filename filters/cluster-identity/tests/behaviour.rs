//! Which answers let a connection go on and which end it.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that panics fails, and that is all"
)]

use std::rc::Rc;

use bifrost_cluster_identity::{ClusterIdentity, Config};
use bifrost_core::fault::Fault;
use bifrost_core::filter::{Chain, FilterConfig, Plan};
use bifrost_core::limits::Limits;
use bifrost_core::session::{OWN_CORRELATION_ID, Session};
use bifrost_testkit::driver::Driver;
use bifrost_testkit::filters::Observer;
use bifrost_testkit::frames;
use kafka_protocol::messages::{ApiVersionsRequest, HeartbeatRequest, MetadataRequest, MetadataResponse};
use kafka_protocol::protocol::StrBytes;

const ID: &str = "4L6g3nShT-eMCtK--X86sw";

/// A connection to what has to be [`ID`]; another filter may look at every message.
fn connection(others: Plan) -> Driver<Session> {
    let identity = ClusterIdentity::new(&Config { cluster_id: ID.to_owned() });
    let filters: Vec<Box<dyn FilterConfig>> = vec![Box::new(identity), Box::new(Observer(others))];
    Driver::new(Session::new(Rc::new(Chain::new(filters, Limits::default()))))
}

fn metadata(version: i16, correlation_id: i32, cluster_id: Option<&str>) -> Vec<u8> {
    let cluster_id = cluster_id.map(|id| StrBytes::from_string(id.to_owned()));
    let body = MetadataResponse::default().with_cluster_id(cluster_id);
    frames::response::<MetadataRequest>(version, correlation_id, &body)
}

fn heartbeat() -> Vec<u8> {
    frames::request(0, 1, &HeartbeatRequest::default())
}

fn wrong(got: Option<&str>) -> Result<(), Fault> {
    Err(Fault::WrongCluster { wanted: ID.into(), got: got.map(Into::into) })
}

#[test]
fn the_broker_is_asked_before_the_clients_first_request() {
    for sizes in [&[][..], &[1], &[7]] {
        let mut driver = connection(Plan::Pass);
        driver.client_in(sizes, &heartbeat()).unwrap();
        let id = OWN_CORRELATION_ID.to_be_bytes();
        let question = [&[0, 0, 0, 21, 0, 3, 0, 2], &id[..], &[0, 7], b"bifrost", &[0; 4]].concat();
        assert_eq!(driver.to_broker, question);

        driver.broker_in(sizes, &metadata(2, OWN_CORRELATION_ID, Some(ID))).unwrap();

        assert_eq!(driver.to_broker, [question, heartbeat()].concat());
        assert!(driver.to_client.is_empty(), "the answer is the gateway's");
    }
}

#[test]
fn another_cluster_gets_no_request() {
    for got in [Some("other"), Some(""), ID.get(1..), None] {
        let mut driver = connection(Plan::Pass);
        driver.client(&heartbeat()).unwrap();
        let before = driver.to_broker.clone();
        assert_eq!(driver.broker(&metadata(2, OWN_CORRELATION_ID, got)), wrong(got));
        assert_eq!((driver.to_broker, driver.to_client), (before, vec![]));
    }
}

#[test]
fn a_log_line_about_a_long_id_stays_short() {
    let mut driver = connection(Plan::Pass);
    driver.client(&heartbeat()).unwrap();
    let fault = driver.broker(&metadata(2, OWN_CORRELATION_ID, Some(&"\n".repeat(30_000)))).unwrap_err();
    let line = fault.to_string();
    assert!(line.len() < 1_000 && line.contains(ID) && !line.contains('\n'), "{line}");
}

#[test]
fn a_cluster_that_changes_is_noticed_by_the_next_metadata() {
    for (got, answered) in [(Some(ID), Ok(())), (None, Ok(())), (Some("other"), wrong(Some("other")))] {
        for version in [2, 9, 13] {
            let mut driver = connection(Plan::Whole);
            driver.client(&frames::request(version, 5, &MetadataRequest::default())).unwrap();
            driver.broker(&metadata(2, OWN_CORRELATION_ID, Some(ID))).unwrap();
            assert_eq!(driver.broker(&metadata(version, 5, got)), answered, "{got:?} in version {version}");
        }
    }
}

#[test]
fn what_logs_in_is_not_held_up() {
    let mut driver = connection(Plan::Pass);
    let versions = frames::request(3, 0, &ApiVersionsRequest::default());
    driver.client(&versions).unwrap();
    assert_eq!(driver.to_broker, versions);
}
