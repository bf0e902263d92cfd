//! A terminal with a user's shell in it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::pty::{Winsize, openpty};

use super::{Bed, eventually};

/// An interactive bash on a pseudo terminal on the host, as the bed's user.
pub struct Terminal {
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    read: usize,
    shell: Child,
}

impl Bed {
    /// Opens a terminal and waits for the prompt.
    pub fn terminal(&self) -> Terminal {
        let pty = openpty(Some(&size(24, 80)), None).unwrap();
        let cmd = super::Cmd::new(
            self,
            super::Side::Host,
            self.account.clone(),
            vec!["bash".into(), "--norc".into(), "-i".into()],
        );
        let mut command = cmd.env("PS1", "ready> ").env("HISTFILE", "").command();
        let slave = File::from(pty.slave);
        command.stdin(Stdio::from(slave.try_clone().unwrap())).stdout(Stdio::from(slave.try_clone().unwrap()));
        command.stderr(Stdio::from(slave));
        let shell = self.sh("").launch(command);
        let keyboard = File::from(pty.master);
        let mut source = keyboard.try_clone().unwrap();
        let screen = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&screen);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = source.read(&mut buffer) {
                into.lock().unwrap().extend(&buffer[..length]);
            }
        });
        let mut terminal = Terminal { keyboard, screen, read: 0, shell };
        terminal.expect("ready> ");
        terminal.type_line("bind 'set enable-bracketed-paste off'; stty -echo");
        terminal.expect("ready> ");
        terminal
    }
}

impl Terminal {
    /// Types a line and presses return.
    pub fn type_line(&mut self, line: &str) {
        self.keyboard.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Presses a control key: `press('C')`.
    pub fn press(&mut self, control: char) {
        self.keyboard.write_all(&[control as u8 & 0x1f]).unwrap();
    }

    /// Changes the window's size, as a terminal emulator does when its window is dragged.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        let size = size(rows, columns);
        // SAFETY: the descriptor is an open terminal and `size` a valid winsize.
        let result = unsafe { libc::ioctl(self.keyboard.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        assert_eq!(result, 0, "TIOCSWINSZ");
    }

    /// Waits, up to 15 s, until `text` appears after what was expected last; gives what came before it.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        let mut before = None;
        eventually(Duration::from_secs(15), || {
            let screen = self.screen.lock().unwrap();
            let new = &screen[self.read..];
            let found = new.windows(text.len()).position(|window| window == text.as_bytes());
            before = found.map(|at| (String::from_utf8_lossy(&new[..at]).into_owned(), at + text.len()));
            before.is_some()
        });
        let Some((before, used)) = before else {
            panic!(
                "no {text:?} on the terminal, but {:?}",
                String::from_utf8_lossy(&self.screen.lock().unwrap()[self.read..])
            )
        };
        self.read += used;
        before
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}
