//! Many connections under load from one thread: as many threads would cost more than what is measured.

use std::sync::atomic::Ordering::Relaxed;

use anyhow::{Context, Result, ensure};
use rustix::event::Timespec;
use rustix::event::epoll::{CreateFlags, Event, EventData, EventFlags, add, create, wait};

use super::sender::{Progress, Sender, Totals};

/// Events that are taken from the kernel at once.
const EVENTS_MAX: usize = 128;
/// Nobody on the loopback is silent for this long unless something hangs.
const SILENCE_MAX: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// Each connection has one request under way until told to stop.
pub(crate) fn run(mut senders: Vec<Sender>, progress: &Progress) -> Result<Vec<Totals>> {
    let epoll = create(CreateFlags::CLOEXEC)?;
    for (sender, index) in senders.iter_mut().zip(0..) {
        add(&epoll, &*sender, EventData::new_u64(index), EventFlags::IN)?;
        sender.send().with_context(|| format!("connection {index}"))?;
    }
    let mut waiting = senders.len();
    let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; EVENTS_MAX];
    while waiting > 0 {
        let ready = wait(&epoll, &mut events, Some(&SILENCE_MAX))?;
        ensure!(ready > 0, "no answer on {waiting} connections");
        let stopping = progress.stop.load(Relaxed);
        for event in events.iter().take(ready) {
            let index = usize::try_from(event.data.u64())?;
            let sender = senders.get_mut(index).context("event of nobody")?;
            let with_context = || format!("connection {index}");
            sender.receive(progress).with_context(with_context)?;
            if stopping {
                waiting -= 1;
            } else {
                sender.send().with_context(with_context)?;
            }
        }
    }
    Ok(senders.into_iter().map(Sender::totals).collect())
}
