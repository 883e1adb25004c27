//! Golden Envoy configurations, and what must hold for each of them.
#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test, in helpers too")]

mod certificates;
mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use bifrost_chain::Config;
use bifrost_config::{Gateway, RenderOptions, parse, plugin_config, render, validate};
use common::{admin, entries, expect, parsed, testdata, write};
use serde_json::Value;

fn cases() -> Vec<(PathBuf, Gateway)> {
    entries("envoy")
        .into_iter()
        .map(|case| {
            let gateway = validate(parsed(&case.join("spec.yaml")), admin()).unwrap();
            (case, gateway)
        })
        .collect()
}

#[test]
fn rendered_configurations_are_as_expected() {
    for (case, gateway) in cases() {
        let rendered = render(&gateway, &RenderOptions::default()).unwrap();
        expect(&case.join("expected.json"), &rendered.bootstrap);
        if !rendered.files.is_empty() {
            expect(&case.join("expected-files.txt"), &listed(&rendered.files));
        }
    }
}

/// All files as one text.
fn listed(files: &[(String, String)]) -> String {
    files.iter().map(|(name, text)| format!("{name}\n{text}")).collect()
}

#[test]
fn the_order_of_documents_does_not_matter() {
    let file = testdata("envoy/several-virtual-clusters/spec.yaml");
    let mut loaded = parsed(&file);
    loaded.documents.reverse();
    let reversed = validate(loaded, admin()).unwrap();
    assert_eq!(reversed, validate(parsed(&file), admin()).unwrap());
}

#[test]
fn a_reference_is_rendered_as_what_it_refers_to() {
    let file = testdata("envoy/target-clusters/spec.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let (_, main) = text.split_once("name: main, labels: { region: eu } }\nspec:\n").unwrap();
    let (main, _) = main.split_once("---").unwrap();
    let (_, first) = text.split_once('\n').unwrap();
    let in_place: String = main.lines().map(|line| format!("\n  {line}")).collect();
    let rendered = |text: &str| {
        let gateway = validate(parse(&file, text, &|_| None), admin()).unwrap();
        let rendered = render(&gateway, &RenderOptions::default()).unwrap();
        (rendered.bootstrap, rendered.files)
    };
    assert_eq!(rendered(first), rendered(&first.replace(" { ref: main }", &in_place)));
}

#[test]
fn every_plugin_configuration_is_read_by_the_chain() {
    for (case, gateway) in cases() {
        let rendered: Value =
            serde_json::from_str(&render(&gateway, &RenderOptions::default()).unwrap().bootstrap).unwrap();
        let listeners = rendered["static_resources"]["listeners"].as_array().unwrap();
        let chains = || listeners.iter().flat_map(|listener| listener["filter_chains"].as_array().unwrap());
        assert_eq!(chains().count(), gateway.virtual_clusters.len());
        for virtual_cluster in &gateway.virtual_clusters {
            let chain = chains().find(|chain| chain["name"] == *virtual_cluster.name).unwrap();
            let wasm = &chain["filters"][0]["typed_config"]["config"];
            let config: Config = serde_json::from_str(wasm["configuration"]["value"].as_str().unwrap()).unwrap();
            assert_eq!(config, plugin_config(virtual_cluster), "{}", case.display());
            assert_eq!(wasm["vm_config"]["vm_id"], *virtual_cluster.name);
        }
    }
}

#[test]
fn the_clusters_that_the_module_is_told_of_exist() {
    for (_, gateway) in cases() {
        let rendered: Value =
            serde_json::from_str(&render(&gateway, &RenderOptions::default()).unwrap().bootstrap).unwrap();
        let clusters = rendered["static_resources"]["clusters"].as_array().unwrap();
        for virtual_cluster in &gateway.virtual_clusters {
            let upstream = plugin_config(virtual_cluster).upstream;
            for name in [upstream.bootstrap_cluster, upstream.node_cluster] {
                assert!(clusters.iter().any(|cluster| cluster["name"] == *name), "{name}");
            }
        }
    }
}

/// `BIFROST_ENVOY` and `BIFROST_MODULE` name the binary and the module.
#[test]
#[ignore = "needs Envoy and the module"]
fn envoy_accepts_every_golden_without_a_warning() {
    let envoy = std::env::var("BIFROST_ENVOY").expect("BIFROST_ENVOY names the Envoy binary");
    let module = std::env::var("BIFROST_MODULE").expect("BIFROST_MODULE names the module");
    let module = std::path::absolute(Path::new(&module)).unwrap().to_str().unwrap().to_owned();
    let directory = tempfile::tempdir().unwrap();
    for (case, gateway) in cases() {
        let file = directory.path().join("envoy.json");
        let folder = directory.path().to_str().unwrap().to_owned();
        let system_ca = "system-ca.pem".to_owned();
        let options = RenderOptions { module: module.clone(), folder, system_ca, ..RenderOptions::default() };
        let rendered = render(&gateway, &options).unwrap();
        for (name, text) in rendered.files {
            write(directory.path(), &name, &text);
            certificates::write_named_in(directory.path(), &text);
        }
        std::fs::write(&file, rendered.bootstrap).unwrap();
        let output = Command::new(&envoy)
            .args(["--mode", "validate", "--log-level", "warning", "-c"])
            .arg(&file)
            .current_dir(directory.path())
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        // Envoy validates what it was told of secrets only by warning.
        assert!(output.status.success(), "{}: {log}", case.display());
        assert!(!log.contains("[warning]"), "{}: {log}", case.display());
    }
}
