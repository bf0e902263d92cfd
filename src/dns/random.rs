//! Numbers that nobody outside can guess.

use std::cell::RefCell;

/// Random bytes are fetched from the kernel so many at a time.
const STOCK: usize = 512;

/// A stock of random bytes.
#[derive(Default)]
pub struct Random(RefCell<Vec<u8>>);

impl Random {
    /// A number that no one can guess.
    ///
    /// # Errors
    /// When the kernel gives none.
    pub fn number(&self) -> std::io::Result<u16> {
        let mut stock = self.0.borrow_mut();
        if stock.len() < 2 {
            stock.resize(STOCK, 0);
            if let Err(error) = getrandom::fill(&mut stock) {
                stock.clear();
                return Err(std::io::Error::other(error));
            }
        }
        let (high, low) = (stock.pop().unwrap_or_default(), stock.pop().unwrap_or_default());
        Ok(u16::from_be_bytes([high, low]))
    }
}
