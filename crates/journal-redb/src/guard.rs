//! redb on damaged pages may panic. Nothing of that leaves this crate.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `f`; a panic in it becomes its message. What `f` may have left half done must not be used afterwards:
/// callers drop the database, or poison the journal.
pub(crate) fn guard<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| message(&*panic))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(guard(|| 1), Ok(1));
        assert_eq!(
            guard(|| assert_eq!(1, 2, "not {}", 2)).unwrap_err().lines().next(),
            Some("assertion `left == right` failed: not 2")
        );
        assert_eq!(guard(|| std::panic::panic_any(7)), Err::<(), _>("without a message".into()));
    }
}
