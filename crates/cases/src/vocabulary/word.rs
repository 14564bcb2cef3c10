//! The words that parameters of steps choose among.

use crate::declare::words;

words! {
    /// A stream of a part's log.
    pub enum Stream {
        /// Standard output.
        Stdout = "stdout",
        /// Standard error.
        Stderr = "stderr",
        /// Both.
        Both = "both" | "any" | "all",
    }
}

words! {
    /// From where on a log is looked at.
    pub enum Since {
        /// From the part's first line.
        Start = "start",
        /// From where the log stands when the step starts.
        Now = "now",
        /// From the part's last start or restart.
        Restart = "restart",
    }
}

words! {
    /// A kind of socket.
    pub enum Protocol {
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
        /// A Unix stream socket.
        Unix = "unix",
        /// A Unix datagram socket.
        Unixgram = "unixgram",
    }
}
