//! The signals that this program obeys.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask this program to end.
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    pub(crate) fn new() -> Result<Stop> {
        Ok(Stop { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// A signal a second or more after the first: `timeout` and terminals send the same one twice at once.
    pub(crate) async fn asked_again(&mut self) {
        let first = Instant::now();
        self.asked().await;
        while first.elapsed() < Duration::from_secs(1) {
            self.asked().await;
        }
    }
}

/// SIGHUP: read the documents now.
pub(crate) fn hangup() -> Result<Signal> {
    Ok(signal(SignalKind::hangup())?)
}
