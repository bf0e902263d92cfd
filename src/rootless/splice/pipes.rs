//! Pipes that data passes through on its way from one socket to another (splice(2)).

use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

/// What a pipe is to hold. All pipes of a user share 64 MiB by default (fs.pipe-user-pages-soft).
pub const PIPE_BYTES: usize = 256 << 10;

/// Pipes that are kept for later.
const KEPT: usize = 16;

/// A pipe with fewer slots is one of a user who has too many: it takes two pieces at a time, and copying is faster.
const SLOTS_MIN: usize = 16;

/// What is copied at once where there is no pipe to speak of.
const COPY_BYTES: usize = 128 << 10;

/// One pipe, which does not block.
#[derive(Debug)]
pub struct Pipe {
    /// Where it is read.
    pub reader: OwnedFd,
    /// Where it is written.
    pub writer: OwnedFd,
    /// Pieces that it has room for: one a page of its size (F_SETPIPE_SZ of fcntl(2)).
    pub slots: usize,
}

/// Empty pipes, and how many there are in all.
#[derive(Debug)]
pub struct Pipes {
    idle: Vec<Pipe>,
    count: usize,
    most: usize,
    /// Room to copy through, once that was needed.
    copy: Vec<u8>,
}

impl Pipe {
    /// Whether it holds too little to be worth it.
    pub fn is_small(&self) -> bool {
        self.slots < SLOTS_MIN
    }
}

impl Pipes {
    /// No pipe yet, and no more than `most` at once.
    pub fn new(most: usize) -> Pipes {
        Pipes { idle: Vec::new(), count: 0, most, copy: Vec::new() }
    }

    /// An empty pipe; `None` when there are as many as there may be.
    pub fn take(&mut self) -> Option<Pipe> {
        if let Some(pipe) = self.idle.pop() {
            return Some(pipe);
        }
        if self.count >= self.most {
            return None;
        }
        let (reader, writer) = pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).ok()?;
        // A user who has many large ones gets a small one (pipe-user-pages-soft, pipe(7)), which does too.
        let size = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES as i32))
            .or_else(|_| fcntl(&writer, FcntlArg::F_GETPIPE_SZ))
            .map_or(4096, |size| usize::try_from(size).unwrap_or(4096));
        self.count += 1;
        Some(Pipe { reader, writer, slots: size / 4096 })
    }

    /// Takes a pipe back that is empty.
    pub fn give_back(&mut self, pipe: Pipe) {
        if self.idle.len() < KEPT {
            self.idle.push(pipe);
        } else {
            self.discard(pipe);
        }
    }

    /// Room to copy through from one socket to another.
    pub fn copy(&mut self) -> &mut [u8] {
        self.copy.resize(COPY_BYTES, 0);
        &mut self.copy
    }

    /// Closes a pipe, with what is in it.
    pub fn discard(&mut self, pipe: Pipe) {
        drop(pipe);
        self.count -= 1;
    }

    /// How many are idle.
    pub fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Takes a pipe that was made elsewhere.
    #[cfg(test)]
    pub fn adopt(&mut self, pipe: Pipe) {
        self.count += 1;
        self.idle.push(pipe);
    }

    /// How many there are in all.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_are_used_again_and_bounded() {
        let mut pipes = Pipes::new(KEPT + 2);
        let mut taken: Vec<Pipe> = std::iter::from_fn(|| pipes.take()).collect();
        assert_eq!((taken.len(), pipes.count()), (KEPT + 2, KEPT + 2));
        pipes.discard(taken.pop().unwrap());
        taken.into_iter().for_each(|pipe| pipes.give_back(pipe));
        assert_eq!((pipes.idle.len(), pipes.count()), (KEPT, KEPT));
        assert!(pipes.take().is_some_and(|pipe| pipe.slots > 0));
        assert_eq!(pipes.count(), KEPT);
    }
}
