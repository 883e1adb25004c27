//! Blocks of free ports, claimed without a race between tests, processes and the kernel.

use std::fs::{File, TryLockError};
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context as _, Result, bail};

/// Below the range from which Linux takes the ports of outgoing connections.
const FIRST: u16 = 10_000;
const LAST: u16 = 31_999;
/// Enough for a bootstrap port and a hundred node ports.
const BLOCK: u16 = 110;

/// Consecutive free ports. They stay ours until this is dropped.
#[derive(Debug)]
pub struct PortBlock {
    first: u16,
    /// Its lock is the claim.
    _claim: File,
}

impl PortBlock {
    pub fn claim() -> Result<PortBlock> {
        let claims = std::env::temp_dir().join("bifrost-e2e-ports");
        std::fs::create_dir_all(&claims).context("no folder for port claims")?;
        for first in (FIRST..=LAST - BLOCK).step_by(usize::from(BLOCK)) {
            let claim = File::create(claims.join(first.to_string()))?;
            match claim.try_lock() {
                Ok(()) if (first..first + BLOCK).all(is_free) => return Ok(PortBlock { first, _claim: claim }),
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        bail!("no {BLOCK} consecutive free ports between {FIRST} and {LAST}")
    }

    /// The port at `offset` in the block.
    pub fn port(&self, offset: u16) -> u16 {
        assert!(offset < BLOCK, "the block has {BLOCK} ports");
        self.first + offset
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}
