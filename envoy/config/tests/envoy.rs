//! Golden Envoy configurations, and what must hold for each of them.
#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test, in helpers too")]

mod certificates;
mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use bifrost_chain::Config;
use bifrost_config::{
    Gateway, RenderOptions, Resource, ResourceKind, discover, discovery_bootstrap, parse, plugin_config, render,
    validate,
};
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

/// Two cases that have everything that is different in this form.
#[test]
fn what_envoy_asks_for_is_as_expected() {
    for name in ["several-virtual-clusters", "tls"] {
        let case = testdata("envoy").join(name);
        let resources = discover(&gateway_of(&case), &RenderOptions::default()).unwrap();
        let pretty = |resource: &Resource| {
            let content: Value = serde_json::from_str(&resource.content).unwrap();
            format!("{:?} '{}'\n{content:#}\n", resource.kind, resource.name)
        };
        expect(&case.join("expected-discovery.txt"), &resources.iter().map(pretty).collect::<String>());
    }
    let bootstrap = discovery_bootstrap(&RenderOptions::default(), Path::new("/run/bifrost/discovery.sock"));
    expect(&testdata("envoy-discovery-bootstrap.json"), &bootstrap);
}

fn gateway_of(case: &Path) -> Gateway {
    validate(parsed(&case.join("spec.yaml")), admin()).unwrap()
}

#[test]
fn both_forms_configure_the_same() {
    for (case, gateway) in cases() {
        let options = RenderOptions::default();
        let rendered: Value = serde_json::from_str(&render(&gateway, &options).unwrap().bootstrap).unwrap();
        let resources = discover(&gateway, &options).unwrap();
        let content = |kind, name: &str| -> Value {
            let resource = resources.iter().find(|resource| resource.kind == kind && resource.name == name).unwrap();
            serde_json::from_str(&resource.content).unwrap()
        };
        let mut listeners = content(ResourceKind::Listeners, "");
        for chain in listeners.as_array_mut().unwrap().iter_mut().flat_map(|listener| {
            listener.as_object_mut().unwrap().remove("@type").unwrap();
            listener["filter_chains"].as_array_mut().unwrap()
        }) {
            let name = chain["name"].as_str().unwrap().trim_end_matches("/ask").to_owned();
            let mut wasm = content(ResourceKind::Filter, &name)[0]["typed_config"].take();
            let vm_id = wasm["config"]["vm_config"]["vm_id"].take();
            assert!(vm_id.as_str().unwrap().starts_with(&format!("{name}/")), "{vm_id}");
            wasm["config"]["vm_config"]["vm_id"] = name.into();
            chain["filters"][0] = serde_json::json!({ "name": "envoy.filters.network.wasm", "typed_config": wasm });
        }
        let mut clusters = content(ResourceKind::Clusters, "");
        for cluster in clusters.as_array_mut().unwrap() {
            cluster.as_object_mut().unwrap().remove("@type").unwrap();
        }
        let mut expected = rendered["static_resources"].clone();
        let mut actual = serde_json::json!({ "listeners": listeners, "clusters": clusters });
        for form in [&mut expected, &mut actual] {
            forget_where_secrets_are(form);
        }
        assert_eq!(actual, expected, "{}", case.display());
    }
}

fn forget_where_secrets_are(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("sds_config");
            fields.values_mut().for_each(forget_where_secrets_are);
        }
        Value::Array(elements) => elements.iter_mut().for_each(forget_where_secrets_are),
        _ => {}
    }
}

#[test]
fn a_change_of_policies_changes_one_resource() {
    let before = gateway_of(&testdata("envoy").join("several-virtual-clusters"));
    let mut after = before.clone();
    after.virtual_clusters[1].limits.in_flight_max += 1;
    let resources = |gateway| discover(gateway, &RenderOptions::default()).unwrap();
    let (before, after) = (resources(&before), resources(&after));
    let changed: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].0.kind, ResourceKind::Filter);
    assert_ne!(changed[0].0.hash, changed[0].1.hash);
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
        assert_eq!(chains().count(), 2 * gateway.virtual_clusters.len());
        for virtual_cluster in &gateway.virtual_clusters {
            for name in [virtual_cluster.name.clone(), plugin_config(virtual_cluster).upstream.ask_cluster] {
                let chain = chains().find(|chain| chain["name"] == *name).unwrap();
                let wasm = &chain["filters"][0]["typed_config"]["config"];
                let config: Config = serde_json::from_str(wasm["configuration"]["value"].as_str().unwrap()).unwrap();
                assert_eq!(config, plugin_config(virtual_cluster), "{}", case.display());
                assert_eq!(wasm["vm_config"]["vm_id"], *virtual_cluster.name);
            }
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
            for name in [upstream.bootstrap_cluster, upstream.node_cluster, upstream.ask_cluster] {
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
