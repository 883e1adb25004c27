//! The load: connections that speak as a client does, then send or fetch as fast as answers come.

mod client;
mod requests;
mod sender;

pub(crate) use self::client::{Client, Route};
pub(crate) use self::sender::{Progress, Sender, Totals};
