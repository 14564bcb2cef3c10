//! The proxy for streams.
//!
//! Each direction of a connection is a reader, which stamps what it read with the time at which it may arrive, a queue,
//! and a writer, which waits for that time. So latency delays a stream without slowing it down, and the queue's bound
//! pushes back on a sender as a full network would.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, sleep_until},
};

use super::toxic::{Direction, InForce, ToxicKind, Toxics};

/// How much is read at once, and is the grain of a bandwidth limit.
const CHUNK_BYTES: usize = 16 * 1024;

/// How many chunks wait in one direction of a connection: 1 MiB, about what a kernel buffers.
const QUEUE_CHUNKS: usize = 64;

/// A proxy for TCP. It ends, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct TcpProxy {
    address: SocketAddr,
    toxics: Toxics,
    accepting: AbortHandle,
}

impl TcpProxy {
    /// Listens at `listen` (port 0 for any) and passes each connection on to `upstream`.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub async fn start(listen: SocketAddr, upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let toxics = Toxics::default();
        let accepting = tokio::spawn(accept(listener, upstream, toxics.clone())).abort_handle();
        Ok(Self {
            address,
            toxics,
            accepting,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is wrong with it; to be changed at any time.
    pub fn toxics(&self) -> &Toxics {
        &self.toxics
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Accepts for ever. While it is down it does not listen, so that clients are refused by the kernel.
async fn accept(listener: TcpListener, upstream: SocketAddr, toxics: Toxics) {
    let Ok(address) = listener.local_addr() else {
        return;
    };
    let mut in_force = toxics.watch(Direction::Both);
    let mut listener = Some(listener);
    // Aborting this task drops the set, and that ends the connections.
    let mut connections = JoinSet::new();
    loop {
        if in_force.is_down() {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).await.ok();
            if listener.is_none() {
                // Somebody took the port meanwhile, or its last connection still lingers: try again soon.
                sleep(Duration::from_millis(20)).await;
                continue;
            }
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = accepted => match accepted {
                Ok((client, _)) => {
                    connections.spawn(connect(client, upstream, toxics.clone()));
                }
                // Out of file descriptors, most likely: they come back when a connection ends.
                Err(_) => sleep(Duration::from_millis(20)).await,
            },
            () = in_force.changed() => {}
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

/// One connection, from its first byte to its end.
async fn connect(client: TcpStream, upstream: SocketAddr, toxics: Toxics) {
    let Ok(server) = TcpStream::connect(upstream).await else {
        // What a client of the server itself would see.
        return reset(&client);
    };
    // Whatever delay there is comes from a toxic.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client, server) = (Arc::new(client), Arc::new(server));
    let up = pump(client.clone(), server.clone(), toxics.watch(Direction::Upstream));
    let down = pump(
        server.clone(),
        client.clone(),
        toxics.watch(Direction::Downstream),
    );
    let both = async { tokio::try_join!(up, down) };
    let end = tokio::select! {
        ended = both => match ended {
            Ok(_) => End::Done,
            Err(error) if is_limit(&error) => End::Done,
            // One side was reset, or is gone: the other shall see the same.
            Err(_) => End::Reset,
        },
        end = ended_by_toxic(toxics.watch(Direction::Both)) => end,
    };
    match end {
        End::Done => {}
        End::Reset => {
            reset(&client);
            reset(&server);
        }
        End::HalfOpen => {
            drop(server);
            swallow(client, toxics.watch(Direction::Both)).await;
        }
    }
}

enum End {
    Done,
    Reset,
    HalfOpen,
}

/// Makes the close that follows a reset instead of an orderly end.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

/// Completes when a toxic ends the whole connection.
async fn ended_by_toxic(mut in_force: InForce) -> End {
    let opened = Instant::now();
    let mut changed = opened;
    loop {
        let end = in_force.find(|kind| match kind {
            ToxicKind::Down => Some((Duration::ZERO, End::Reset)),
            ToxicKind::ResetPeer { after } => Some((after, End::Reset)),
            ToxicKind::Timeout { after: Some(after) } => Some((after, End::Done)),
            ToxicKind::HalfOpen => Some((Duration::ZERO, End::HalfOpen)),
            _ => None,
        });
        let Some((after, end)) = end else {
            in_force.changed().await;
            changed = Instant::now();
            continue;
        };
        tokio::select! {
            () = sleep_until(changed + after) => return end,
            () = in_force.changed() => {}
        }
    }
}

/// Reads until the client closes, or the toxic is gone, and gives nothing back.
async fn swallow(client: Arc<TcpStream>, mut in_force: InForce) {
    let mut nowhere = vec![0; CHUNK_BYTES];
    loop {
        tokio::select! {
            count = read_some(&client, &mut nowhere) => if matches!(count, Ok(0) | Err(_)) {
                return;
            },
            () = in_force.changed() => {
                if in_force.find(|kind| matches!(kind, ToxicKind::HalfOpen).then_some(())).is_none() {
                    return reset(&client);
                }
            }
        }
    }
}

/// A piece of a stream, or its end, and when it may arrive.
struct Chunk {
    at: Instant,
    bytes: Vec<u8>,
}

/// Not tokio's halves: dropping a write half sends an orderly end, and a reset must not be preceded by one.
async fn pump(from: Arc<TcpStream>, to: Arc<TcpStream>, in_force: InForce) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel(QUEUE_CHUNKS);
    tokio::try_join!(
        read(&from, sender, in_force.clone()),
        write(receiver, &to, in_force)
    )?;
    Ok(())
}

/// Ends the connection, both ways, because its data are limited.
fn limit_reached() -> io::Error {
    io::ErrorKind::QuotaExceeded.into()
}

fn is_limit(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::QuotaExceeded
}

async fn read(from: &TcpStream, to: mpsc::Sender<Chunk>, in_force: InForce) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = read_some(from, &mut buffer).await?;
        let chunk = Chunk {
            at: Instant::now() + in_force.delay(),
            bytes: buffer[..count].to_vec(),
        };
        if to.send(chunk).await.is_err() || count == 0 {
            return Ok(());
        }
    }
}

async fn write(mut from: mpsc::Receiver<Chunk>, to: &TcpStream, mut in_force: InForce) -> io::Result<()> {
    let mut passed = 0;
    while let Some(chunk) = from.recv().await {
        sleep_until(chunk.at).await;
        if chunk.bytes.is_empty() {
            break;
        }
        if in_force.is_blocked() {
            // Swallowed, as a network does that drops packets for longer than anybody retries.
            continue;
        }
        let left = in_force
            .limit()
            .map_or(u64::MAX, |limit| limit.saturating_sub(passed));
        let allowed = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.bytes.len());
        let wire = in_force.time_on_wire(allowed);
        if !wire.is_zero() {
            // The delay is the fault.
            sleep(wire).await;
        }
        write_all(to, &chunk.bytes[..allowed]).await?;
        passed += allowed as u64;
        if allowed < chunk.bytes.len() {
            return Err(limit_reached());
        }
    }
    while in_force.is_blocked() {
        // A black hole swallows the end of a stream too.
        in_force.changed().await;
    }
    let slow_close = in_force.find(|kind| match kind {
        ToxicKind::SlowClose { delay } => Some(delay),
        _ => None,
    });
    if let Some(delay) = slow_close {
        // The delay is the fault.
        sleep(delay).await;
    }
    rustix::net::shutdown(to, rustix::net::Shutdown::Write)?;
    Ok(())
}

async fn read_some(from: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        from.readable().await?;
        match from.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

async fn write_all(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
