//! Whether the files will do that the documents of a gateway name.

use std::path::Path;

use bifrost_broker_address::Part;
use time::OffsetDateTime;

use super::check::{check_pair, check_trusted};
use super::pem::{PemProblem, certificates};
use crate::host_names;
use crate::problem::Problem;
use crate::tls::{ClientCertificates, DownstreamTls, KeyPair, PemFile, Roots, Verification};
use crate::validate::{Endpoints, Gateway, VirtualCluster};

/// Opens every certificate, key and CA file that the documents name. Each problem names the file, and is at the field that
/// names it; sorted, none twice. The CAs of the system are not looked at.
pub fn check_files(gateway: &Gateway, now: OffsetDateTime) -> Vec<Problem> {
    let mut problems: Vec<Problem> =
        gateway.virtual_clusters.iter().flat_map(|cluster| of_virtual_cluster(cluster, now)).collect();
    problems.sort();
    problems.dedup();
    problems
}

fn of_virtual_cluster(virtual_cluster: &VirtualCluster, now: OffsetDateTime) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(tls) = &virtual_cluster.downstream_tls {
        problems.extend(of_pair(&tls.key_pair, &needed(virtual_cluster, tls), now));
        match &tls.clients {
            ClientCertificates::NotAsked => {}
            ClientCertificates::Requested(ca) | ClientCertificates::Required(ca) => problems.extend(of_ca(ca, now)),
        }
    }
    if let Some(tls) = &virtual_cluster.upstream_tls {
        problems.extend(tls.key_pair.iter().flat_map(|pair| of_pair(pair, &[], now)));
        if let Some(Roots::File(ca)) = Verification::roots(&tls.verification) {
            problems.extend(of_ca(ca, now));
        }
    }
    problems
}

/// The names that the listener's certificate must have. Nobody knows here which node ids there are, so one that lists names
/// of single nodes in place of a wildcard is believed to list them all.
fn needed(virtual_cluster: &VirtualCluster, tls: &DownstreamTls) -> Vec<String> {
    if let Endpoints::HostPerNode(hosts) = &virtual_cluster.endpoints {
        let chain = certificates(&tls.key_pair.certificate.path).unwrap_or_default();
        let is_of_a_node = |name: &String| {
            let name = name.to_ascii_lowercase();
            name != hosts.bootstrap_host && host_names::common(&hosts.node_host.parts(), &[Part::Text(name)]).is_some()
        };
        if chain.first().is_some_and(|leaf| leaf.names.iter().any(is_of_a_node)) {
            return vec![hosts.bootstrap_host.clone()];
        }
    }
    tls.names.clone()
}

fn of_pair(pair: &KeyPair, names: &[String], now: OffsetDateTime) -> Vec<Problem> {
    let KeyPair { certificate, key } = pair;
    let found = check_pair(&certificate.path, &key.path, names, now);
    let field = |file: &Path| if file == certificate.path { certificate } else { key };
    found.into_iter().map(|problem| field(&problem.file).problem(text(&problem))).collect()
}

fn of_ca(ca: &PemFile, now: OffsetDateTime) -> Vec<Problem> {
    check_trusted(&ca.path, now).into_iter().map(|problem| ca.problem(text(&problem))).collect()
}

/// With the file: a field may name a folder, or be relative.
fn text(problem: &PemProblem) -> String {
    problem.to_string()
}
