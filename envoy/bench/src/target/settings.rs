//! Settings of Envoy other than those that the gateway renders: what `bifrost-bench settings` compares them with.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// A field of both listeners and clusters.
const BUFFER_LIMIT: &str = "per_connection_buffer_limit_bytes";
const KIB: u32 = 1024;

/// The gateway as rendered, but for one setting.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    pub(super) setting: Setting,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// Nothing else: what differs from the gateway as rendered is noise.
    None,
    /// Envoy's limit for each side of a connection, in bytes.
    Buffers(u32),
    /// An option of all sockets, towards clients and towards brokers.
    Socket { level: i32, name: i32, value: u32 },
    /// New connections go to the worker with the fewest.
    ExactBalance,
    /// One socket for all workers instead of one for each.
    NoReusePort,
}

const fn buffers(name: &'static str, kib: u32) -> Variant {
    Variant { name, setting: Setting::Buffers(kib * KIB) }
}

/// Levels and names of socket(7) and tcp(7) on Linux.
const fn socket(name: &'static str, level: i32, option: i32, value: u32) -> Variant {
    Variant { name, setting: Setting::Socket { level, name: option, value } }
}

/// For one worker.
pub(crate) const VARIANTS: &[Variant] = &[
    Variant { name: "the same again", setting: Setting::None },
    buffers("buffers of 128 KiB", 128),
    buffers("buffers of 256 KiB", 256),
    buffers("buffers of 512 KiB", 512),
    buffers("buffers of 2 MiB", 2048),
    buffers("buffers of 4 MiB", 4096),
    socket("TCP_NODELAY", 6, 1, 1),
    socket("TCP_QUICKACK", 6, 12, 1),
    socket("TCP_NOTSENT_LOWAT of 128 KiB", 6, 25, 128 * KIB),
    socket("SO_SNDBUF of 1 MiB", 1, 7, 1024 * KIB),
    socket("SO_RCVBUF of 1 MiB", 1, 8, 1024 * KIB),
];

/// For several workers.
pub(crate) const VARIANTS_OF_WORKERS: &[Variant] = &[
    Variant { name: "the same again", setting: Setting::None },
    Variant { name: "exact_balance", setting: Setting::ExactBalance },
    Variant { name: "no reuse_port", setting: Setting::NoReusePort },
];

impl Setting {
    /// Changes a rendered bootstrap.
    pub(super) fn apply(&self, bootstrap: &mut Value) -> Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Buffers(bytes) => {
                for kind in ["listeners", "clusters"] {
                    each(bootstrap, kind, |one| {
                        // Were it to be named otherwise one day, equal figures would be the result.
                        *one.get_mut(BUFFER_LIMIT).with_context(|| format!("no {BUFFER_LIMIT}"))? = json!(bytes);
                        Ok(())
                    })?;
                }
                Ok(())
            }
            Self::Socket { level, name, value } => {
                // Linux hands the options of a listening socket on to those that it accepts.
                let options = json!([{ "level": level, "name": name, "int_value": value, "state": "STATE_PREBIND" }]);
                each(bootstrap, "listeners", |listener| add(listener, "socket_options", options.clone()))?;
                each(bootstrap, "clusters", |cluster| {
                    add(cluster, "upstream_bind_config", json!({ "socket_options": options }))
                })
            }
            Self::ExactBalance => each(bootstrap, "listeners", |listener| {
                add(listener, "connection_balance_config", json!({ "exact_balance": {} }))
            }),
            Self::NoReusePort => {
                each(bootstrap, "listeners", |listener| add(listener, "enable_reuse_port", json!(false)))
            }
        }
    }
}

fn each(bootstrap: &mut Value, kind: &str, change: impl Fn(&mut Value) -> Result<()>) -> Result<()> {
    let all = bootstrap["static_resources"][kind].as_array_mut().filter(|all| !all.is_empty());
    // Through the ones where the module asks for the nodes no client's byte goes.
    let is_asked = |one: &Value| one["name"].as_str().is_some_and(|name| name.ends_with("/ask"));
    for one in all.with_context(|| format!("the gateway renders no {kind}"))?.iter_mut().filter(|one| !is_asked(one)) {
        change(one).with_context(|| kind.to_owned())?;
    }
    Ok(())
}

/// What is rendered by now would be compared with itself.
fn add(object: &mut Value, field: &str, value: Value) -> Result<()> {
    ensure!(object.get(field).is_none(), "{field} is rendered already: compare with another value of it");
    object[field] = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bootstrap() -> Value {
        json!({ "static_resources": {
            "listeners": [{ BUFFER_LIMIT: 1 }, { BUFFER_LIMIT: 1 }, { "name": "a/ask" }],
            "clusters": [{ BUFFER_LIMIT: 1 }, { "name": "a/ask" }],
        } })
    }

    #[test]
    fn every_variant_but_the_first_changes_something() {
        for variant in VARIANTS.iter().chain(VARIANTS_OF_WORKERS) {
            let mut changed = bootstrap();
            variant.setting.apply(&mut changed).unwrap();
            assert_eq!(changed == bootstrap(), variant.setting == Setting::None, "{}", variant.name);
        }
    }

    #[test]
    fn a_setting_that_is_not_there_or_there_already_is_an_error() {
        let mut without = json!({ "static_resources": { "listeners": [{}], "clusters": [{}] } });
        assert!(Setting::Buffers(7).apply(&mut without).is_err());
        let mut twice = bootstrap();
        Setting::ExactBalance.apply(&mut twice).unwrap();
        assert!(Setting::ExactBalance.apply(&mut twice).is_err());
        assert!(Setting::ExactBalance.apply(&mut json!({})).is_err());
    }
}
