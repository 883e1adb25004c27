//! Whether the ports of a gateway can be opened, asked before Envoy is told to.
//!
//! Envoy would share a port with another Envoy of the same user (`SO_REUSEPORT`) and clients would reach either;
//! a plain socket finds that out.

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener};

use bifrost_config::{Gateway, Target, VirtualCluster};

/// One sentence for each virtual cluster whose ports cannot be opened. Those that this gateway has open are fine.
pub(crate) fn unavailable(gateway: &Gateway, in_force: Option<&Gateway>) -> Vec<String> {
    let open: HashSet<SocketAddr> =
        in_force.into_iter().flat_map(|gateway| &gateway.virtual_clusters).flat_map(sockets).collect();
    gateway.virtual_clusters.iter().filter_map(|virtual_cluster| of_virtual_cluster(virtual_cluster, &open)).collect()
}

/// A sentence when the port of the admin interface cannot be opened.
pub(crate) fn admin_unavailable(admin: SocketAddr) -> Option<String> {
    let error = TcpListener::bind(admin).err()?;
    let reason = reason(&error, admin.ip());
    Some(format!("the admin port {} {reason}; choose another with --admin-port", admin.port()))
}

fn sockets(virtual_cluster: &VirtualCluster) -> impl Iterator<Item = SocketAddr> + '_ {
    virtual_cluster.ports().map(|(_, port)| SocketAddr::new(virtual_cluster.bind, port))
}

fn of_virtual_cluster(virtual_cluster: &VirtualCluster, open: &HashSet<SocketAddr>) -> Option<String> {
    let what = |target| match target {
        Target::Bootstrap => "port".to_owned(),
        Target::Node(node) => format!("port of node {node},"),
    };
    let mut failed = virtual_cluster
        .ports()
        .filter(|(_, port)| !open.contains(&SocketAddr::new(virtual_cluster.bind, *port)))
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
