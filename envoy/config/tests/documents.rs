//! Documents with something wrong, and the messages an operator gets.

mod common;

use std::path::Path;

use bifrost_config::{KafkaVirtualCluster, Kind, load, parse, validate};
use common::{admin, entries, expect, parsed, testdata};

#[test]
fn every_bad_document_is_refused_with_its_messages() {
    let mut count = 0;
    for file in entries("documents/bad") {
        if file.extension().is_some_and(|extension| extension == "yaml") {
            let problems = validate(parsed(&file), admin()).expect_err(&file.display().to_string());
            let text: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
            expect(&file.with_extension("expected"), &text);
            count += 1;
        }
    }
    assert!(count >= 51, "only {count} documents");
}

#[test]
fn the_sample_of_the_design_is_read_as_written() {
    let loaded = parsed(&testdata("documents/bad/not-available-yet.yaml"));
    assert_eq!(loaded.problems, []);
    let KafkaVirtualCluster { kind, metadata, spec, .. } = &loaded.documents[0].resource;
    assert_eq!(*kind, Kind::KafkaVirtualCluster);
    assert_eq!(metadata.name, "tenant-a-prod");
    assert_eq!(spec.virtualization.as_ref().unwrap().transaction_id_prefix, "t1-");
    assert_eq!(spec.filters[1].name, "EnvelopeEncryption");
    assert_eq!(spec.filters[1].config["cacheExpirySeconds"], 300);
}

#[test]
fn the_documents_of_the_readme_are_valid() {
    let readme = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md"));
    let text = std::fs::read_to_string(readme).unwrap();
    let documents: Vec<&str> = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let whole: Vec<&str> = documents.into_iter().filter(|text| text.starts_with("apiVersion")).collect();
    assert_eq!(whole.len(), 2);
    let gateway = validate(parse(readme, &whole.join("---\n"), &|_| None), admin()).unwrap();
    assert_eq!((gateway.virtual_clusters[0].name.as_str(), gateway.virtual_clusters[0].port), ("orders", 9093));
}

#[test]
fn the_value_of_a_variable_is_not_repeated_in_a_type_error() {
    let problems = validate(parsed(&testdata("documents/bad/variable-of-wrong-type.yaml")), admin()).unwrap_err();
    assert!(!problems[0].to_string().contains("secret"));
}

#[test]
fn problems_of_several_files_are_reported_together_in_order() {
    let problems = validate(load(&[testdata("documents/bad")]), admin()).unwrap_err();
    let mut sorted = problems.clone();
    sorted.sort();
    assert_eq!(problems, sorted);
    let files: std::collections::BTreeSet<_> = problems.iter().map(|problem| &problem.file).collect();
    assert!(files.len() >= 42);
}

#[test]
fn a_target_cluster_may_stand_in_another_file_and_be_of_no_use() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let target = |name: &str| {
        format!(
            "---\napiVersion: gateway.corp/v1alpha1\nkind: KafkaTargetCluster\nmetadata: {{ name: {name} }}\n\
             spec: {{ bootstrapServers: '{name}:9092' }}\n"
        )
    };
    write("a.yaml", &format!("{}{}", target("main"), target("spare")));
    write(
        "b.yaml",
        "apiVersion: gateway.corp/v1alpha1\nkind: KafkaVirtualCluster\nmetadata: { name: orders }\n\
         spec: { listener: { port: 9093, advertisedHost: gateway }, targetCluster: { ref: main } }\n",
    );

    let gateway = validate(load(&[folder.path().to_owned()]), admin()).unwrap();

    assert_eq!(gateway.virtual_clusters[0].bootstrap_servers[0].to_string(), "main:9092");
    let warnings: Vec<String> = gateway.warnings.iter().map(ToString::to_string).collect();
    let place = format!("{}:9 (document 2)", folder.path().join("a.yaml").display());
    assert_eq!(warnings, [format!("{place}: metadata.name: no virtual cluster refers to it")]);
}

#[test]
fn a_missing_file_and_an_empty_directory_are_named() {
    let empty = tempfile::tempdir().unwrap();
    let problems = validate(load(&[testdata("documents/none.yaml"), empty.path().to_owned()]), admin()).unwrap_err();
    assert_eq!(problems.len(), 2);
    assert!(problems.iter().any(|problem| problem.message.starts_with("cannot be read: ")));
    assert!(problems.iter().any(|problem| problem.message == "no *.yaml or *.yml file in this directory"));
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", below.trim_end_matches(", ")));
    }
    let loaded = parse(Path::new("bomb.yaml"), &text, &|_| None);
    assert!(loaded.documents.is_empty());
    assert_eq!(loaded.problems.len(), 1);
}
