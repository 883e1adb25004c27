//! Limits of clients by who they are.

use bifrost_core::fault::Fault;
use bifrost_core::principal::Principal;
use bifrost_quota::{Config, Limits, PrincipalLimits};

use crate::{Cluster, Talk};

fn requests(principal: &str, each: bool, max: u64) -> PrincipalLimits {
    let limits = Limits { requests_per_second: Some(max), ..Limits::default() };
    PrincipalLimits { principal: principal.to_owned(), each, limits }
}

fn config(principals: Vec<PrincipalLimits>) -> Config {
    Config { principals, ..Config::default() }
}

/// Sends so many requests, and says until when the client has to wait then.
fn send(talk: &mut Talk, count: i32) -> Option<u64> {
    let requests: Vec<u8> = (0..count).flat_map(|id| talk.heartbeat(id)).collect();
    talk.send(&requests);
    talk.until()
}

#[test]
fn a_principal_shares_its_limit_between_connections_and_client_ids() {
    let cluster = Cluster::new(config(vec![requests("CN=alice", false, 10)]));
    let mut one = cluster.connect_as("one", Principal::new("CN=alice"));
    let mut two = cluster.connect_as("two", Principal::new("CN=alice"));
    assert_eq!(send(&mut one, 10), None);
    two.driver.host = one.driver.host.clone();
    assert_eq!(send(&mut two, 5), Some(100), "the first of the five is one too many");
    for other in [Principal::new("CN=bob"), Principal::default()] {
        assert_eq!(send(&mut cluster.connect_as("one", other), 100), None);
    }
}

#[test]
fn each_principal_has_an_account_of_its_own_and_strangers_one_together() {
    let cluster = Cluster::new(config(vec![requests("*", true, 10), requests("$anonymous", false, 5)]));
    for (name, free) in [(Some("CN=alice"), 10), (Some("CN=bob"), 10), (None, 5)] {
        let principal = name.map_or(Principal::default(), Principal::new);
        let mut talk = cluster.connect_as("client", principal.clone());
        assert_eq!(send(&mut talk, free), None, "{principal}");
        let mut next = cluster.connect_as("another", principal.clone());
        next.driver.host = talk.driver.host.clone();
        assert!(send(&mut next, 1).is_some(), "{principal}");
    }
}

#[test]
fn a_principal_has_as_many_connections_as_it_may_and_no_more() {
    let limits = Limits { connections: Some(1), ..Limits::default() };
    let principal = PrincipalLimits { principal: "CN=alice".to_owned(), each: false, limits };
    let cluster = Cluster::new(config(vec![principal]));
    let alice = || cluster.connect_as("client", Principal::new("CN=alice"));
    let mut first = alice();
    send(&mut first, 1);
    let mut second = alice();
    let fault = Fault::Connections { whose: "of the principal", max: 1 };
    assert_eq!(second.driver.client(&second.heartbeat(1)), Err(fault));
    drop(second);
    assert_eq!(send(&mut cluster.connect_as("client", Principal::new("CN=bob")), 1), None);
    drop(first);
    assert_eq!(send(&mut alice(), 1), None, "its place is free again");
}

#[test]
fn new_limits_hold_for_a_principal_that_is_connected() {
    let cluster = Cluster::new(config(vec![requests("CN=alice", false, 10)]));
    let mut talk = cluster.connect_as("client", Principal::new("CN=alice"));
    assert_eq!(send(&mut talk, 1), None);
    cluster.in_force.set(&config(vec![requests("CN=alice", false, 2)]));
    assert!(send(&mut talk, 5).is_some());
}
