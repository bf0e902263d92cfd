//! Sockets by the small numbers that the stack gives its flows.

/// A table indexed by numbers that are dense and reused.
#[derive(Debug)]
pub struct Slots<T>(Vec<Option<T>>);

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots(Vec::new())
    }
}

impl<T> Slots<T> {
    /// Puts a value at `index`; the former one is dropped.
    pub fn put(&mut self, index: u32, value: T) {
        let index = index as usize;
        if index >= self.0.len() {
            self.0.resize_with(index + 1, || None);
        }
        self.0[index] = Some(value);
    }

    /// The value at `index`.
    pub fn get(&self, index: u32) -> Option<&T> {
        self.0.get(index as usize)?.as_ref()
    }

    /// The value at `index`, to be changed.
    pub fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.0.get_mut(index as usize)?.as_mut()
    }

    /// Takes the value at `index` out.
    pub fn take(&mut self, index: u32) -> Option<T> {
        self.0.get_mut(index as usize)?.take()
    }
}
