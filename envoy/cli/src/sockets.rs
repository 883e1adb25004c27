//! Whether the ports of a gateway can be opened, asked before Envoy starts.
//!
//! Envoy would share a port with another Envoy of the same user (`SO_REUSEPORT`) and clients would reach either;
//! a plain socket finds that out.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener};

use bifrost_config::{Gateway, Target, VirtualCluster};

/// One sentence for each virtual cluster whose ports cannot be opened, and one for the admin port.
pub(crate) fn unavailable(gateway: &Gateway, admin: SocketAddr) -> Vec<String> {
    let mut sentences: Vec<String> = gateway.virtual_clusters.iter().filter_map(of_virtual_cluster).collect();
    if let Err(error) = TcpListener::bind(admin) {
        let reason = reason(&error, admin.ip());
        sentences.push(format!("the admin port {} {reason}; choose another with --admin-port", admin.port()));
    }
    sentences
}

fn of_virtual_cluster(virtual_cluster: &VirtualCluster) -> Option<String> {
    let what = |target| match target {
        Target::Bootstrap => "port".to_owned(),
        Target::Node(node) => format!("port of node {node},"),
    };
    let mut failed = virtual_cluster
        .ports()
        .map(|(target, port)| (what(target), port))
        .filter_map(|(what, port)| Some((what, port, TcpListener::bind((virtual_cluster.bind, port)).err()?)));
    let (what, port, error) = failed.next()?;
    let more = match failed.count() {
        0 => String::new(),
        count => format!(" (and {count} more of its ports)"),
    };
    let reason = reason(&error, virtual_cluster.bind);
    Some(format!("virtual cluster '{}': {what} {port} {reason}{more}", virtual_cluster.name))
}

fn reason(error: &io::Error, bind: IpAddr) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => format!("is already in use on {bind}"),
        ErrorKind::AddrNotAvailable => format!("cannot be opened: {bind} is not an address of this machine"),
        ErrorKind::PermissionDenied => "cannot be opened: permission denied".to_owned(),
        _ => format!("cannot be opened on {bind}: {error}"),
    }
}
