//! The proxy for datagrams.
//!
//! Every client gets a socket of its own towards the server, so that answers find their way back. Datagrams are held
//! back each by itself: a jitter makes them overtake each other, as on a network.

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::UdpSocket,
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, sleep_until},
};

use super::toxic::{Direction, InForce, Toxics};

/// The largest datagram there can be.
const DATAGRAM_BYTES_MAX: usize = 65_536;

/// How many datagrams are held back at the same time each way; more are dropped, as a full queue does.
const HELD_MAX: usize = 4096;

/// How many clients are served at the same time; the one that was silent for longest makes room.
const CLIENTS_MAX: usize = 1024;

/// A proxy for UDP. It ends when it is dropped.
#[derive(Debug)]
pub struct UdpProxy {
    address: SocketAddr,
    toxics: Toxics,
    receiving: AbortHandle,
}

impl UdpProxy {
    /// Listens at `listen` (port 0 for any) and passes datagrams on to `upstream`, and the answers back.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub async fn start(listen: SocketAddr, upstream: SocketAddr) -> io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind(listen).await?);
        let address = socket.local_addr()?;
        let toxics = Toxics::default();
        let receiving = tokio::spawn(receive(socket, upstream, toxics.clone())).abort_handle();
        Ok(Self {
            address,
            toxics,
            receiving,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is wrong with it; to be changed at any time. Streams' ends mean nothing here: only latency, bandwidth, timeout,
    /// limited data and down do something.
    pub fn toxics(&self) -> &Toxics {
        &self.toxics
    }
}

impl Drop for UdpProxy {
    fn drop(&mut self) {
        self.receiving.abort();
    }
}

struct Client {
    socket: Arc<UdpSocket>,
    heard: Instant,
    answering: AbortHandle,
}

async fn receive(socket: Arc<UdpSocket>, upstream: SocketAddr, toxics: Toxics) {
    let mut clients: HashMap<SocketAddr, Client> = HashMap::new();
    let mut up = Way::new(toxics.watch(Direction::Upstream));
    // Aborting this task drops the set, and that ends the answering.
    let mut answering = JoinSet::new();
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let Ok((count, from)) = socket.recv_from(&mut buffer).await else {
            // An answer of the kernel to an earlier datagram; nothing is lost that was not lost already.
            continue;
        };
        let towards_server = match clients.get_mut(&from) {
            Some(client) => {
                client.heard = Instant::now();
                client.socket.clone()
            }
            None => {
                make_room(&mut clients);
                let Ok(towards_server) = open(upstream).await else {
                    continue;
                };
                let way = Way::new(toxics.watch(Direction::Downstream));
                let back = answer(towards_server.clone(), socket.clone(), from, way);
                let client = Client {
                    socket: towards_server.clone(),
                    heard: Instant::now(),
                    answering: answering.spawn(back),
                };
                clients.insert(from, client);
                towards_server
            }
        };
        up.pass(&buffer[..count], move |bytes| async move {
            let _ = towards_server.send(&bytes).await;
        });
        while answering.try_join_next().is_some() {}
    }
}

fn make_room(clients: &mut HashMap<SocketAddr, Client>) {
    if clients.len() < CLIENTS_MAX {
        return;
    }
    let oldest = clients
        .iter()
        .min_by_key(|(_, client)| client.heard)
        .map(|(address, _)| *address);
    if let Some(client) = oldest.and_then(|address| clients.remove(&address)) {
        client.answering.abort();
    }
}

async fn open(upstream: SocketAddr) -> io::Result<Arc<UdpSocket>> {
    let any: SocketAddr = if upstream.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0_u16; 8], 0).into()
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(upstream).await?;
    Ok(Arc::new(socket))
}

async fn answer(server: Arc<UdpSocket>, client: Arc<UdpSocket>, to: SocketAddr, mut way: Way) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        match server.recv(&mut buffer).await {
            Ok(count) => {
                let client = client.clone();
                way.pass(&buffer[..count], move |bytes| async move {
                    let _ = client.send_to(&bytes, to).await;
                });
            }
            // Nobody listens at the server's port; it may yet.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            // Out of memory, say: no event tells when it is worthwhile to try again.
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

/// What happens to datagrams one way.
struct Way {
    in_force: InForce,
    /// Dropping it drops what is on its way.
    held: JoinSet<()>,
    /// Until when the wire is taken by what was sent before.
    wire_free_at: Instant,
    passed: u64,
}

impl Way {
    fn new(in_force: InForce) -> Self {
        Self {
            in_force,
            held: JoinSet::new(),
            wire_free_at: Instant::now(),
            passed: 0,
        }
    }

    fn pass<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        bytes: &[u8],
        send: impl FnOnce(Vec<u8>) -> F + Send + 'static,
    ) {
        let after = self.passed + bytes.len() as u64;
        let over = self.in_force.limit().is_some_and(|limit| after > limit);
        if self.in_force.is_blocked() || self.in_force.is_down() || over {
            return;
        }
        while self.held.try_join_next().is_some() {}
        if self.held.len() >= HELD_MAX {
            return;
        }
        self.passed = after;
        let on_wire = self.in_force.time_on_wire(bytes.len());
        self.wire_free_at = self.wire_free_at.max(Instant::now()) + on_wire;
        let at = self.wire_free_at + self.in_force.delay();
        let bytes = bytes.to_vec();
        self.held.spawn(async move {
            sleep_until(at).await;
            send(bytes).await;
        });
    }
}
