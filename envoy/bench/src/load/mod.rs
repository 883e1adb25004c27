//! The load: connections that speak as a client does, then send or fetch as fast as answers come, or at a fixed rate.

mod channel;
mod client;
mod crowd;
mod paced;
mod requests;
mod sender;
mod workload;

pub(crate) use self::client::{Client, Route};
pub(crate) use self::crowd::run as crowd;
pub(crate) use self::paced::{Counted, Pace, Paced};
pub(crate) use self::sender::{Progress, Sender, Totals};
pub(crate) use self::workload::{Request, Workload};
