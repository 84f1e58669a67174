//! Reserved for forks.
