//! gRPC's own framing (grpc/doc/PROTOCOL-HTTP2.md): a flag, the length, and the message; and its way to write text into a header.

use h2::RecvStream;
use prost::Message;

use super::{Code, Status};

/// The length of what stands before a message.
const PREFIX: usize = 5;
/// A longer message is refused.
const LONGEST: usize = 1 << 20;

/// A message with its prefix.
pub fn framed(message: &impl Message) -> Vec<u8> {
    let length = message.encoded_len();
    let mut bytes = Vec::with_capacity(PREFIX + length);
    bytes.push(0);
    bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(message.encode_to_vec());
    bytes
}

/// The one message of a stream, read to its end; `None` when there is nothing.
pub async fn read(body: &mut RecvStream) -> Result<Option<Vec<u8>>, Status> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
        if bytes.len() + piece.len() > PREFIX + LONGEST {
            return Err(Status::new(Code::ResourceExhausted, "the message is too long"));
        }
        bytes.extend_from_slice(&piece);
        let _ = body.flow_control().release_capacity(piece.len());
    }
    let Some((&[flag, a, b, c, d], message)) = bytes.split_first_chunk::<PREFIX>() else {
        return match bytes.is_empty() {
            true => Ok(None),
            false => Err(Status::new(Code::Internal, "the message is cut off")),
        };
    };
    if flag != 0 {
        return Err(Status::new(Code::Unimplemented, "messages may not be compressed"));
    }
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    match message.get(..length) {
        Some(message) => Ok(Some(message.to_vec())),
        None => Err(Status::new(Code::Internal, "the message is cut off")),
    }
}

/// A message of this type.
pub fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M, Status> {
    M::decode(bytes).map_err(|error| Status::new(Code::Internal, format!("failed to decode the message: {error}")))
}

/// `grpc-message`: what is no printable ASCII, and `%`, as `%XX`.
pub fn to_header(text: &str) -> String {
    text.bytes().fold(String::new(), |mut header, byte| {
        match byte {
            b' '..=b'~' if byte != b'%' => header.push(byte.into()),
            _ => header.push_str(&format!("%{byte:02X}")),
        }
        header
    })
}

/// The text of a `grpc-message`; what is not well written stays as it is.
pub fn from_header(header: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), header.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_headers() {
        for text in ["", "a b", "100% \n grün", "%4"] {
            assert_eq!(from_header(&to_header(text)), text);
            assert!(to_header(text).is_ascii());
        }
        assert_eq!(from_header("%zz%4"), "%zz%4");
    }
}
