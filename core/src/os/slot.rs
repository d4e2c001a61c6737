//! Thread-locals without a call.
//!
//! In a shared library each access to a thread-local calls `__tls_get_addr`, which costs more than
//! adding to a counter. With the feature `initial-exec` it lies in the static TLS block, where it
//! is found by an addition. The price: all thread-locals of a library that is loaded later have
//! to fit into the little room that the loader has left there, so it is for libraries that
//! programs are linked with, and they keep their thread-locals small.

/// Defines `fn $name() -> *const $type`, the address of a value of the calling thread, which is
/// all zeros at first and is never dropped. `$symbol` names it and is unique in the program.
#[cfg(all(
    feature = "initial-exec",
    target_os = "linux",
    target_env = "gnu",
    target_arch = "x86_64",
    not(miri)
))]
#[macro_export]
#[doc(hidden)]
macro_rules! thread_block {
    (fn $name:ident() -> *const $type:ty, as $symbol:literal) => {
        ::core::arch::global_asm!(
            ".pushsection .tbss,\"awT\",@nobits",
            ".p2align 4",
            concat!(".hidden ", $symbol),
            concat!(".globl ", $symbol),
            concat!(".type ", $symbol, ", @object"),
            concat!(".size ", $symbol, ", {size}"),
            concat!($symbol, ":"),
            ".zero {size}",
            ".popsection",
            size = const ::core::mem::size_of::<$type>(),
        );

        #[inline(always)]
        fn $name() -> *const $type {
            const _: $type = $crate::os::zeros();
            let address: *const $type;
            // SAFETY: adds the block's place in a thread's static TLS block to where the calling
            // thread's is, which no thread ever changes.
            unsafe {
                ::core::arch::asm!(
                    "mov {address}, qword ptr fs:[0]",
                    concat!("add {address}, qword ptr [rip + ", $symbol, "@GOTTPOFF]"),
                    address = out(reg) address,
                    options(pure, nomem, nostack),
                );
            }
            address
        }
    };
}

/// Defines `fn $name() -> *const $type`, the address of a value of the calling thread, which is
/// all zeros at first and is never dropped. `$symbol` names it and is unique in the program.
#[cfg(not(all(
    feature = "initial-exec",
    target_os = "linux",
    target_env = "gnu",
    target_arch = "x86_64",
    not(miri)
)))]
#[macro_export]
#[doc(hidden)]
macro_rules! thread_block {
    (fn $name:ident() -> *const $type:ty, as $symbol:literal) => {
        #[inline(always)]
        fn $name() -> *const $type {
            ::std::thread_local! {
                static BLOCK: $type = const { $crate::os::zeros() };
            }
            BLOCK.with(::core::ptr::from_ref)
        }
    };
}

/// What `thread_block!` defines: valid as zeros, without a destructor, and aligned to 16 at most.
#[doc(hidden)]
pub const fn zeros<T: bytemuck::Zeroable>() -> T {
    const { assert!(!std::mem::needs_drop::<T>() && align_of::<T>() <= 16) };
    // SAFETY: zeros are a value of a `Zeroable` type.
    unsafe { std::mem::MaybeUninit::zeroed().assume_init() }
}
