//! End-to-end tests: real clients through a real gateway to a real cluster. Run them with `make e2e`.
//!
//! Most tests share one cluster and one gateway. Those that break something take their turn alone.

mod addresses;
mod bad_input;
mod control;
mod equivalence;
mod failover;
mod fixture;
mod frames;
mod groups;
mod isolation;
mod large;
mod old_brokers;
mod operator_options;
mod quotas;
mod reload;
mod round_trip;
mod sasl;
mod scaling;
mod share_groups;
mod tenants;
mod tls;
mod transactions;
mod upstream_down;
