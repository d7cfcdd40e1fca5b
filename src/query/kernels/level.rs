//! Levels: what the processor can do, found once; and the macro that makes a copy of a kernel for each.
//! Knows instruction sets; knows no kernel.
//!
//! The default build runs everywhere: no kernel needs more than the target's baseline, and a faster copy runs only
//! where the processor has said that it can. `HEADCOUNT_SIMD=baseline|avx2|avx512` lowers the level, for comparisons.

use std::sync::atomic::{AtomicU8, Ordering};

/// Instruction sets that kernels have copies for, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// What every processor of the target has.
    Baseline = 1,
    /// x86-64 with AVX2, BMI2 and POPCNT (2013 on).
    Avx2 = 2,
    /// x86-64 with AVX-512 F, BW, VL, DQ, VBMI, VBMI2 and VPOPCNTDQ (2019 on).
    Avx512 = 3,
}

impl Level {
    /// All of them.
    pub const ALL: [Level; 3] = [Level::Baseline, Level::Avx2, Level::Avx512];

    fn of(number: u8) -> Option<Level> {
        Level::ALL.into_iter().find(|level| *level as u8 == number)
    }

    /// The highest that this processor has.
    pub fn supported() -> Level {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx2") && has!("bmi1") && has!("bmi2") && has!("lzcnt") && has!("popcnt") && has!("sse4.2") {
                let avx512 = has!("avx512f")
                    && has!("avx512bw")
                    && has!("avx512vl")
                    && has!("avx512dq")
                    && has!("avx512vbmi")
                    && has!("avx512vbmi2")
                    && has!("avx512vpopcntdq");
                return if avx512 { Level::Avx512 } else { Level::Avx2 };
            }
        }
        Level::Baseline
    }
}

/// 0: not looked at yet.
static LEVEL: AtomicU8 = AtomicU8::new(0);

/// The level that kernels run at. Never more than [`Level::supported`]: the soundness of every dispatch rests on it.
#[inline]
pub fn level() -> Level {
    #[cfg(test)]
    if let Some(level) = FORCED.get() {
        return level;
    }
    match Level::of(LEVEL.load(Ordering::Relaxed)) {
        Some(level) => level,
        None => find_level(),
    }
}

#[cold]
fn find_level() -> Level {
    let wanted = match std::env::var("HEADCOUNT_SIMD").as_deref() {
        Ok("baseline") => Level::Baseline,
        Ok("avx2") => Level::Avx2,
        _ => Level::Avx512,
    };
    let level = wanted.min(Level::supported());
    LEVEL.store(level as u8, Ordering::Relaxed);
    level
}

#[cfg(test)]
thread_local! {
    static FORCED: std::cell::Cell<Option<Level>> = const { std::cell::Cell::new(None) };
}

/// Runs a test's body at every level that the processor has.
#[cfg(test)]
pub(crate) fn at_each_level(mut body: impl FnMut(Level)) {
    for level in Level::ALL.into_iter().filter(|level| *level <= Level::supported()) {
        FORCED.set(Some(level));
        body(level);
        FORCED.set(None);
    }
}

/// Makes a function of one body with a copy for each level, chosen at every call by one load and a branch.
macro_rules! at_levels {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? $body:block)+) => {$(
        $(#[$meta])*
        #[inline]
        $vis fn $name($($arg: $type),*) $(-> $out)? {
            #[inline(always)]
            fn body($($arg: $type),*) $(-> $out)? $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
            fn avx2($($arg: $type),*) $(-> $out)? {
                body($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq,bmi1,bmi2,lzcnt,popcnt")]
            fn avx512($($arg: $type),*) $(-> $out)? {
                body($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            match $crate::query::kernels::level::level() {
                // SAFETY: the level is never above what the processor reports to have.
                $crate::query::kernels::level::Level::Avx512 => return unsafe { avx512($($arg),*) },
                // SAFETY: as above.
                $crate::query::kernels::level::Level::Avx2 => return unsafe { avx2($($arg),*) },
                $crate::query::kernels::level::Level::Baseline => {}
            }
            body($($arg),*)
        }
    )+};
}

pub(super) use at_levels;
