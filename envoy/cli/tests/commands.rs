//! The command as its user meets it, without a real Envoy: what it says and how it exits.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a failed expectation is a failed test, in helpers too"
)]

use std::fs::{self, Permissions};
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::Command;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use tempfile::TempDir;

/// A folder with a document on a free port, a module, and whatever a test adds.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.write("module.wasm", "");
        folder.document(free_port());
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn document(&self, port: u16) {
        self.write(
            "gateway.yaml",
            &format!(
                "apiVersion: gateway.corp/v1alpha1\n\
                 kind: KafkaVirtualCluster\n\
                 metadata: {{ name: orders }}\n\
                 spec:\n\
                 \x20 listener:\n\
                 \x20   bind: 127.0.0.1\n\
                 \x20   port: {port}\n\
                 \x20   advertisedHost: localhost\n\
                 \x20   nodePorts: [{{ firstId: 0, lastId: 0, firstPort: {} }}]\n\
                 \x20 targetCluster: {{ bootstrapServers: \"broker:9092\" }}\n",
                free_port()
            ),
        );
    }

    /// A program that answers `--version` as Envoy does and otherwise runs `script`.
    fn envoy(&self, script: &str) -> PathBuf {
        let path = self.write(
            "envoy",
            &format!("#!/bin/sh\nif [ \"$1\" = --version ]; then echo \"envoy  version: 0/1.40.0/Clean\"; exit 0; fi\n{script}\n"),
        );
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// `bifrost` in this folder, which sees nothing of the environment's Envoy and module.
    fn bifrost(&self) -> Command {
        Command::from_std(self.std_bifrost())
    }

    fn std_bifrost(&self) -> std::process::Command {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("bifrost"));
        command
            .current_dir(self.0.path())
            .env_remove("BIFROST_ENVOY")
            .env_remove("BIFROST_MODULE")
            .env("TMPDIR", self.0.path());
        command
    }

    fn run(&self) -> Command {
        let mut command = self.bifrost();
        command.args(["run", "-f", "gateway.yaml", "--admin-port", "0", "--module", "module.wasm"]);
        command
    }

    /// `bifrost run` in the background, once the fake Envoy has written its process id.
    fn running(&self, more: &[&str]) -> (Child, Pid) {
        let child = self
            .std_bifrost()
            .args(["run", "-f", "gateway.yaml", "--admin-port", "0", "--module", "module.wasm", "--envoy", "envoy"])
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = self.path("pid");
        wait_until("the fake Envoy runs", || fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n')));
        let pid = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        (child, Pid::from_raw(pid))
    }

    fn has_left_overs(&self) -> bool {
        fs::read_dir(self.0.path())
            .unwrap()
            .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with("bifrost-"))
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn alive(pid: Pid) -> bool {
    // An orphan that nobody reaps is dead all the same.
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn ask_to_stop(child: &Child) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
}

fn stderr_of(child: &mut Child) -> String {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn validate_says_what_is_configured() {
    let folder = Folder::new();
    folder.document(9092);
    folder
        .bifrost()
        .args(["validate", "-f", "gateway.yaml"])
        .assert()
        .success()
        .stdout(contains("Valid: 1 virtual cluster."))
        .stdout(contains("bootstrap.servers=localhost:9092"))
        .stdout(contains("broker:9092"));
}

#[test]
fn validate_reports_every_problem_and_fails() {
    let folder = Folder::new();
    folder.write("bad.yaml", "apiVersion: gateway.corp/v1alpha1\nkind: KafkaVirtualCluster\nspec: {}\n");
    folder
        .bifrost()
        .args(["validate", "-f", "gateway.yaml", "bad.yaml", "missing.yaml"])
        .assert()
        .code(1)
        .stdout("")
        .stderr(contains("bad.yaml:3: spec.listener: this field is required"))
        .stderr(contains("missing.yaml: cannot be read"))
        .stderr(contains("error: 2 problems in the documents"));
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    Folder::new().bifrost().arg("validate").assert().code(2).stderr(contains("--file"));
}

#[test]
fn a_directory_stands_for_its_documents_and_variables_come_from_the_environment() {
    let folder = Folder::new();
    let text = fs::read_to_string(folder.path("gateway.yaml")).unwrap().replace("broker:9092", "${BROKER}:9092");
    folder.write("gateway.yaml", &text);
    folder
        .bifrost()
        .args(["validate", "-f", "."])
        .assert()
        .code(1)
        .stderr(contains("environment variable 'BROKER' is not set"));
    folder
        .bifrost()
        .args(["validate", "-f", "."])
        .env("BROKER", "kafka.internal")
        .assert()
        .success()
        .stdout(contains("kafka.internal:9092"));
}

#[test]
fn render_prints_json_or_replaces_a_file() {
    let folder = Folder::new();
    let render = |more: &[&str]| {
        folder.bifrost().args(["render", "-f", "gateway.yaml", "--module", "/m.wasm"]).args(more).assert().success()
    };
    let printed = String::from_utf8(render(&[]).get_output().stdout.clone()).unwrap();
    assert!(printed.starts_with('{') && printed.contains("\"filename\": \"/m.wasm\""));
    folder.write("envoy.json", "old");
    render(&["-o", "envoy.json"]).stdout("");
    assert_eq!(fs::read_to_string(folder.path("envoy.json")).unwrap(), printed);
}

#[test]
fn render_leaves_the_file_alone_when_a_document_is_bad() {
    let folder = Folder::new();
    folder.write("gateway.yaml", "kind: KafkaVirtualCluster\n");
    folder.write("envoy.json", "old");
    folder.bifrost().args(["render", "-f", "gateway.yaml", "-o", "envoy.json"]).assert().code(1);
    assert_eq!(fs::read_to_string(folder.path("envoy.json")).unwrap(), "old");
}

#[test]
fn run_starts_nothing_when_a_document_is_bad() {
    let folder = Folder::new();
    let envoy = folder.envoy("touch started");
    folder.document(0);
    folder.run().arg("--envoy").arg(envoy).assert().code(1).stderr(contains("spec.listener.port"));
    assert!(!folder.path("started").exists());
}

#[test]
fn run_says_what_to_install_when_envoy_is_missing() {
    let folder = Folder::new();
    let wanted = "install Envoy 1.40 and name it with --envoy PATH or BIFROST_ENVOY";
    folder.run().env("PATH", "").assert().code(1).stderr(contains("no Envoy found")).stderr(contains(wanted));
    folder.run().args(["--envoy", "nowhere"]).assert().code(1).stderr(contains(wanted));
    folder.run().env("BIFROST_ENVOY", "module.wasm").assert().code(1).stderr(contains("cannot be run"));
}

#[test]
fn run_names_a_missing_module() {
    let folder = Folder::new();
    folder.envoy("touch started");
    let mut command = folder.bifrost();
    command.args(["run", "-f", "gateway.yaml", "--admin-port", "0", "--envoy", "envoy", "--module", "nowhere.wasm"]);
    command.assert().code(1).stderr(contains("there is no module at nowhere.wasm"));
    assert!(!folder.path("started").exists());
}

#[test]
fn run_names_the_virtual_cluster_whose_port_is_in_use() {
    let folder = Folder::new();
    let envoy = folder.envoy("touch started");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    folder.document(port);
    folder
        .run()
        .arg("--envoy")
        .arg(envoy)
        .assert()
        .code(1)
        .stderr(contains(format!("virtual cluster 'orders': port {port} is already in use on 127.0.0.1")));
    assert!(!folder.path("started").exists());
}

#[test]
fn run_reports_the_last_lines_of_an_envoy_that_dies() {
    let folder = Folder::new();
    let envoy = folder.envoy("echo '[critical][main] the last words' >&2; exit 7");
    folder
        .run()
        .arg("--envoy")
        .arg(envoy)
        .assert()
        .code(1)
        .stderr(contains("Envoy ended by itself (exit status: 7)"))
        .stderr(contains("  [critical][main] the last words"));
    assert!(!folder.has_left_overs());
}

#[test]
fn run_gives_up_on_an_envoy_that_never_gets_ready() {
    let folder = Folder::new();
    folder.envoy("echo $$ > pid; exec sleep 60");
    folder
        .run()
        .args(["--envoy", "envoy", "--start-timeout", "1"])
        .assert()
        .code(1)
        .stderr(contains("Envoy is not ready after 1 s"));
    let pid = fs::read_to_string(folder.path("pid")).unwrap().trim().parse().unwrap();
    assert!(!alive(Pid::from_raw(pid)));
}

#[test]
fn a_signal_stops_envoy_and_leaves_nothing_behind() {
    let folder = Folder::new();
    folder.envoy("echo $$ > pid; exec sleep 60");
    let (mut child, envoy) = folder.running(&[]);
    assert!(folder.has_left_overs());
    ask_to_stop(&child);
    assert!(child.wait().unwrap().success());
    assert!(!alive(envoy));
    assert!(!folder.has_left_overs());
}

#[test]
fn an_envoy_that_ignores_the_signal_is_killed() {
    let folder = Folder::new();
    folder.envoy("trap '' TERM; echo $$ > pid; while :; do sleep 0.1; done");
    let (mut child, envoy) = folder.running(&["--stop-timeout", "1"]);
    ask_to_stop(&child);
    assert!(child.wait().unwrap().success());
    assert!(!alive(envoy));
    assert!(stderr_of(&mut child).contains("did not stop within 1 s"));
}

#[test]
fn envoy_dies_with_a_bifrost_that_is_killed() {
    let folder = Folder::new();
    folder.envoy("echo $$ > pid; exec sleep 60");
    let (mut child, envoy) = folder.running(&[]);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("Envoy is gone", || !alive(envoy));
}

#[test]
fn the_configuration_of_a_run_is_private() {
    let folder = Folder::new();
    folder.envoy("cp \"$2\" copy.json; stat -c %a \"$2\" \"$(dirname \"$2\")\" > modes; echo $$ > pid; exec sleep 60");
    let (mut child, _) = folder.running(&[]);
    ask_to_stop(&child);
    child.wait().unwrap();
    assert_eq!(fs::read_to_string(folder.path("modes")).unwrap(), "600\n700\n");
    let copy = fs::read_to_string(folder.path("copy.json")).unwrap();
    assert!(copy.contains("discovery.sock"));
}

#[test]
fn status_says_what_to_do_when_no_gateway_runs() {
    let folder = Folder::new();
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    folder.bifrost().args(["status", "--admin", &address]).assert().code(1).stderr(contains("no Envoy answers at"));
    folder
        .bifrost()
        .args(["status", "--directory", "nowhere"])
        .assert()
        .code(1)
        .stderr(contains("no gateway runs with the folder nowhere"));
}

#[test]
fn a_hangup_is_no_reason_to_stop_and_one_folder_serves_one_gateway() {
    let folder = Folder::new();
    folder.envoy("echo $$ > pid; exec sleep 60");
    let (mut child, envoy) = folder.running(&["--directory", "state"]);
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGHUP).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(alive(envoy));
    folder
        .run()
        .args(["--envoy", "envoy", "--directory", "state"])
        .assert()
        .code(1)
        .stderr(contains("another gateway runs with the folder").and(contains("/state")));
    ask_to_stop(&child);
    assert!(child.wait().unwrap().success());
    let left: Vec<_> = fs::read_dir(folder.path("state")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name == "discovery.sock" || name == "modules"), "{left:?}");
}
