//! What a setup has done so far, each step with its undo, so that a failure leaves nothing behind.

use super::error::Result;
use super::kernel::Kernel;

type Step = Box<dyn FnOnce(&mut Kernel) -> Result<()>>;

/// The undos of the steps done so far.
#[derive(Default)]
pub struct Undo(Vec<(String, Step)>);

impl Undo {
    /// Notes how to undo a step that has been done.
    pub fn push(&mut self, what: impl Into<String>, step: impl FnOnce(&mut Kernel) -> Result<()> + 'static) {
        self.0.push((what.into(), Box::new(step)));
    }

    /// Undoes everything, the last step first; what fails is logged.
    pub fn roll_back(self, kernel: &mut Kernel) {
        for (what, step) in self.0.into_iter().rev() {
            match step(kernel) {
                Ok(()) => tracing::debug!("undone: {what}"),
                Err(error) => {
                    tracing::error!(target: "netavark::commands::setup", "failed to undo {what} after setup failed: {error}");
                }
            }
        }
    }
}
