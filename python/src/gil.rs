//! The interpreter's lock: what it guards, and how a wait lets go of it.

use std::cell::{RefCell, RefMut};
use std::ffi::c_int;

use pyo3::ffi;

/// State that is touched only while the interpreter is attached, and never over foreign code: a
/// second borrow of the same state finds nothing instead of waiting or panicking.
#[derive(Debug, Default)]
pub struct Guarded<T>(RefCell<T>);

// SAFETY: every access happens under the interpreter's lock, which the module keeps by not
// declaring itself free of it.
unsafe impl<T: Send> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    pub const fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    /// The state, unless it is in use further up this very stack.
    #[inline(always)]
    pub fn borrow(&self) -> Option<RefMut<'_, T>> {
        self.0.try_borrow_mut().ok()
    }
}

unsafe extern "C" {
    #[cfg_attr(Py_3_13, link_name = "Py_IsFinalizing")]
    #[cfg_attr(not(Py_3_13), link_name = "_Py_IsFinalizing")]
    safe fn is_finalizing_raw() -> c_int;

    #[cfg_attr(Py_3_13, link_name = "PyThreadState_GetUnchecked")]
    #[cfg_attr(not(Py_3_13), link_name = "_PyThreadState_UncheckedGet")]
    safe fn current_state() -> *mut ffi::PyThreadState;
}

/// Whether this thread has the interpreter's lock, the main interpreter's that is.
/// `PyGILState_Check` says yes to every thread once there has been a sub-interpreter.
pub fn is_held() -> bool {
    // SAFETY: asks about the calling thread only; a state that is this thread's own and current is
    // alive.
    unsafe {
        let own = ffi::PyGILState_GetThisThreadState();
        !own.is_null()
            && own == current_state()
            && ffi::PyThreadState_GetInterpreter(own) == ffi::PyInterpreterState_Main()
    }
}

/// Whether the interpreter is shutting down.
pub fn is_finalizing() -> bool {
    is_finalizing_raw() != 0
}

/// Runs `wait` without the interpreter's lock, if this thread has it.
pub fn without_lock(wait: &mut dyn FnMut()) {
    if !is_held() {
        return wait();
    }
    // SAFETY: this thread holds the lock; `wait` does not touch the interpreter.
    let state = unsafe { ffi::PyEval_SaveThread() };
    wait();
    // A daemon thread that comes back to an interpreter that is being torn down would be unwound
    // through these frames. It has nothing left to do: it sleeps until the process ends.
    while is_finalizing() {
        std::thread::park();
    }
    // SAFETY: the state that was saved above, on the same thread.
    unsafe { ffi::PyEval_RestoreThread(state) };
}
