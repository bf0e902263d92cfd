//! What the modules of `frame` promise together.

mod build;
mod classify;
mod fragments;
