//! Works on a list with several threads; what comes out comes in the list's order.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

/// Does `work` for each index below `count`, on at most `jobs` threads, and
/// hands each result to `take` in the order of the indices. After a `Break`
/// nothing further is taken: what was taken is the beginning of the list,
/// however many threads there are.
pub(super) fn in_order<T: Send>(
    count: usize,
    jobs: usize,
    work: impl Fn(usize) -> T + Sync,
    mut take: impl FnMut(T) -> ControlFlow<()>,
) {
    let next = &AtomicUsize::new(0);
    let enough = &AtomicBool::new(false);
    let work = &work;
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, count.max(1)) {
            let sender = sender.clone();
            scope.spawn(move || {
                while !enough.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count || sender.send((at, work(at))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut waiting = BTreeMap::new();
        let mut due = 0;
        for (at, result) in receiver {
            waiting.insert(at, result);
            while let Some(result) = waiting.remove(&due) {
                due += 1;
                if take(result).is_break() {
                    enough.store(true, Ordering::Relaxed);
                    return;
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// The later ones are done first.
    fn slow_start(at: usize) -> usize {
        std::thread::sleep(Duration::from_millis(20_u64.saturating_sub(5 * at as u64)));
        at
    }

    #[test]
    fn results_come_in_order_from_any_number_of_threads() {
        for jobs in [0, 1, 2, 8, 100] {
            let mut seen = Vec::new();
            in_order(10, jobs, slow_start, |at| {
                seen.push(at);
                ControlFlow::Continue(())
            });
            assert_eq!(seen, (0..10).collect::<Vec<_>>());
        }
        in_order(0, 4, slow_start, |_| panic!("there is nothing to take"));
    }

    #[test]
    fn a_break_cuts_the_list_at_the_same_place_always() {
        for jobs in [1, 2, 8] {
            let mut seen = Vec::new();
            in_order(1000, jobs, slow_start, |at| {
                seen.push(at);
                if at == 3 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            assert_eq!(seen, [0, 1, 2, 3]);
        }
    }
}
