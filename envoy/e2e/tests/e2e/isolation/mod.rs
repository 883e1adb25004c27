//! Two tenants on one broker. Tenant B speaks bare frames and wants what is tenant A's.
//!
//! Every byte that the gateway sends to B is searched for A's names, ids and records, for addresses of brokers and for
//! B's own prefix. Every frame that B's gateway sends to the broker is recorded, read and searched for names, ids and
//! sessions that are not B's, and for rights that no tenant has. After each test the broker is asked whether A and the
//! cluster are as they were.

mod blobs;
pub(crate) mod caller;
mod control;
mod encodings;
mod foreign_ids;
mod lists;
mod names;
mod needles;
mod patterns;
mod refused;
mod setting;
mod sweep;
pub(crate) mod victim;
mod words;
