//! Memory that was needed to start and is not needed to run.

/// Gives memory that was freed back to the system: what reading, checking and preparing a model takes for a moment is
/// about twice what the model needs in the end, and glibc keeps the small pieces of it.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it touches no memory that is in use, and may be called by any thread at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}
