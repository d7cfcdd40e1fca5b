//! Help with a piece of work that lives on its caller's stack: helpers come when they are awake, and nobody waits for one
//! who has not begun.
//! Knows threads; knows no shares.
#![allow(unsafe_code)] // what helpers run is borrowed from the caller, who may leave before they come

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;

/// In [`Call::state`]: the caller takes no more help.
const OVER: usize = 1;
/// In [`Call::state`]: a helper at work.
const HELPER: usize = 2;
/// A caller looks so often whether the last helper is done before it sleeps.
const LOOKS: usize = 64;

/// A call for help.
struct Call {
    /// What helpers run. It is there until `state` is [`OVER`] and nothing else.
    help: *const (dyn Fn() + Sync),
    state: AtomicUsize,
    caller: Thread,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `help` is shared by reference alone, and what it points to is `Sync`; all else is both.
unsafe impl Send for Call {}
// SAFETY: as above.
unsafe impl Sync for Call {}

impl Call {
    /// Helps, unless it is over.
    fn answer(&self) {
        let enter = |state: usize| (state & OVER == 0).then_some(state + HELPER);
        if self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, enter).is_err() {
            return;
        }
        // SAFETY: whoever called stays until this helper is no longer counted, see `Over`, and holds what this points to.
        let help = unsafe { &*self.help };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(help)) {
            *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
        }
        if self.state.fetch_sub(HELPER, Ordering::AcqRel) == OVER + HELPER {
            self.caller.unpark();
        }
    }
}

/// Ends a call when dropped: waits for those who help, and for nobody else.
struct Over<'a>(&'a Call);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        let mut looks = 0;
        let mut state = self.0.state.fetch_or(OVER, Ordering::AcqRel) | OVER;
        while state != OVER {
            match looks < LOOKS {
                true => std::hint::spin_loop(),
                false => std::thread::park(),
            }
            looks += 1;
            state = self.0.state.load(Ordering::Acquire);
        }
    }
}

/// Leads some work while helpers of a pool do `help`, so many of them at most. Each of them runs `as_helper`, whose argument
/// helps unless it is over. The work must be done when `lead` has returned and so has everybody who began to help.
///
/// A helper's panic goes on in the caller.
pub(super) fn with_help<R>(
    pool: &rayon::ThreadPool,
    helpers: usize,
    lead: impl FnOnce() -> R,
    help: &(dyn Fn() + Sync),
    as_helper: impl FnOnce(&dyn Fn()) + Clone + Send + 'static,
) -> R {
    let help: *const (dyn Fn() + Sync) = help;
    // SAFETY: only the lifetime changes; `Over` keeps this function from returning while anyone is in it, and whoever comes
    // later does not look at it.
    let help: *const (dyn Fn() + Sync + 'static) = unsafe { std::mem::transmute(help) };
    let call = Call { help, state: AtomicUsize::new(0), caller: std::thread::current(), panic: Mutex::default() };
    let call = Arc::new(call);
    let over = Over(&call);
    for _ in 0..helpers {
        let (call, as_helper) = (call.clone(), as_helper.clone());
        pool.spawn(move || as_helper(&|| call.answer()));
    }
    let led = lead();
    drop(over);
    if let Some(panic) = call.panic.lock().unwrap_or_else(PoisonError::into_inner).take() {
        resume_unwind(panic);
    }
    led
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic;
    use std::sync::atomic::AtomicBool;
    use std::time::{Duration, Instant};

    fn pool(threads: usize) -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
    }

    #[test]
    fn nobody_waits_for_a_helper_who_has_not_begun() {
        let pool = pool(1);
        let (is_held, release) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (held, released) = (is_held.clone(), release.clone());
        pool.spawn(move || {
            held.store(true, Ordering::SeqCst);
            while !released.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        });
        while !is_held.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let helped = AtomicUsize::new(0);
        let help = || _ = helped.fetch_add(1, Ordering::SeqCst);
        assert_eq!(with_help(&pool, 1, || 7, &help, |answer| answer()), 7, "while the only helper is busy");
        release.store(true, Ordering::SeqCst);
        // The one who comes too late finds that it is over.
        pool.install(|| ());
        assert_eq!(helped.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn whoever_has_begun_is_waited_for() {
        let pool = pool(3);
        for round in 0..2_000u64 {
            let (begun, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let help = || {
                begun.fetch_add(1, Ordering::SeqCst);
                let until = Instant::now() + Duration::from_micros(round % 50);
                while Instant::now() < until {
                    std::thread::yield_now();
                }
                done.fetch_add(1, Ordering::SeqCst);
            };
            // The lead ends now at once, now after all have come.
            let lead = || while round % 3 == 0 && begun.load(Ordering::SeqCst) < 3 {};
            with_help(&pool, 3, lead, &help, |answer| answer());
            assert_eq!(begun.load(Ordering::SeqCst), done.load(Ordering::SeqCst));
            assert!(round % 3 > 0 || done.load(Ordering::SeqCst) == 3);
        }
    }

    #[test]
    fn panics_go_on_in_the_caller_when_all_helpers_are_done() {
        let pool = pool(2);
        let begun = AtomicUsize::new(0);
        let help = || {
            begun.fetch_add(1, Ordering::SeqCst);
            panic!("on purpose");
        };
        let all_begun = || while begun.load(Ordering::SeqCst) < 2 {};
        let caught = panic::catch_unwind(AssertUnwindSafe(|| with_help(&pool, 2, all_begun, &help, |answer| answer())));
        assert!(caught.is_err());
        let done = AtomicUsize::new(0);
        let help = || _ = done.fetch_add(1, Ordering::SeqCst);
        let fails = || {
            while done.load(Ordering::SeqCst) < 2 {}
            panic!("on purpose");
        };
        let caught = panic::catch_unwind(AssertUnwindSafe(|| with_help(&pool, 2, fails, &help, |answer| answer())));
        assert!(caught.is_err() && done.load(Ordering::SeqCst) == 2);
    }
}
