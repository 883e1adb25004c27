//! `make wasm`: fails when the module asks its host for more than it may.
//!
//! Envoy gives a module `env.proxy_*` and a part of WASI. An import outside of that is refused when the
//! module is loaded; an unexpected one inside of it (a file, a socket) means that a dependency crept in.

use anyhow::{Context as _, Result, bail};
use wasmparser::{Parser, Payload};

/// What Rust's standard library needs to start, to allocate and to print a panic.
const WASI: &[&str] = &[
    "args_get",
    "args_sizes_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_write",
    "proc_exit",
    // Seeds HashMap. Not for keys: see the core's contract.
    "random_get",
    "sched_yield",
];

fn main() -> Result<()> {
    let file = std::env::args().nth(1).context("usage: bifrost-wasm-imports MODULE")?;
    let module = std::fs::read(&file).with_context(|| format!("{file} cannot be read"))?;
    let refused = refused_imports(&module)?;
    if !refused.is_empty() {
        bail!("{file} imports what Envoy does not give or the module does not need: {}", refused.join(", "));
    }
    println!("{file}: {} bytes, its imports are allowed", module.len());
    Ok(())
}

fn refused_imports(module: &[u8]) -> Result<Vec<String>> {
    let mut refused = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ImportSection(section) = payload? {
            for import in section.into_imports() {
                let import = import?;
                if !allowed(import.module, import.name) {
                    refused.push(format!("{}.{}", import.module, import.name));
                }
            }
        }
    }
    Ok(refused)
}

fn allowed(module: &str, name: &str) -> bool {
    match module {
        "env" => name.starts_with("proxy_"),
        "wasi_snapshot_preview1" => WASI.contains(&name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxy_calls_and_listed_wasi_calls_are_allowed() {
        let module = wat::parse_str(
            r#"(module
                (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))))"#,
        );

        let refused = refused_imports(&module.unwrap()).unwrap();

        assert_eq!(refused, Vec::<String>::new());
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        let module = wat::parse_str(
            r#"(module
                (import "env" "memory_grow" (func))
                (import "wasi_snapshot_preview1" "path_open" (func))
                (import "other" "proxy_log" (func)))"#,
        );

        let refused = refused_imports(&module.unwrap()).unwrap();

        assert_eq!(refused, ["env.memory_grow", "wasi_snapshot_preview1.path_open", "other.proxy_log"]);
    }
}
