//! Writing changed pages of the disk back: pdflush.
//!
//! A page that has differed from the disk for as long as `dirty_expire=` says
//! is written back, and with it every other one that soon will have. While nothing has
//! changed pdflush sleeps; the first change wakes it, and a timer does when
//! the oldest page comes of age. Where many pages are due it has kthreadd make
//! a helper, and stops it when they are written.

use super::kthread::{self, Kthread};
use crate::block::{self, BlockDevice};
use crate::cmdline;
use crate::sched::{Time, WaitQueue};

/// So many pages are too many for one thread.
const MANY: usize = 32;

/// The life of pdflush, on a machine with a disk.
pub fn pdflush(this: &Kthread) -> i32 {
    let Some(device) = block::device() else {
        return 0;
    };
    while !this.should_stop() {
        let Some((since, _)) = this.sleep(device.changed(), None, || device.oldest_dirty()) else {
            break;
        };
        let due = since.after(cmdline().dirty_expire);
        if due > Time::now() {
            // The page that was oldest may be written by somebody else: then
            // there is another oldest one to wait for.
            this.sleep(device.changed(), Some(due), || {
                let now = device.oldest_dirty().map(|(since, _)| since);
                (now != Some(since)).then_some(())
            });
        } else if !crate::mutant!("pdflush-lets-pages-grow-old") {
            write_due(device);
        } else {
            break;
        }
    }
    0
}

/// Pages that changed before this go now: those that are due, and those that
/// will be in a quarter of the time that pages get.
fn limit() -> Time {
    let expire = cmdline().dirty_expire;
    Time((Time::now().0 + expire / 4).saturating_sub(expire))
}

fn write_due(device: &BlockDevice) {
    let many = device.dirty_since(limit()) > MANY;
    // Without memory for a helper it takes longer, and that is all.
    let helper = many
        .then(|| kthread::create("pdflush/1", help).ok())
        .flatten();
    write_all(device);
    if let Some(helper) = helper {
        kthread::stop(&helper);
    }
}

fn write_all(device: &BlockDevice) {
    let limit = limit();
    while let Some((since, page)) = device.oldest_dirty() {
        if since > limit {
            break;
        }
        // Who syncs or closes hears of what could not be written.
        let _ = device.write_back(page);
    }
}

/// The life of the helper: it works until it is stopped.
fn help(this: &Kthread) -> i32 {
    if let Some(device) = block::device() {
        write_all(device);
    }
    let nothing = WaitQueue::new();
    this.sleep::<()>(&nothing, None, || None);
    0
}
