//! Questions to Envoy's admin interface.

use std::path::PathBuf;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(1);

/// The admin address, once Envoy takes connections on every port.
pub(crate) async fn ready(address_file: PathBuf) -> Option<String> {
    tokio::task::spawn_blocking(move || {
        let address = std::fs::read_to_string(address_file).ok()?;
        let address = address.trim();
        let live = get(&format!("http://{address}/ready"))?.starts_with("LIVE");
        // Envoy is live a moment before its workers listen.
        let listening = get(&format!("http://{address}/stats?filter=^listener_manager.workers_started$"))?;
        (live && listening.trim().ends_with(": 1")).then(|| address.to_owned())
    })
    .await
    .ok()
    .flatten()
}

/// Whether listeners or clusters wait for something before they are used; `None` when Envoy does not answer.
pub(crate) async fn is_warming(address: String) -> Option<bool> {
    const GAUGES: &str = "^(listener_manager.total_listeners_warming|cluster_manager.warming_clusters)$";
    tokio::task::spawn_blocking(move || {
        let stats = get(&format!("http://{address}/stats?filter={GAUGES}"))?;
        Some(!stats.lines().all(|line| line.ends_with(": 0")))
    })
    .await
    .ok()
    .flatten()
}

pub(crate) fn get(url: &str) -> Option<String> {
    // Envoy is on this machine: a proxy of the environment has no part in it.
    let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).proxy(None).build();
    let agent = ureq::Agent::from(config);
    agent.get(url).call().ok()?.body_mut().read_to_string().ok()
}
