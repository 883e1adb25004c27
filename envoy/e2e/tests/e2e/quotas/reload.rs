//! New quotas for open connections. The configuration of the filter comes from a file that Envoy watches (ECDS), and changes
//! under a client that goes on producing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use bifrost_e2e::ports::PortBlock;
use bifrost_e2e::process::Process;
use bifrost_e2e::wait;
use bifrost_e2e::wire::RawClient;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::stubborn::{flooding, produce};
use crate::fixture::{Fixture, alone};

const FILTER: &str = "quota-under-test";

/// An Envoy whose filter configuration can be changed.
struct Changing<'f> {
    fixture: &'f Fixture,
    ports: PortBlock,
    folder: PathBuf,
    process: Option<Process>,
}

impl<'f> Changing<'f> {
    fn start(fixture: &'f Fixture, bytes_per_second: u64) -> Self {
        let (ports, folder) = (PortBlock::claim().unwrap(), fixture.run.folder("reload").unwrap());
        let mut changing = Changing { fixture, ports, folder, process: None };
        let mut bootstrap = changing.set(bytes_per_second);
        let filter = &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0];
        *filter = json!({
            "name": FILTER,
            "config_discovery": {
                "config_source": {
                    "resource_api_version": "V3",
                    "path_config_source": { "path": changing.filter_file() }
                },
                "type_urls": ["type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm"]
            }
        });
        bootstrap["admin"]["address"]["socket_address"]["port_value"] = json!(changing.ports.port(109));
        let file = changing.folder.join("envoy.json");
        fs::write(&file, bootstrap.to_string()).unwrap();
        let mut envoy = Command::new(&fixture.tools.envoy);
        envoy.arg("-c").arg(&file).args(["--concurrency", "2", "--log-level", "warning", "--use-dynamic-base-id"]);
        let log = changing.folder.join("envoy.log");
        changing.process = Some(Process::spawn("envoy", &envoy, Signal::SIGTERM, &log).unwrap());
        wait::until("Envoy listens", Duration::from_secs(60), || Ok(RawClient::connect(changing.address()).ok()))
            .unwrap();
        changing
    }

    fn address(&self) -> (&'static str, u16) {
        ("127.0.0.1", self.ports.port(0))
    }

    fn filter_file(&self) -> PathBuf {
        self.folder.join("filter.json")
    }

    /// Writes the filter's configuration, as rendered for this limit, by rename. Gives all that was rendered.
    fn set(&self, bytes_per_second: u64) -> Value {
        let bootstrap = rendered(self.fixture, &self.folder, self.ports.port(0), bytes_per_second);
        let filter = &bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0];
        let resource = json!({
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": FILTER,
            "typed_config": filter["typed_config"]
        });
        let response = json!({ "version_info": bytes_per_second.to_string(), "resources": [resource] });
        let new = self.folder.join("filter.new");
        fs::write(&new, response.to_string()).unwrap();
        fs::rename(new, self.filter_file()).unwrap();
        bootstrap
    }
}

fn rendered(fixture: &Fixture, folder: &Path, port: u16, bytes_per_second: u64) -> Value {
    let document = folder.join("gateway.yaml");
    let servers = fixture.kafka.bootstrap_servers();
    let text = format!(
        "apiVersion: gateway.corp/v1alpha1
kind: KafkaVirtualCluster
metadata: {{ name: reload }}
spec:
  listener: {{ bind: 127.0.0.1, port: {port}, advertisedHost: 127.0.0.1 }}
  targetCluster: {{ bootstrapServers: \"{servers}\" }}
  filters:
  - name: Quota
    config: {{ limits: {{ produceBytesPerSecond: {bytes_per_second} }} }}
"
    );
    fs::write(&document, text).unwrap();
    let mut render = Command::new(&fixture.tools.bifrost);
    render.arg("render").arg("-f").arg(&document).arg("--module").arg(&fixture.tools.module);
    let output = render.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn new_quotas_are_those_of_open_connections() {
    let fixture = alone();
    let envoy = Changing::start(&fixture, 1_000_000);
    let mut client = RawClient::connect(envoy.address()).unwrap();
    let stop = flooding(&client);
    let bytes = produce(0).len() as f64;
    let mut rate = |what: &str, settle: Duration, limit: f64| {
        let mut receive_for = |time: Duration| {
            let start = Instant::now();
            let mut count = 0;
            while start.elapsed() < time {
                client.receive().unwrap();
                count += 1;
            }
            f64::from(count) * bytes / start.elapsed().as_secs_f64()
        };
        receive_for(settle);
        let rate = receive_for(Duration::from_secs(6));
        eprintln!("{what}: {rate:.0} bytes/s");
        assert!((rate / limit - 1.0).abs() < 0.15, "{what}: {rate:.0} bytes/s");
    };
    rate("at first", Duration::from_secs(3), 1_000_000.0);
    envoy.set(300_000);
    rate("lowered", Duration::from_secs(3), 300_000.0);
    envoy.set(2_000_000);
    rate("raised", Duration::from_secs(4), 2_000_000.0);
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    thread::sleep(Duration::from_millis(100));
}
