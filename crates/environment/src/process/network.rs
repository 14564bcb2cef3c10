//! A network namespace for a group, so that fixed ports in a target's configuration cannot clash.
//!
//! It exists for as long as somebody is in it: a supervisor that holds no part. The parts' supervisors join it, and
//! sockets for seatrial's own requests are made in there by it and handed over, since a socket belongs for good to the
//! namespace that it was made in.

use super::{
    client::{LaunchError, Supervisor},
    hold::Hold,
    protocol::{NetworkSetup, Request, Setup, SocketKind},
    reaper::{NETWORK, TreeData},
};
use crate::{group::GroupError, sockets::SocketTables};
use seatrial_engine::journal::{EntryId, Journal};
use std::{fs::File, io, net::SocketAddr, os::fd::BorrowedFd, sync::Arc};
use tokio::{
    net::{TcpSocket, UdpSocket},
    sync::mpsc,
};

/// A group's network.
pub(crate) struct Network {
    supervisor: Supervisor,
    journal: Arc<Journal>,
    entry: EntryId,
    /// The network namespace and, before it, the user namespace that gives the right to join it.
    namespaces: Vec<File>,
    tables: Arc<SocketTables>,
}

impl Network {
    pub(crate) async fn create(journal: &Arc<Journal>, group: &str) -> Result<Self, GroupError> {
        let mut data = TreeData::new(Hold::Subreaper).map_err(GroupError::Network)?;
        let entry = journal.will_create(group, NETWORK, data.to_json())?;
        match Self::hold(group).await {
            Ok((supervisor, namespaces)) => {
                // If it is gone already, there is nothing to reap.
                data.supervisor = supervisor.identity().ok().flatten();
                journal.update(entry, data.to_json());
                // Without it the tables are read from /proc.
                let diag = supervisor.socket(SocketKind::Diag).await.ok();
                Ok(Self {
                    tables: Arc::new(SocketTables::in_namespace(supervisor.pid, diag)),
                    supervisor,
                    journal: Arc::clone(journal),
                    entry,
                    namespaces,
                })
            }
            Err(error) => {
                journal.gone(entry);
                Err(GroupError::Network(error))
            }
        }
    }

    async fn hold(name: &str) -> io::Result<(Supervisor, Vec<File>)> {
        let setup = Setup {
            hold: Hold::Subreaper,
            network: NetworkSetup::New,
            logs: None,
        };
        // It has nothing to say.
        let (messages, _) = mpsc::unbounded_channel();
        let supervisor = Supervisor::launch(name, &setup, &[], messages).await;
        let supervisor = supervisor.map_err(|LaunchError { doing, source, .. }| {
            io::Error::new(source.kind(), format!("{doing}: {source}"))
        })?;
        let namespace = |kind| File::open(format!("/proc/{}/ns/{kind}", supervisor.pid));
        let mut namespaces = Vec::new();
        if !rustix::process::geteuid().is_root() {
            namespaces.push(namespace("user")?);
        }
        namespaces.push(namespace("net")?);
        Ok((supervisor, namespaces))
    }

    /// Who listens in there.
    pub(super) fn tables(&self) -> Arc<SocketTables> {
        Arc::clone(&self.tables)
    }

    /// How a part's supervisor joins it, and what it needs for that.
    pub(super) fn join(&self) -> (NetworkSetup, impl Iterator<Item = BorrowedFd<'_>>) {
        use std::os::fd::AsFd as _;
        let user_namespace = self.namespaces.len() > 1;
        (
            NetworkSetup::Join { user_namespace },
            self.namespaces.iter().map(|namespace| namespace.as_fd()),
        )
    }

    /// An unconnected TCP socket in there.
    pub(crate) async fn tcp_socket(&self, ipv6: bool) -> io::Result<TcpSocket> {
        let socket = std::net::TcpStream::from(self.supervisor.socket(SocketKind::Tcp { ipv6 }).await?);
        Ok(TcpSocket::from_std_stream(socket))
    }

    /// A UDP socket in there.
    pub(crate) async fn udp_socket(&self, bind: SocketAddr) -> io::Result<UdpSocket> {
        let ipv6 = bind.is_ipv6();
        let socket = self.supervisor.socket(SocketKind::Udp { ipv6 }).await?;
        rustix::net::bind(&socket, &bind)?;
        UdpSocket::from_std(socket.into())
    }

    pub(crate) async fn keep(&self) -> io::Result<()> {
        self.supervisor.ask(Request::Keep, &[]).await.map(drop)
    }

    pub(crate) async fn tear_down(&self) -> io::Result<()> {
        self.supervisor.close().await;
        self.journal.gone(self.entry);
        Ok(())
    }
}

/// Whether groups can have a network of their own here, by making one.
///
/// # Errors
///
/// Why not.
pub async fn network_isolation() -> io::Result<()> {
    let (supervisor, _) = Network::hold("try").await?;
    supervisor.close().await;
    Ok(())
}
