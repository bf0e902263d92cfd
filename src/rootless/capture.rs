//! Frames as they cross the device, in a file that tcpdump(1) reads (draft-ietf-opsawg-pcap).

use std::fs::File;
use std::io::{IoSlice, Write};
use std::path::Path;
use std::time::SystemTime;

use tracing::warn;

/// The file.
#[derive(Debug)]
pub struct Capture {
    file: File,
}

/// Bytes of the largest frame.
const SNAPLEN: u32 = 65535 + 14;

/// LINKTYPE_ETHERNET
const ETHERNET: u32 = 1;

impl Capture {
    /// Makes the file anew, with its header.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn begin(path: &Path) -> std::io::Result<Capture> {
        let truncated = File::create(path)?;
        // Every worker appends whole records.
        let mut file = File::options().append(true).open(path)?;
        drop(truncated);
        let mut header = Vec::with_capacity(24);
        for word in [0xa1b2_c3d4, 2 | (4 << 16), 0, 0, SNAPLEN, ETHERNET] {
            header.extend(u32::to_ne_bytes(word));
        }
        file.write_all(&header)?;
        Ok(Capture { file })
    }

    /// The same once more, for another worker.
    ///
    /// # Errors
    /// When descriptors are short.
    pub fn try_clone(&self) -> std::io::Result<Capture> {
        Ok(Capture { file: self.file.try_clone()? })
    }

    /// The file itself.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Writes a frame; says whether it could.
    pub fn write(&mut self, frame: &[u8]) -> bool {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let length = frame.len() as u32;
        let mut record = [0; 16];
        // Seconds wrap in 2106, as the format has them.
        let words = [since.as_secs() as u32, since.subsec_micros(), length, length];
        record.iter_mut().zip(words.into_iter().flat_map(u32::to_ne_bytes)).for_each(|(place, byte)| *place = byte);
        match self.file.write_vectored(&[IoSlice::new(&record), IoSlice::new(frame)]) {
            Ok(written) if written == record.len() + frame.len() => true,
            Ok(_) => {
                warn!("the packet capture ends: there is no room for more");
                false
            }
            Err(error) => {
                warn!(%error, "the packet capture ends");
                false
            }
        }
    }
}
