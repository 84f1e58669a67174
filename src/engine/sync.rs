//! The primitives that the hand-written concurrency is built on: those of `std`, and shuttle's in this crate's own unit
//! tests, which walk through interleavings.

#[cfg(test)]
pub(super) use shuttle::sync::atomic::{AtomicUsize, Ordering};
#[cfg(test)]
pub(super) use shuttle::sync::{Condvar, Mutex, MutexGuard};
#[cfg(test)]
pub(super) use shuttle::thread;
#[cfg(not(test))]
pub(super) use std::sync::atomic::{AtomicUsize, Ordering};
#[cfg(not(test))]
pub(super) use std::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(test))]
pub(super) use std::thread;

pub(super) use std::sync::Arc;
pub(super) use std::sync::PoisonError;

/// Locks, also after a panic elsewhere: what these locks guard is whole between any two statements.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits on `condvar` until `is_over`.
pub(super) fn wait_until<'a, T>(
    condvar: &Condvar,
    mut guard: MutexGuard<'a, T>,
    mut is_over: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    while !is_over(&mut guard) {
        guard = condvar.wait(guard).unwrap_or_else(PoisonError::into_inner);
    }
    guard
}

/// The same for what needs no walk through interleavings: nothing here may wait while it is locked.
pub(super) fn lock_std<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
