//! The thread's current span.
//!
//! Each thread has a stack of attached spans. Whoever detaches, on whatever thread and in
//! whatever order, only marks; the owner of the stack clears up at its next look. The top is kept
//! aside in plain cells for the log call.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use coati_core::span::SpanContext;

use crate::entry::entry;
use crate::handle::borrow;
use crate::span::coati_span;
use crate::status::{Failure, Outcome, coati_status};

/// A span that is current on the thread that attached it. coati_scope_detach ends that and frees
/// the scope.
pub struct coati_scope {
    context: SpanContext,
    detached: AtomicBool,
    /// Raised when a scope of the owner's stack has been detached.
    stale: Arc<AtomicBool>,
}

struct Stack {
    scopes: RefCell<Vec<Arc<coati_scope>>>,
    stale: Arc<AtomicBool>,
}

#[derive(Clone, Copy)]
struct Top {
    context: SpanContext,
    /// The stack's flag; null when nothing is attached.
    stale: *const AtomicBool,
}

const NOTHING: Option<Top> = None;

thread_local! {
    static TOP: Cell<Option<Top>> = const { Cell::new(NOTHING) };
    static STACK: Stack = Stack { scopes: RefCell::default(), stale: Arc::default() };
}

impl Drop for Stack {
    fn drop(&mut self) {
        TOP.with(|top| top.set(NOTHING));
    }
}

/// The context of the current span.
#[inline(always)]
pub(crate) fn current() -> Option<SpanContext> {
    let top = TOP.with(Cell::get)?;
    // SAFETY: the flag belongs to this thread's stack, which takes the top away when it goes.
    // Relaxed: `clear_up` synchronises.
    if unsafe { &*top.stale }.load(Ordering::Relaxed) {
        return clear_up();
    }
    Some(top.context)
}

#[cold]
fn clear_up() -> Option<SpanContext> {
    let _ = STACK.try_with(|stack| {
        // Acquire: pairs with the Release in `coati_scope_detach`; whoever raised the flag has
        // marked its scope before.
        stack.stale.swap(false, Ordering::Acquire);
        let mut scopes = stack.scopes.borrow_mut();
        scopes.retain(|scope| !scope.detached.load(Ordering::Relaxed));
        show(stack, scopes.last());
    });
    TOP.with(Cell::get).map(|top| top.context)
}

fn show(stack: &Stack, scope: Option<&Arc<coati_scope>>) {
    let stale = Arc::as_ptr(&stack.stale);
    TOP.with(|top| top.set(scope.map(|scope| Top { context: scope.context, stale })));
}

fn attach(context: SpanContext) -> Option<Arc<coati_scope>> {
    let pushed = STACK.try_with(|stack| {
        let scope = Arc::new(coati_scope {
            context,
            detached: AtomicBool::new(false),
            stale: stack.stale.clone(),
        });
        let mut scopes = stack.scopes.borrow_mut();
        if stack.stale.swap(false, Ordering::Acquire) {
            scopes.retain(|scope| !scope.detached.load(Ordering::Relaxed));
        }
        scopes.push(scope.clone());
        show(stack, Some(&scope));
        scope
    });
    pushed.ok()
}

/// Makes a span current on this thread: log lines carry its ids and spans started without a
/// parent become its children. The span may end or be freed before its scope is detached.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coati_span_attach(
    span: *mut coati_span,
    out: *mut *mut coati_scope,
) -> coati_status {
    entry(|| {
        // SAFETY: null or a live handle; `out` null or the caller's to write.
        unsafe {
            crate::handle::fill(out, std::ptr::null_mut(), borrow(span), |span| {
                let scope = attach(*span.context()).ok_or(Failure::Stopped)?;
                Ok(Arc::into_raw(scope).cast_mut())
            })
        }
    })
}

/// Ends that the scope's span is current and frees the scope. Scopes may be detached in any order
/// and on any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coati_scope_detach(scope: *mut coati_scope) -> coati_status {
    entry(|| -> Outcome {
        if scope.is_null() {
            return Err(Failure::NullHandle);
        }
        // SAFETY: from `coati_span_attach`, and the caller does not use it again.
        let scope = unsafe { Arc::from_raw(scope) };
        // Relaxed and then Release: who finds the flag raised finds the scope marked.
        scope.detached.store(true, Ordering::Relaxed);
        scope.stale.store(true, Ordering::Release);
        Ok(())
    })
}
