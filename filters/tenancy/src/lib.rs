//! Every tenant believes that it owns the cluster.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails, and that is all"))]

mod config;

pub use config::{Access, Config, SharedTopic, TopicCreation};
