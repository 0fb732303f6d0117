//! Stand-ins for the unwinder and for what names threads, in the shipped program alone.
//!
//! There a panic prints its message and ends the process: nothing is unwound, and a backtrace would
//! name nothing, since the symbols are stripped. But std can't know that, and links libunwind with a
//! reader and an unpacker of debug information, 200 KiB of them. They all hang on these functions
//! (library/unwind/src/libunwinding.rs of Rust). A walk up the stack that ends at once leaves them
//! without use, and the linker drops them.

#![allow(unsafe_code, non_snake_case)]

use std::ffi::{c_char, c_int, c_void};

/// `_URC_END_OF_STACK` of the Itanium C++ ABI.
const END_OF_STACK: c_int = 5;

type Visit = extern "C" fn(context: *mut c_void, argument: *mut c_void) -> c_int;

/// Shows no frame. Called by the panic message under `RUST_BACKTRACE=1`.
// SAFETY (of the name): as the ABI has it, and it touches nothing.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_visit: Visit, _argument: *mut c_void) -> c_int {
    END_OF_STACK
}

/// Names no thread. std names its own, for which the C library has `printf`: 10 KiB.
// SAFETY (of the name): as pthread_setname_np(3) has it, and it touches nothing.
#[unsafe(no_mangle)]
extern "C" fn pthread_setname_np(_thread: *mut c_void, _name: *const c_char) -> c_int {
    0
}

/// A function that only a frame's visitor or an exception would call: there are none.
macro_rules! never_called {
    ($($name:ident($($argument:ty),*) $(-> $result:ty)?;)*) => {
        $(
            // SAFETY (of the name): as the ABI has it, and it ends the process.
            #[unsafe(no_mangle)]
            extern "C" fn $name($(_: $argument),*) $(-> $result)? {
                std::process::abort()
            }
        )*
    };
}

never_called! {
    _Unwind_FindEnclosingFunction(*mut c_void) -> *mut c_void;
    _Unwind_GetCFA(*mut c_void) -> usize;
    _Unwind_GetDataRelBase(*mut c_void) -> usize;
    _Unwind_GetIP(*mut c_void) -> usize;
    _Unwind_GetIPInfo(*mut c_void, *mut c_int) -> usize;
    _Unwind_GetLanguageSpecificData(*mut c_void) -> *mut c_void;
    _Unwind_GetRegionStart(*mut c_void) -> usize;
    _Unwind_GetTextRelBase(*mut c_void) -> usize;
    _Unwind_Resume(*mut c_void);
    _Unwind_SetGR(*mut c_void, c_int, usize);
    _Unwind_SetIP(*mut c_void, usize);
}
