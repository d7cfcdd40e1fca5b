//! Work on many things side by side: whoever is free takes the next one.
//! Knows threads; knows nothing of the work.

use std::sync::{Mutex, PoisonError};

use crate::error::Result;

/// Threads that this machine runs at a time.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
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
