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

    /// Takes the values out of which `test` is true, with their numbers.
    pub fn take_if(&mut self, test: impl Fn(&T) -> bool) -> Vec<(u32, T)> {
        let slots = self.0.iter_mut().zip(0..);
        slots.filter_map(|(slot, index)| Some((index, slot.take_if(|value| test(value))?))).collect()
    }

    /// All values with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.0.iter().zip(0..).filter_map(|(slot, index)| Some((index, slot.as_ref()?)))
    }
}
