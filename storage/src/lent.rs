//! A part of a view that a thread of its own holds and works on, one piece of work after the other.
//! Knows threads and whose turn it is; knows nothing of the work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::error::{Error, Result};

type Work<P> = Box<dyn FnOnce(&mut P) -> Result<()> + Send>;

/// What the thread is asked to do.
enum Job<P> {
    Work(Work<P>),
    /// The part is taken away, …
    Take(Sender<Result<P>>),
    /// … and put back.
    Put(P),
}

/// A part that is lent to a thread.
pub(crate) struct Lent<P> {
    jobs: Sender<Job<P>>,
    failed: Arc<AtomicBool>,
}

impl<P: Default + Send + 'static> Lent<P> {
    /// Lends a part to a new thread; so many pieces of work may wait for it.
    pub(crate) fn start(name: &str, part: P, waiting_max: usize) -> Lent<P> {
        let (jobs, from_owner) = bounded(waiting_max);
        let failed = Arc::<AtomicBool>::default();
        let fails = failed.clone();
        // Where no thread is to be had, nobody takes the jobs, and sending the first one says so.
        let _ = spawn(name, move || run(part, &from_owner, &fails));
        Lent { jobs, failed }
    }

    /// Has work done on the part, after all that was sent before.
    ///
    /// # Errors
    /// That of a piece of work before; none after it is done.
    pub(crate) fn send(&self, work: impl FnOnce(&mut P) -> Result<()> + Send + 'static) -> Result<()> {
        self.queue(Job::Work(Box::new(work)))
    }

    /// Takes the part back once all work on it is done.
    ///
    /// # Errors
    /// That of a piece of work.
    pub(crate) fn take(&self) -> Result<P> {
        let (sender, receiver) = bounded(1);
        self.jobs.send(Job::Take(sender)).map_err(|_| stopped())?;
        receiver.recv().map_err(|_| stopped())?
    }

    /// Lends the part again.
    ///
    /// # Errors
    /// As [`Lent::send`].
    pub(crate) fn put(&self, part: P) -> Result<()> {
        self.queue(Job::Put(part))
    }

    fn queue(&self, job: Job<P>) -> Result<()> {
        if self.failed.load(Ordering::Relaxed) {
            self.take()?;
        }
        self.jobs.send(job).map_err(|_| stopped())
    }
}

fn run<P: Default>(mut part: P, jobs: &Receiver<Job<P>>, failed: &AtomicBool) {
    let mut error: Option<Error> = None;
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Work(work) if error.is_none() => {
                error = work(&mut part).err();
                failed.store(error.is_some(), Ordering::Relaxed);
            }
            Job::Work(_) => {}
            Job::Take(answer) => {
                let part = std::mem::take(&mut part);
                let _ = answer.send(error.clone().map_or(Ok(part), Err));
            }
            Job::Put(lent) => part = lent,
        }
    }
}

/// Starts a thread.
///
/// # Errors
/// [`Error::Refused`] where there is none to be had.
pub(crate) fn spawn<T: Send + 'static>(name: &str, body: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>> {
    let spawned = std::thread::Builder::new().name(name.into()).spawn(body);
    spawned.map_err(|error| Error::Refused { code: "no_threads", reason: error.to_string() })
}

fn stopped() -> Error {
    Error::WritesStopped { reason: "a thread of the load has stopped".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_in_turn_until_one_piece_fails() {
        let lent = Lent::start("test", vec![1], 2);
        let push = |number| {
            move |part: &mut Vec<i32>| {
                part.push(number);
                Ok(())
            }
        };
        lent.send(push(2)).unwrap();
        lent.send(push(3)).unwrap();
        let part = lent.take().unwrap();
        assert_eq!(part, [1, 2, 3]);
        lent.put(part).unwrap();
        lent.send(|_| Err(Error::Refused { code: "bad_batch", reason: "a test".into() })).unwrap();
        // Whatever comes after it is left, and says why: at once or a little later.
        while lent.send(push(4)).is_ok() {}
        assert!(matches!(lent.take(), Err(Error::Refused { code: "bad_batch", .. })));
        assert!(lent.put(vec![]).is_err());
    }
}
