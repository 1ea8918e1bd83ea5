//! A TCP port behind which everything goes over WebSocket, so that a client that speaks MQTT over
//! TCP comes in by the other door.

use super::support::PATIENCE;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

/// Starts it for the broker whose HTTP listener is at `http`; it ends with the test's process.
pub fn start(http: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for plain in listener.incoming().map_while(Result::ok) {
            plain.set_nodelay(true).unwrap();
            let socket = connect(http);
            let stream = socket.get_ref().try_clone().unwrap();
            let plain_writer = plain.try_clone().unwrap();
            std::thread::spawn(move || outwards(plain, stream));
            std::thread::spawn(move || inwards(socket, plain_writer));
        }
    });
    address
}

/// A WebSocket at `/mqtt`, as an MQTT client asks for it.
fn connect(http: SocketAddr) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(http).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = format!("ws://{http}/mqtt").into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("mqtt"));
    let (socket, _) = tungstenite::client(request, stream).unwrap();
    socket.get_ref().set_read_timeout(None).unwrap();
    socket
}

/// Each read becomes one message; a client that ends without a word ends so here, too.
fn outwards(mut plain: TcpStream, stream: TcpStream) {
    let mut writer = WebSocket::from_raw_socket(stream, Role::Client, None);
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = plain.read(&mut buffer) {
        if writer.send(Message::binary(buffer[..length].to_vec())).is_err() {
            break;
        }
    }
    let _ = writer.get_ref().shutdown(Shutdown::Both);
}

fn inwards(mut reader: WebSocket<TcpStream>, mut plain: TcpStream) {
    while let Ok(Message::Binary(bytes)) = reader.read() {
        if plain.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = plain.shutdown(Shutdown::Both);
}
