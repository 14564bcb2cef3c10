//! Signals and what they ask of a run.
//!
//! | signal | asks |
//! |---|---|
//! | SIGINT, SIGTERM, SIGHUP | to stop; the second one skips the grace |
//! | SIGUSR1 | to tell what runs and what it waits for |
//! | SIGTSTP (Ctrl-Z) | to stand still: the terminal is put right, deadlines move on by as long as it lasts |

use std::time::Instant;

use rustix::process::{Signal, getpid, kill_process};
use seatrial_engine::Control;
use seatrial_report::TuiHandle;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc::UnboundedSender,
    task::JoinHandle,
};

/// Passes signals on as controls until the task is aborted. Must be called inside the runtime; from then on none
/// of these signals ends the process.
///
/// # Errors
/// When the handlers cannot be installed.
pub(crate) fn listen(
    controls: UnboundedSender<Control>,
    terminal: Option<TuiHandle>,
) -> std::io::Result<JoinHandle<()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut status = signal(SignalKind::user_defined1())?;
    let mut stop = signal(SignalKind::from_raw(Signal::TSTP.as_raw()))?;
    let mut go_on = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
    Ok(tokio::spawn(async move {
        loop {
            let control = tokio::select! {
                _ = interrupt.recv() => Control::Interrupt,
                _ = terminate.recv() => Control::Interrupt,
                _ = hangup.recv() => Control::Interrupt,
                _ = status.recv() => Control::Status,
                _ = stop.recv() => {
                    if let Some(terminal) = &terminal {
                        terminal.suspend();
                    }
                    // One that came earlier, from somebody's `kill -CONT`, is not the end of this pause.
                    tokio::select! {
                        biased;
                        _ = go_on.recv() => {}
                        () = std::future::ready(()) => {}
                    }
                    let since = Instant::now();
                    if kill_process(getpid(), Signal::STOP).is_ok() {
                        // The process stops within this call or right after it; SIGCONT is its end.
                        go_on.recv().await;
                    }
                    let pause = since.elapsed();
                    seatrial_engine::stopped_for(pause);
                    if let Some(terminal) = &terminal {
                        terminal.resume();
                    }
                    Control::Resumed(pause)
                }
            };
            if controls.send(control).is_err() {
                return;
            }
        }
    }))
}
