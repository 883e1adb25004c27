//! Documents as Envoy gets them, checked as far as this program can.

use std::path::Path;

use bifrost_config::{Gateway, RenderOptions, Resource, content_hash, discover};

use super::directory::RunDirectory;
use crate::arguments::Run;
use crate::documents::PemFiles;
use crate::{documents, envoy, sockets, system_ca};

/// One state of the documents.
#[derive(Clone, Debug)]
pub(crate) struct Generation {
    pub(crate) gateway: Gateway,
    pub(crate) resources: Vec<Resource>,
}

impl Generation {
    /// Renders a gateway. `in_force` is what this process serves already.
    ///
    /// The error is what the operator has to change, a sentence each.
    pub(crate) fn new(
        gateway: Gateway,
        run: &Run,
        directory: &RunDirectory,
        in_force: Option<&Gateway>,
    ) -> Result<Generation, Vec<String>> {
        let one = |error: anyhow::Error| vec![format!("{error:#}")];
        let unavailable = sockets::unavailable(&gateway, in_force);
        if !unavailable.is_empty() {
            return Err(unavailable);
        }
        let module = envoy::module(&run.module).map_err(one)?;
        let module = directory.keep_module(Path::new(&module)).map_err(one)?;
        let system_ca = system_ca::needed(&gateway).map_err(one)?;
        let options = RenderOptions { module, system_ca, ..RenderOptions::default() };
        let resources = discover(&gateway, &options).map_err(|error| one(error.into()))?;
        Ok(Generation { gateway, resources })
    }

    /// Reads the documents again.
    pub(crate) fn read(run: &Run, directory: &RunDirectory, in_force: &Gateway) -> Result<Generation, Vec<String>> {
        let gateway = documents::read(&run.documents, PemFiles::Here)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        Generation::new(gateway, run, directory, Some(in_force))
    }

    /// The same for the same resources.
    pub(crate) fn hash(&self) -> String {
        let hashes: Vec<&str> = self.resources.iter().map(|resource| resource.hash.as_str()).collect();
        content_hash(hashes.join(",").as_bytes())
    }

    /// What is different from `earlier`: `adds a, b; changes c; removes d`.
    pub(crate) fn difference(&self, earlier: &Generation) -> String {
        let names = |generation: &Generation| -> Vec<String> {
            generation.gateway.virtual_clusters.iter().map(|virtual_cluster| virtual_cluster.name.clone()).collect()
        };
        let (new, old) = (names(self), names(earlier));
        let added: Vec<&str> = new.iter().filter(|name| !old.contains(name)).map(String::as_str).collect();
        let removed: Vec<&str> = old.iter().filter(|name| !new.contains(name)).map(String::as_str).collect();
        let changed: Vec<&str> = self
            .gateway
            .virtual_clusters
            .iter()
            .filter(|now| earlier.gateway.virtual_clusters.iter().any(|then| then.name == now.name && then != *now))
            .map(|now| now.name.as_str())
            .collect();
        let parts: Vec<String> = [("adds", added), ("changes", changed), ("removes", removed)]
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(verb, names)| format!("{verb} {}", names.join(", ")))
            .collect();
        if parts.is_empty() { "changes the module or its surroundings".to_owned() } else { parts.join("; ") }
    }
}
