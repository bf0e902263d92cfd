//! Where the server listens.

/// TCP: takes the pattern until the end of the stream, or for as long as the first eight bytes say (milliseconds), then
/// answers with a receipt.
pub const SINK: u16 = 7001;
/// TCP: sends the pattern for as long as the first eight bytes say (milliseconds).
pub const SOURCE: u16 = 7002;
/// TCP: one request, one response, and the server closes.
pub const REQUEST: u16 = 7003;
/// TCP and UDP: gives back what it gets.
pub const ECHO: u16 = 7004;
/// TCP: arranges one UDP measurement, which gets a port of its own.
pub const UDP_CONTROL: u16 = 7005;
