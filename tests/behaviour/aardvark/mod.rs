//! The container name server: called as aardvark-dns is, with files that the test writes, asked with dig. What Debian's aardvark-dns
//! does too is held against that one by the same test. Root only.

/// Makes each function `name(room: &Room)` a test with each server, `name::rnet` and `name::debian`.
macro_rules! each_server {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            use crate::aardvark::room::{DEBIAN, RNET, Room};
            use crate::bed::{Bed, User};

            #[test]
            fn rnet() {
                Bed::with(User::Root, |bed| super::$name(&Room::new(bed, RNET)));
            }
            #[test]
            fn debian() {
                Bed::with(User::Root, |bed| super::$name(&Room::new(bed, DEBIAN)));
            }
        }
    )*};
}

/// Makes each function `name(room: &Room)` a test with rnet's server.
macro_rules! rnets {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            use crate::aardvark::room::{RNET, Room};
            use crate::bed::{Bed, User};

            #[test]
            fn rnet() {
                Bed::with(User::Root, |bed| super::$name(&Room::new(bed, RNET)));
            }
        }
    )*};
}

mod answers;
mod forwards;
mod hostile;
mod life;
mod load;
mod room;
mod shared;
