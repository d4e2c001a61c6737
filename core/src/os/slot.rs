//! The address of a thread-local without a call.
//!
//! In a shared library each access to a thread-local calls `__tls_get_addr`, which costs more than
//! adding to a counter. With the feature `initial-exec` a word in the static TLS block keeps the
//! address and needs no call. The price: all thread-locals of a library that is loaded later have
//! to fit into the little room that the loader has left there, so it is for libraries that
//! programs are linked with, and they keep their thread-locals small.

/// Defines `fn $name() -> *const $type`, the address of the calling thread's `$local`, which has
/// no destructor, and `fn $known()`, which makes no call and may therefore tell null. `$symbol`
/// names the word and is unique in the program.
#[cfg(all(
    feature = "initial-exec",
    target_os = "linux",
    target_env = "gnu",
    target_arch = "x86_64",
    not(miri)
))]
#[macro_export]
#[doc(hidden)]
macro_rules! thread_address {
    (
        fn $name:ident() and fn $known:ident() -> *const $type:ty,
        of $local:path, as $symbol:literal
    ) => {
        ::core::arch::global_asm!(
            ".pushsection .tbss,\"awT\",@nobits",
            ".p2align 3",
            concat!(".hidden ", $symbol),
            concat!(".globl ", $symbol),
            concat!(".type ", $symbol, ", @object"),
            concat!(".size ", $symbol, ", 8"),
            concat!($symbol, ":"),
            ".zero 8",
            ".popsection",
        );

        #[inline(always)]
        fn $known() -> *const $type {
            let address: *const $type;
            // SAFETY: reads the word defined above in this thread's static TLS block.
            unsafe {
                ::core::arch::asm!(
                    concat!("mov {address}, qword ptr [rip + ", $symbol, "@GOTTPOFF]"),
                    "mov {address}, qword ptr fs:[{address}]",
                    address = out(reg) address,
                    options(pure, readonly, nostack, preserves_flags),
                );
            }
            address
        }

        #[inline(always)]
        fn $name() -> *const $type {
            #[cold]
            #[inline(never)]
            fn first() -> *const $type {
                const { assert!(!::core::mem::needs_drop::<$type>()) };
                let address = $local.with(::core::ptr::from_ref);
                // SAFETY: writes the word defined above; nothing else lies there.
                unsafe {
                    ::core::arch::asm!(
                        concat!("mov {word}, qword ptr [rip + ", $symbol, "@GOTTPOFF]"),
                        "mov qword ptr fs:[{word}], {address}",
                        word = out(reg) _,
                        address = in(reg) address,
                        options(nostack, preserves_flags),
                    );
                }
                address
            }
            let address = $known();
            if address.is_null() { first() } else { address }
        }
    };
}

/// Defines `fn $name() -> *const $type`, the address of the calling thread's `$local`, which has
/// no destructor, and `fn $known()`, which makes no call and may therefore tell null. `$symbol`
/// names the word and is unique in the program.
#[cfg(not(all(
    feature = "initial-exec",
    target_os = "linux",
    target_env = "gnu",
    target_arch = "x86_64",
    not(miri)
)))]
#[macro_export]
#[doc(hidden)]
macro_rules! thread_address {
    (
        fn $name:ident() and fn $known:ident() -> *const $type:ty,
        of $local:path, as $symbol:literal
    ) => {
        #[inline(always)]
        fn $known() -> *const $type {
            $local.with(::core::ptr::from_ref)
        }

        #[inline(always)]
        fn $name() -> *const $type {
            const { assert!(!::core::mem::needs_drop::<$type>()) };
            $known()
        }
    };
}
