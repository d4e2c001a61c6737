//! The thread's current span.
//!
//! Each thread has a stack of attached spans. Whoever detaches, on whatever thread and in
//! whatever order, only marks; the owner of the stack clears up at its next look. The top is kept
//! aside in plain cells for the log call.
//!
//! A host knows better what is current for a thread that runs its code: it is asked first, and told
//! what is attached there. The thread's own stack counts where the host cannot tell.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use bytemuck::Zeroable;
use coati_core::record::SpanIds;
use coati_core::span::SpanContext;

use crate::context::Carried;
use crate::entry::entry;
use crate::handle::borrow;
use crate::host::Host;
use crate::span::coati_span;
use crate::status::{Failure, Outcome, coati_status};

/// A span that is current on the thread that attached it. coati_scope_detach ends that and frees
/// the scope.
pub struct coati_scope {
    context: SpanContext,
    carried: Carried,
    /// The host that was told, and what undoes it there.
    told: Option<(&'static dyn Host, AtomicPtr<c_void>)>,
    detached: AtomicBool,
    /// Raised when a scope of the owner's stack has been detached.
    stale: Arc<AtomicBool>,
}

struct Stack {
    scopes: RefCell<Vec<Arc<coati_scope>>>,
    stale: Arc<AtomicBool>,
}

/// What is kept aside of the top of the stack.
#[derive(Zeroable)]
struct Top {
    /// The stack's flag; null when nothing is attached.
    stale: Cell<*const AtomicBool>,
    ids: Cell<SpanIds>,
    flags: Cell<(u8, bool)>,
}

thread_local! {
    static STACK: Stack = Stack { scopes: RefCell::default(), stale: Arc::default() };
}

coati_core::thread_block!(fn address() -> *const Top, as "coati_capi_current_0_1");

#[inline(always)]
fn top<'a>() -> &'a Top {
    // SAFETY: a thread-local without a destructor lives as long as its thread, and a reference to
    // cells cannot leave the thread.
    unsafe { &*address() }
}

impl Drop for Stack {
    fn drop(&mut self) {
        top().stale.set(std::ptr::null());
    }
}

/// Whether a span is current, where that is known without a look at the stack.
#[inline(always)]
pub(crate) fn is_any() -> Option<bool> {
    // SAFETY: the flag belongs to this thread's stack, which takes it away when it goes.
    // Relaxed: `clear_up` synchronises.
    match unsafe { top().stale.get().as_ref() } {
        None => Some(false),
        Some(stale) => (!stale.load(Ordering::Relaxed)).then_some(true),
    }
}

/// The same with a look if need be.
fn has_any() -> bool {
    is_any().unwrap_or_else(clear_up)
}

/// The ids of the span that is current on this thread.
pub(crate) fn ids() -> Option<SpanIds> {
    if has_any() { top_ids() } else { None }
}

/// The same where it is known that there is one.
#[inline(always)]
pub(crate) fn top_ids() -> Option<SpanIds> {
    let ids = top().ids.get();
    // A span that a switched-off tracer made has none.
    (ids.trace_id.is_valid() && ids.span_id.is_valid()).then_some(ids)
}

/// The same where there is a host.
pub(crate) fn ids_for(host: &'static dyn Host) -> Option<SpanIds> {
    host.current().map_or_else(ids, |context| context.ids())
}

/// The context of the current span.
pub(crate) fn context(host: Option<&'static dyn Host>) -> Option<SpanContext> {
    host.and_then(Host::current).or_else(|| {
        has_any().then(|| {
            let (SpanIds { trace_id, span_id }, (trace_flags, remote)) =
                (top().ids.get(), top().flags.get());
            SpanContext { trace_id, span_id, trace_flags, remote }
        })
    })
}

/// What goes with the current span.
pub(crate) fn carried(host: Option<&'static dyn Host>) -> Carried {
    if let Some(host) = host.filter(|host| host.current().is_some()) {
        return host.carried();
    }
    let top = || STACK.try_with(|stack| stack.scopes.borrow().last().map(|s| s.carried.clone()));
    if has_any() { top().ok().flatten().unwrap_or_default() } else { Carried::default() }
}

/// Takes detached scopes off the stack; whether one is left.
#[cold]
fn clear_up() -> bool {
    let left = STACK.try_with(|stack| {
        // Acquire: pairs with the Release in `coati_scope_detach`; whoever raised the flag has
        // marked its scope before.
        stack.stale.swap(false, Ordering::Acquire);
        let mut scopes = stack.scopes.borrow_mut();
        scopes.retain(|scope| !scope.detached.load(Ordering::Relaxed));
        show(stack, scopes.last());
        !scopes.is_empty()
    });
    left.unwrap_or(false)
}

fn show(stack: &Stack, scope: Option<&Arc<coati_scope>>) {
    let top = top();
    let Some(scope) = scope else { return top.stale.set(std::ptr::null()) };
    let SpanContext { trace_id, span_id, trace_flags, remote } = scope.context;
    top.ids.set(SpanIds { trace_id, span_id });
    top.flags.set((trace_flags, remote));
    top.stale.set(Arc::as_ptr(&stack.stale));
}

fn attach(span: &coati_span) -> Option<Arc<coati_scope>> {
    let context = *span.context();
    let tell = |host: &'static dyn Host| {
        let attached = host.attach(&context);
        (!attached.is_null()).then(|| (host, AtomicPtr::new(attached)))
    };
    let pushed = STACK.try_with(|stack| {
        let scope = Arc::new(coati_scope {
            context,
            carried: span.carried().clone(),
            told: span.host().and_then(tell),
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
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_span_attach(
    span: *mut coati_span,
    out: *mut *mut coati_scope,
) -> coati_status {
    entry(|| {
        // SAFETY: null or a live handle; `out` null or the caller's to write.
        unsafe {
            crate::handle::fill(out, std::ptr::null_mut(), borrow(span), |span| {
                let scope = attach(span).ok_or(Failure::Stopped)?;
                Ok(Arc::into_raw(scope).cast_mut())
            })
        }
    })
}

/// Ends that the scope's span is current and frees the scope. Scopes may be detached in any order
/// and on any thread.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_scope_detach(scope: *mut coati_scope) -> coati_status {
    entry(|| -> Outcome {
        if scope.is_null() {
            return Err(Failure::NullHandle);
        }
        // SAFETY: from `coati_span_attach`, and the caller does not use it again.
        let scope = unsafe { Arc::from_raw(scope) };
        if let Some((host, attached)) = &scope.told {
            // SAFETY: from `attach` of this host; a scope is detached once.
            unsafe { host.detach(attached.load(Ordering::Relaxed)) };
        }
        // Relaxed and then Release: who finds the flag raised finds the scope marked.
        scope.detached.store(true, Ordering::Relaxed);
        scope.stale.store(true, Ordering::Release);
        Ok(())
    })
}
