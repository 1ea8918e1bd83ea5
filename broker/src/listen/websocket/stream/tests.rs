use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const MAX: u32 = 1000;
/// What the other end does not read; little, so that frames go out in parts.
const IN_BETWEEN: usize = 7;

fn pair() -> (ByteStream<DuplexStream>, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(IN_BETWEEN);
    (ByteStream::new(ours, Bytes::new(), MAX), theirs)
}

fn ping(payload: &[u8]) -> Vec<u8> {
    [&[0x89, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0], payload].concat()
}

/// One poll for reading, which finds nothing to hand on.
async fn look(stream: &mut ByteStream<DuplexStream>) {
    let mut bytes = [0; 1024];
    let read = std::future::poll_fn(|context| {
        Poll::Ready(Pin::new(&mut *stream).poll_read(context, &mut ReadBuf::new(&mut bytes)).is_ready())
    });
    assert!(!read.await);
}

/// All that the other end gets while `stream` sends what it has.
async fn all_of(mut stream: ByteStream<DuplexStream>, mut theirs: DuplexStream) -> Vec<u8> {
    let mut heard = Vec::new();
    let send = async {
        stream.flush().await.unwrap();
        drop(stream);
    };
    tokio::join!(send, async { theirs.read_to_end(&mut heard).await.unwrap() });
    heard
}

#[tokio::test]
async fn frames_go_out_whole_and_in_order_however_little_the_socket_takes() {
    let (mut stream, mut theirs) = pair();
    let mut expected = Vec::new();
    let sizes = [1, 5, 125, 126, 200, 70_000, 3];
    for size in sizes {
        frames::write(&mut expected, OpCode::Data(Data::Binary), &vec![size as u8; size]);
    }
    let write = async {
        for size in sizes {
            stream.write_all(&vec![size as u8; size]).await.unwrap();
        }
        stream.flush().await.unwrap();
        drop(stream);
    };
    let mut heard = Vec::new();
    tokio::join!(write, async { theirs.read_to_end(&mut heard).await.unwrap() });
    assert!(heard == expected);
}

#[tokio::test]
async fn an_answer_waits_for_the_end_of_the_frame_before_it_and_is_the_last_ones_alone() {
    let (mut stream, mut theirs) = pair();
    stream.write_all(b"ten bytes.").await.unwrap(); // more than there is room for
    for payload in [b"1", b"2", b"3"] {
        theirs.write_all(&ping(payload)).await.unwrap();
        look(&mut stream).await;
    }
    assert_eq!(all_of(stream, theirs).await, b"\x82\x0Aten bytes.\x8A\x013");
}

#[tokio::test]
async fn nothing_follows_a_close() {
    let (mut stream, mut theirs) = pair();
    theirs.write_all(b"\x82\x81\0\0\0\0").await.unwrap();
    look(&mut stream).await;
    theirs.write_all(b"x").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'x', "a frame is read in parts");
    theirs.write_all(b"\x88\x80\0\0\0\0").await.unwrap();
    assert_eq!(stream.read(&mut [0; 100]).await.unwrap(), 0, "it is the end");
    assert_eq!(stream.write(b"more").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    stream.shutdown().await.unwrap();
    assert_eq!(all_of(stream, theirs).await, b"\x88\x00", "answered once, without a code as it came");
}

#[tokio::test]
async fn what_must_not_come_is_answered_with_why() {
    let (mut stream, mut theirs) = pair();
    theirs.write_all(b"\x81\x81\0\0\0\0x").await.unwrap();
    assert!(stream.read(&mut [0; 100]).await.unwrap_err().to_string().contains("binary"));
    assert_eq!(stream.read(&mut [0; 100]).await.unwrap(), 0);
    assert_eq!(all_of(stream, theirs).await, b"\x88\x02\x03\xEB");
}
