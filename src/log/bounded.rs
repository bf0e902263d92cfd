//! A log file of a bounded size: when it is full the older half of its lines goes.
//!
//! Several processes write to it, each with the same descriptor; a record lock (fcntl(2)), which belongs to a process, lets one at a
//! time.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use tracing_subscriber::fmt::MakeWriter;

use crate::config::LogFile;
use crate::sys;

/// The file.
#[derive(Clone, Debug)]
pub(super) struct Bounded {
    file: Arc<File>,
    most: u64,
    /// What stays at its beginning.
    header: u64,
}

impl Bounded {
    /// Makes the file anew, with its first line.
    pub(super) fn begin(path: &Path, log: &LogFile) -> io::Result<Bounded> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        let header = format!("{}\n", log.header);
        file.write_all(header.as_bytes())?;
        Ok(Bounded { file: Arc::new(file), most: log.bytes, header: header.len() as u64 })
    }

    /// The file, which processes that write to it keep open.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    fn append(&self, line: &[u8]) -> io::Result<()> {
        let room = self.most.saturating_sub(self.header) as usize;
        let line = line.get(..line.len().min(room)).unwrap_or_default();
        let mut end = (&*self.file).seek(SeekFrom::End(0))?;
        if end + line.len() as u64 > self.most {
            end = self.forget(end)?;
        }
        if end + line.len() as u64 > self.most {
            end = self.header;
            self.file.set_len(end)?;
        }
        self.file.write_all_at(line, end)
    }

    /// Moves the younger half to the front; returns where the file ends then.
    fn forget(&self, end: u64) -> io::Result<u64> {
        let keep = self.most.saturating_sub(self.header) / 2;
        let from = end.saturating_sub(keep).max(self.header).min(end);
        let mut kept = vec![0; (end - from) as usize];
        self.file.read_exact_at(&mut kept, from)?;
        // A line that was cut says nothing.
        let whole = kept.iter().position(|byte| *byte == b'\n').map_or(kept.len(), |at| at + 1);
        let kept = kept.get(whole..).unwrap_or_default();
        self.file.write_all_at(kept, self.header)?;
        let end = self.header + kept.len() as u64;
        self.file.set_len(end)?;
        Ok(end)
    }
}

impl Write for &Bounded {
    /// Appends one line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        sys::lock_record(&self.file, true)?;
        let done = self.append(line);
        sys::lock_record(&self.file, false)?;
        done.map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Bounded {
    type Writer = &'a Bounded;

    fn make_writer(&'a self) -> &'a Bounded {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_youngest_lines_stay() {
        let path = std::env::temp_dir().join(format!("rnet-log-test-{}", std::process::id()));
        let log = LogFile { bytes: 16384, header: "header".into() };
        let bounded = Bounded::begin(&path, &log).unwrap();
        for number in 0..5000 {
            (&bounded).write_all(format!("line {number:>6} {}\n", "x".repeat(40)).as_bytes()).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.len() <= 16384 && text.len() > 8000, "{}", text.len());
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("header"));
        let numbers: Vec<u32> = lines.map(|line| line[5..11].trim().parse().unwrap()).collect();
        assert_eq!(numbers.last(), Some(&4999));
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]));
        // A line that is longer than the file is cut.
        (&bounded).write_all(&[b'y'; 40000]).unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() <= 16384);
        std::fs::remove_file(&path).unwrap();
    }
}
