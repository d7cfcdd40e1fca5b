//! Threads: work on many things side by side, and who goes first where there are fewer cores than work.
//! Knows threads; knows nothing of the work.

use std::sync::{Mutex, PoisonError};

use crate::error::Result;

/// Threads that this machine runs at a time.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Threads for what goes on beside something that wants cores too.
pub(crate) fn half_of_cores() -> usize {
    cores().div_ceil(2)
}

/// How far a thread stands back where there are fewer cores than work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// Someone waits for it, but can wait longer than who asks a question: about a third of a question's share.
    Write,
    /// Nobody waits for it: about a tenth.
    Background,
}

/// Gives the calling thread, and those that it starts from now on, a rank behind the threads of questions.
/// Without it a batch of upserts, which keeps a core for tens of milliseconds, costs every question that long.
pub fn stand_back(rank: Rank) {
    let nice = match rank {
        Rank::Write => 5,
        Rank::Background => 10,
    };
    // It is a kindness: where the system refuses, all stand in one line.
    let _ = rustix::process::setpriority_process(None, nice);
}

/// Does `work` on every item, on at most `threads` threads; put the longest first.
///
/// # Errors
/// The first failure that a thread met; items after it may not have been worked on.
pub(crate) fn for_each<T: Send>(
    mut items: impl ExactSizeIterator<Item = T> + Send,
    threads: usize,
    work: impl Fn(T) -> Result<()> + Sync,
) -> Result<()> {
    let threads = threads.min(items.len());
    if threads < 2 {
        return items.try_for_each(work);
    }
    let items = Mutex::new(items);
    let take = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    let worker = || -> Result<()> {
        while let Some(item) = take() {
            work(item)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let joined = handles.into_iter().map(|h| h.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.fold(Ok(()), Result::and)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once() {
        for threads in [1, 2, 7] {
            let mut items = vec![0; 100];
            for_each(items.iter_mut(), threads, |item| {
                *item += 1;
                Ok(())
            })
            .unwrap();
            assert!(items.iter().all(|n| *n == 1), "{threads} threads");
        }
    }
}
