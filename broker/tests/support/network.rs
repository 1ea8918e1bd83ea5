//! A network between clients and the broker, which fails without a word: what was under way stops, and neither side hears
//! of an end. It is a proxy that does not read any more, so not even what closes a connection gets through.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// See the module. The connections that it carries end with the test's process.
pub struct Network {
    /// Where clients find the broker.
    pub address: SocketAddr,
    state: Arc<Shared>,
}

type Shared = (Mutex<State>, Condvar);

#[derive(Default)]
struct State {
    connections: usize,
    /// Connections before this one carry nothing any more, now and for ever.
    gone: usize,
    is_cut: bool,
}

impl Network {
    pub fn to(broker: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Shared::default());
        let shared = state.clone();
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let number = {
                    let mut state = shared.0.lock().unwrap();
                    state.connections += 1;
                    state.connections
                };
                let Ok(far) = TcpStream::connect(broker) else { continue };
                for stream in [&near, &far] {
                    stream.set_nodelay(true).unwrap();
                }
                let (near_too, far_too) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                let (there, back) = (shared.clone(), shared.clone());
                std::thread::spawn(move || carry(near, far, number, &there));
                std::thread::spawn(move || carry(far_too, near_too, number, &back));
            }
        });
        Self { address, state }
    }

    /// Nothing gets through until [`Self::mend`].
    pub fn cut(&self) {
        self.change(|state| state.is_cut = true);
    }

    /// What was held up goes on.
    pub fn mend(&self) {
        self.change(|state| state.is_cut = false);
    }

    /// Nothing of the connections that there are gets through any more; new ones are carried.
    pub fn forget(&self) {
        self.change(|state| state.gone = state.connections + 1);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.0.lock().unwrap());
        self.state.1.notify_all();
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, number: usize, (state, changed): &Shared) {
    let mut buffer = [0; 16 * 1024];
    loop {
        let length = from.read(&mut buffer).unwrap_or_default();
        let state = state.lock().unwrap();
        drop(changed.wait_while(state, |state| state.is_cut || number < state.gone).unwrap());
        if length == 0 || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Read);
    let _ = to.shutdown(Shutdown::Write);
}
