//! The border between the data path and everything around it.
//!
//! Callgrind turns counting on when a function of ours is entered and off when it is left, and the other way round where
//! the data path calls out. So what is counted is the data path alone, without Envoy's part (the copies of the counting
//! buffer) and without the driver. The functions are told by their names, see [`TOGGLES`]. They must not be inlined, and
//! must be returned to: Callgrind loses count where a function ends by jumping into another, which [`black_box`] prevents.

use core::hint::black_box;
use core::ops::Range;

use bifrost_chain::{Connection, Step};
use bifrost_core::fault::Fault;
use bifrost_core::host::{Counter, Host, Report};
use bifrost_core::session::Flow;
use bifrost_core::window::Window;
use bifrost_testkit::driver::Driven;

/// Names of all functions where counting turns. Callgrind mixes up patterns that begin alike, so these are no patterns.
pub(crate) const TOGGLES: [&str; 12] = [
    "bifrost_profile::boundary::enter_downstream",
    "bifrost_profile::boundary::enter_upstream",
    "bifrost_profile::boundary::enter_poll",
    "bifrost_profile::boundary::enter_end",
    "bifrost_profile::boundary::leave_len",
    "bifrost_profile::boundary::leave_peek",
    "bifrost_profile::boundary::leave_replace_front",
    "bifrost_profile::boundary::leave_append",
    "bifrost_profile::boundary::leave_shared",
    "bifrost_profile::boundary::leave_set_shared",
    "bifrost_profile::boundary::leave_now_ms",
    "bifrost_profile::boundary::leave_count",
];

/// Name of the function at which Callgrind writes what it has counted, and starts anew.
pub(crate) const PART_ENDS: &str = "bifrost_profile::boundary::part_ends";

/// What the names of functions outside of the data path begin with: none of them may be counted.
pub(crate) const OUTSIDE: &str = "bifrost_testkit::";

/// A connection whose instructions and calls for shared data are counted.
pub(crate) struct Counted {
    connection: Connection,
    /// Reads and writes of the data that workers share, and looks at the clock.
    pub(crate) shared_calls: usize,
}

impl Counted {
    pub(crate) fn new(connection: Connection) -> Self {
        Counted { connection, shared_calls: 0 }
    }
}

impl Driven for Counted {
    type Told = Step;

    fn downstream(&mut self, window: &mut dyn Window, host: &mut dyn Host) -> Result<Flow, Fault> {
        let mut host = OutsideHost { host, calls: &mut self.shared_calls };
        enter_downstream(&mut self.connection, &mut OutsideWindow(window), &mut host)
    }

    fn upstream(&mut self, window: &mut dyn Window, host: &mut dyn Host) -> Result<(), Fault> {
        let mut host = OutsideHost { host, calls: &mut self.shared_calls };
        enter_upstream(&mut self.connection, &mut OutsideWindow(window), &mut host)
    }

    fn poll(&mut self, _: &mut dyn Host) -> Option<Result<(), Step>> {
        match enter_poll(&mut self.connection)? {
            Step::ResumeDownstream => Some(Ok(())),
            told @ Step::Asked => Some(Err(told)),
        }
    }

    fn held_bytes(&self) -> usize {
        0
    }
}

#[inline(never)]
fn enter_downstream(connection: &mut Connection, window: &mut dyn Window, host: &mut dyn Host) -> Result<Flow, Fault> {
    black_box(connection.handle_downstream(window, host))
}

#[inline(never)]
fn enter_upstream(connection: &mut Connection, window: &mut dyn Window, host: &mut dyn Host) -> Result<(), Fault> {
    black_box(connection.handle_upstream(window, host))
}

#[inline(never)]
fn enter_poll(connection: &mut Connection) -> Option<Step> {
    black_box(connection.poll_step())
}

/// Ends what Callgrind has counted so far, see [`PART_ENDS`].
pub(crate) fn end_part() {
    enter_end();
}

/// Callgrind looks for the end of a part only where it counts.
#[inline(never)]
fn enter_end() {
    part_ends();
    black_box(());
}

#[inline(never)]
fn part_ends() {
    black_box(());
}

struct OutsideWindow<'w>(&'w mut dyn Window);

impl Window for OutsideWindow<'_> {
    fn len(&self) -> usize {
        leave_len(self.0)
    }

    fn peek(&mut self, range: Range<usize>) -> Result<Vec<u8>, Fault> {
        leave_peek(self.0, range)
    }

    fn replace_front(&mut self, len: usize, bytes: &[u8]) -> Result<(), Fault> {
        leave_replace_front(self.0, len, bytes)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        leave_append(self.0, bytes)
    }
}

#[inline(never)]
fn leave_len(window: &dyn Window) -> usize {
    black_box(window.len())
}

#[inline(never)]
fn leave_peek(window: &mut dyn Window, range: Range<usize>) -> Result<Vec<u8>, Fault> {
    black_box(window.peek(range))
}

#[inline(never)]
fn leave_replace_front(window: &mut dyn Window, len: usize, bytes: &[u8]) -> Result<(), Fault> {
    black_box(window.replace_front(len, bytes))
}

#[inline(never)]
fn leave_append(window: &mut dyn Window, bytes: &[u8]) -> Result<(), Fault> {
    black_box(window.append(bytes))
}

struct OutsideHost<'h> {
    host: &'h mut dyn Host,
    calls: &'h mut usize,
}

impl Host for OutsideHost<'_> {
    fn shared(&mut self, key: &str) -> Option<(Vec<u8>, u32)> {
        *self.calls += 1;
        leave_shared(self.host, key)
    }

    fn set_shared(&mut self, key: &str, value: &[u8], version: u32) -> bool {
        *self.calls += 1;
        leave_set_shared(self.host, key, value, version)
    }

    fn now_ms(&mut self) -> u64 {
        *self.calls += 1;
        leave_now_ms(self.host)
    }

    fn count(&mut self, counter: Counter, by: u64) {
        leave_count(self.host, counter, by);
    }

    fn report(&mut self, report: Report) {
        leave_report(self.host, report);
    }
}

#[inline(never)]
fn leave_shared(host: &mut dyn Host, key: &str) -> Option<(Vec<u8>, u32)> {
    black_box(host.shared(key))
}

#[inline(never)]
fn leave_set_shared(host: &mut dyn Host, key: &str, value: &[u8], version: u32) -> bool {
    black_box(host.set_shared(key, value, version))
}

#[inline(never)]
fn leave_now_ms(host: &mut dyn Host) -> u64 {
    black_box(host.now_ms())
}

#[inline(never)]
fn leave_count(host: &mut dyn Host, counter: Counter, by: u64) {
    host.count(counter, by);
    black_box(());
}

#[inline(never)]
fn leave_report(host: &mut dyn Host, report: Report) {
    host.report(report);
    black_box(());
}
