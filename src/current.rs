//! PURE  A value that many threads read, and that a reload of the configuration replaces as a whole.

use std::sync::{Arc, PoisonError, RwLock};

/// The current value. Not for the path of a packet: reading takes a lock for a moment.
#[derive(Debug, Default)]
pub struct Current<T>(RwLock<Arc<T>>);

impl<T> Current<T> {
    /// Begins with `value`.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(RwLock::new(Arc::new(value)))
    }

    /// The value. It stays as it is for whoever holds it.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the value.
    pub fn set(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_the_old_value_keeps_it_and_others_get_the_new_one() {
        let current = Current::new(1);
        let held = current.get();
        current.set(2);
        assert_eq!((*held, *current.get()), (1, 2));
    }
}
