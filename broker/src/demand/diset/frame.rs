//! Frames: `<decimal length>:<bytes>`. Before each of them there may be any number of `dka` (keep-alive).

use tokio::io::{AsyncRead, AsyncReadExt};

/// Sent by a busy server, to keep the connection open; it says nothing (`BaseTransport.keepAliveMagic`).
const KEEP_ALIVE: &[u8] = b"dka";
/// A length with more digits is larger than anything that is read.
const MOST_DIGITS: usize = 12;

/// What is wrong with a frame.
#[derive(Debug)]
pub enum FrameError {
    /// The stream broke or ended.
    Io(std::io::Error),
    /// The frame announces more than the limit, in bytes.
    TooLarge(usize),
    /// What came is not a frame; its beginning.
    Garbage(String),
}

impl From<std::io::Error> for FrameError {
    fn from(e: std::io::Error) -> Self {
        Self::Io(e)
    }
}

/// One frame around `body`.
pub fn encode(body: &[u8]) -> Vec<u8> {
    let mut frame = format!("{}:", body.len()).into_bytes();
    frame.extend_from_slice(body);
    frame
}

/// Reads one frame of at most `limit` bytes. Memory is taken as the bytes arrive, not as the length announces.
pub async fn read(stream: &mut (impl AsyncRead + Unpin), limit: usize) -> Result<Vec<u8>, FrameError> {
    let mut head: Vec<u8> = Vec::new();
    let size = loop {
        let byte = stream.read_u8().await?;
        if byte == b':' {
            let digits = std::str::from_utf8(&head).ok().and_then(|d| d.parse::<usize>().ok());
            break digits.ok_or_else(|| garbage(&head))?;
        }
        head.push(byte);
        if head == KEEP_ALIVE {
            head.clear();
        } else if head.len() > MOST_DIGITS || !(byte.is_ascii_digit() || KEEP_ALIVE.starts_with(&head)) {
            return Err(garbage(&head));
        }
    };
    if size > limit {
        return Err(FrameError::TooLarge(size));
    }
    let mut body = Vec::with_capacity(size.min(64 * 1024));
    let wanted = u64::try_from(size).unwrap_or(u64::MAX);
    if stream.take(wanted).read_to_end(&mut body).await? < size {
        return Err(FrameError::Io(std::io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(body)
}

fn garbage(head: &[u8]) -> FrameError {
    FrameError::Garbage(format!("the frame begins with {:?}", String::from_utf8_lossy(head)))
}
