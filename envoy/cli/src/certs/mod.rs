//! `bifrost certs`: certificates for a gateway and its clients, and a look at those of others.

pub(crate) mod arguments;
mod authority;
mod describe;
mod fetch;
mod files;
mod generate;
mod handshake;
mod names;
mod verdict;

use std::process::ExitCode;

use anyhow::Result;

use arguments::Certs;

pub(crate) fn certs(arguments: &Certs) -> Result<ExitCode> {
    match arguments {
        Certs::Generate(generate) => generate::generate(generate),
        Certs::Fetch(fetch) => fetch::fetch(fetch),
    }
}
