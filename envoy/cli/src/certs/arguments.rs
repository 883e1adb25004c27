//! What can be written behind `bifrost certs`.

use std::path::PathBuf;

use bifrost_config::HostPort;
use clap::{ArgGroup, Args, Subcommand};
use rcgen::SanType;

use super::names::{Client, host};

#[derive(Debug, Subcommand)]
pub(crate) enum Certs {
    /// Make a CA, the gateway's certificate with every name it needs, and certificates for clients
    Generate(Generate),
    /// Show and save the certificates of a TLS server, and say whether they can be trusted
    Fetch(Fetch),
}

#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("what").required(true).multiple(true).args(["files", "names", "clients"])),
    after_help = "\
Examples:
  bifrost certs generate -f gateway.yaml                CA and server certificate, in certs/
  bifrost certs generate --client alice --client bob    Clients, signed by the CA in certs/
  bifrost certs generate -f gateway.yaml --force        Renew; clients go on trusting ca.crt
  bifrost certs generate --name kafka.example.com --ca-cert corp.crt --ca-key corp.key

Writes ca.crt, ca.key, server.crt, server.key, and a .crt and .key for each client. Keys are ECDSA
P-256 and readable for their owner only. Clients trust ca.crt. Keep ca.key off the gateway: whoever
has it can make certificates."
)]
pub(crate) struct Generate {
    /// KafkaVirtualCluster documents whose names the server certificate gets: a YAML file, or a directory of *.yaml and
    /// *.yml files. May be repeated. Node ids in host patterns become a wildcard
    #[arg(short = 'f', long = "file", value_name = "FILE|DIR", num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,

    /// One more name for the server certificate: a DNS name, a wildcard such as *.kafka.example.com, or an IP address.
    /// May be repeated
    #[arg(long = "name", id = "names", value_name = "NAME", value_parser = host)]
    pub(crate) names: Vec<SanType>,

    /// A client certificate with this common name, and any subject alternative names: DNS names, IP addresses, e-mail
    /// addresses, URIs. May be repeated
    #[arg(long = "client", id = "clients", value_name = "CN[,SAN...]", value_parser = Client::parse)]
    pub(crate) clients: Vec<Client>,

    /// Directory to write to; made if it is not there. A CA that is in it (ca.crt and ca.key) is used again
    #[arg(short = 'o', long = "output", value_name = "DIR", default_value = "certs")]
    pub(crate) output: PathBuf,

    /// How long server and client certificates are valid. A new CA is valid for 10 years or longer
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub(crate) days: u32,

    /// Sign with this CA. The file may go on with the certificates above it
    #[arg(long, value_name = "FILE", requires = "ca_key")]
    pub(crate) ca_cert: Option<PathBuf>,

    /// Private key of the CA, PKCS #8 in PEM. It is not copied
    #[arg(long, value_name = "FILE", requires = "ca_cert")]
    pub(crate) ca_key: Option<PathBuf>,

    /// Replace certificates and keys that are already there. The CA in the output directory is kept all the same
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bifrost certs fetch broker.example.com:9093             Is it trusted by this system?
  bifrost certs fetch localhost:9093 --ca certs/ca.crt    By clients that trust this CA?
  bifrost certs fetch 10.0.0.1:9093 --server-name broker.example.com -o broker.pem

What was fetched is what the other end claims: compare a fingerprint before you trust it.

Exit status: 0 certificates were fetched, 1 none were, or with --ca they cannot be trusted.")]
pub(crate) struct Fetch {
    /// The server, such as broker.example.com:9093
    #[arg(value_name = "HOST:PORT", value_parser = HostPort::parse)]
    pub(crate) server: HostPort,

    /// Name to ask for (SNI) and to look for in the certificate [default: HOST]
    #[arg(long, value_name = "NAME")]
    pub(crate) server_name: Option<String>,

    /// Save the certificates to FILE as PEM, by rename, in the order in which the server sent them
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Judge by the CA certificates of FILE and fail if they do not vouch for the server [default: those of the system]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// How long the server may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: u64,
}
