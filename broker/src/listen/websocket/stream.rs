//! A WebSocket as a stream of bytes.

use super::frames::{self, Frames, Said, Taken, Violation};
use crate::session::Transport;
use bytes::{Buf, Bytes};
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

/// A frame for a message of the largest kind is written without growing this again.
const LARGEST_KEPT: usize = 128 * 1024;

thread_local! {
    /// Where a frame is put together.
    static FRAME: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What is read of it is what comes in binary messages; what is written goes out in one.
pub(in crate::listen) struct ByteStream<S> {
    socket: S,
    frames: Frames,
    /// Read from the socket, not yet taken: the beginning of a frame.
    ahead: Bytes,
    /// Of a frame that the socket took a part of.
    unsent: Bytes,
    /// To be sent behind it: the last Pong, or Close.
    control: Option<Box<[u8]>>,
    /// Close has been said, by whichever side; nothing goes out behind it.
    is_closing: bool,
}

impl<S: Transport> ByteStream<S> {
    /// Of a socket from which `ahead` has been read, and on which messages have `max` bytes at most.
    pub(super) fn new(socket: S, ahead: Bytes, max: u32) -> Self {
        let frames = Frames::new(max);
        Self { socket, frames, ahead, unsent: Bytes::new(), control: None, is_closing: false }
    }

    /// Sends what there is to send before anything else may be.
    fn poll_unsent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while !self.unsent.is_empty() {
                match ready!(Pin::new(&mut self.socket).poll_write(context, &self.unsent))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    sent => self.unsent.advance(sent),
                }
            }
            self.unsent = match self.control.take() {
                Some(frame) => Bytes::from(frame),
                None => Bytes::new(), // what was sent is not kept
            };
            if self.unsent.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn start_close(&mut self, code: Option<CloseCode>) {
        if !std::mem::replace(&mut self.is_closing, true) {
            let code = code.map(|code| u16::from(code).to_be_bytes());
            self.control = Some(frames::control(Control::Close, code.as_ref().map_or(&[], |code| code)));
        }
    }

    /// Takes what can be taken of `bytes`, and answers what was said between it.
    fn take(&mut self, context: &mut Context<'_>, bytes: &mut [u8]) -> io::Result<Taken> {
        let taken = match self.frames.take(bytes) {
            Ok(taken) => match &taken.said {
                Some(Said::Ping(payload)) => {
                    self.control = Some(frames::control(Control::Pong, payload));
                    Ok(taken)
                }
                Some(Said::Close(code)) => {
                    self.start_close(*code);
                    Ok(taken)
                }
                None => return Ok(taken),
            },
            Err(Violation(code, why)) => {
                self.start_close(Some(code));
                Err(io::Error::new(io::ErrorKind::InvalidData, why))
            }
        };
        // If it has to wait, whoever writes or flushes next sends it; the task is woken for it.
        match Pin::new(self).poll_flush(context) {
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) | Poll::Pending => taken,
        }
    }

    /// Takes what is whole of what has been read, by way of `bytes`; if nothing is, they begin with all of it.
    fn take_ahead(&mut self, context: &mut Context<'_>, bytes: &mut [u8]) -> io::Result<Option<Taken>> {
        if self.ahead.is_empty() {
            return Ok(None);
        }
        let length = self.ahead.len().min(bytes.len());
        bytes[..length].copy_from_slice(&self.ahead[..length]);
        let taken = self.take(context, &mut bytes[..length])?;
        self.ahead.advance(taken.used);
        match taken.used {
            0 if length == bytes.len() => Err(io::Error::other("no room for the beginning of a frame")),
            0 => Ok(None),
            _ => Ok(Some(taken)),
        }
    }
}

impl<S: Transport> AsyncRead for ByteStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while !this.is_closing {
            let bytes = buffer.initialize_unfilled();
            let taken = match this.take_ahead(context, bytes)? {
                Some(taken) => taken,
                None => {
                    let begun = this.ahead.len();
                    let mut fresh = ReadBuf::new(&mut bytes[begun..]);
                    ready!(Pin::new(&mut this.socket).poll_read(context, &mut fresh))?;
                    let length = begun + fresh.filled().len();
                    if length == begun {
                        break;
                    }
                    let taken = this.take(context, &mut bytes[..length])?;
                    this.ahead = Bytes::copy_from_slice(&bytes[taken.used..length]);
                    taken
                }
            };
            if taken.data > 0 {
                buffer.advance(taken.data);
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Transport> AsyncWrite for ByteStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_unsent(context))?;
        if self.is_closing {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        FRAME.with_borrow_mut(|frame| {
            frame.clear();
            frame.shrink_to(LARGEST_KEPT);
            frames::write(frame, OpCode::Data(Data::Binary), bytes);
            let sent = ready!(Pin::new(&mut self.socket).poll_write(context, frame))?;
            if sent < frame.len() {
                self.unsent = Bytes::copy_from_slice(&frame[sent..]);
            }
            Poll::Ready(Ok(bytes.len()))
        })
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unsent(context))?;
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.start_close(Some(CloseCode::Normal));
        if self.control.is_some() {
            self.socket.expect_end();
        }
        // An error is that the other side closed first.
        self.poll_flush(context).map(|_| Ok(()))
    }
}

impl<S: Transport> Transport for ByteStream<S> {
    fn expect_end(&self) {
        self.socket.expect_end();
    }
}

#[cfg(test)]
mod tests;
