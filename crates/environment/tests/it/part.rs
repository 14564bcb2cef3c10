//! One part: started, looked at, ended.

use crate::{
    fixture::{Fixture, SOON, sh, soon, text, wait, wait_for_text},
    targets::target,
};
use seatrial_environment::{
    Endpoint, ExecError, ExecSpec, FileContent, FileSpec, Listening, PartError, PartSpec, Signal, StartError,
    Stream,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    time::Duration,
};

#[tokio::test]
async fn exits_with_its_code_and_all_its_logs() {
    let fixture = Fixture::new().await;
    let part = fixture.sh("echo out; echo err >&2; exit 7").await;
    assert_eq!(wait(&part).await.to_string(), "exited with code 7");
    assert_eq!(part.try_status().unwrap().code(), Some(7));
    assert_eq!(text(&part, Stream::Stdout).await, "out\n");
    assert_eq!(text(&part, Stream::Stderr).await, "err\n");
    assert_eq!(part.logs().tail(10).unwrap().len(), 2);
    fixture.end().await;
}

#[tokio::test]
async fn its_environment_is_clean() {
    let fixture = Fixture::new().await;
    // Whatever else this process has.
    let (inherited, value) = std::env::vars()
        .find(|(name, _)| !["PATH", "HOME", "TMPDIR", "LANG"].contains(&&**name))
        .unwrap();
    let mut spec = PartSpec::new("part", ["env", "-0"]).env("EXTRA", "1");
    spec.inherit_env = vec![inherited.clone(), "NOT_SET_ANYWHERE".to_owned()];
    let part = fixture.group.start(spec).await.unwrap();
    let text = text(&part, Stream::Stdout).await;
    let found: BTreeMap<_, _> = text
        .split_terminator('\0')
        .filter_map(|line| line.split_once('='))
        .collect();
    let expected = BTreeSet::from(["EXTRA", "HOME", "LANG", "PATH", "TMPDIR", &inherited]);
    assert_eq!(found.keys().copied().collect::<BTreeSet<_>>(), expected);
    assert_eq!(found[&*inherited], value);
    for own in ["HOME", "TMPDIR"] {
        assert!(
            found[own].starts_with(fixture.group.dir().to_str().unwrap()),
            "{own}: {}",
            found[own]
        );
    }
    fixture.end().await;
}

#[tokio::test]
async fn it_has_a_session_a_directory_and_no_input() {
    let fixture = Fixture::new().await;
    // Fields 1 and 6 of stat are its PID and session. A shell would not read a closed standard input.
    let part = fixture
        .sh("pwd; read -r line || echo no input; cut -d' ' -f1,6 /proc/$$/stat; echo $$; ls /proc/$$/fd")
        .await;
    let text = text(&part, Stream::Stdout).await;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], part.working_dir().to_str().unwrap());
    assert_eq!(lines[1], "no input");
    let pid = lines[3];
    assert_eq!(lines[2], format!("{pid} {pid}"));
    assert_eq!(lines[4..], ["0", "1", "2"], "descriptors leaked into the target");
    fixture.end().await;
}

#[tokio::test]
async fn files_are_there_when_it_starts() {
    let fixture = Fixture::new().await;
    let spec = sh("cat etc/a.conf && ./run.sh")
        .file(FileSpec {
            path: "etc/a.conf".into(),
            content: FileContent::Bytes(b"key = 1\n".to_vec()),
            mode: None,
        })
        .file(FileSpec {
            path: "run.sh".into(),
            content: FileContent::Bytes(b"#!/bin/sh\necho ran\n".to_vec()),
            mode: Some(0o755),
        });
    let part = fixture.group.start(spec).await.unwrap();
    assert_eq!(text(&part, Stream::Stdout).await, "key = 1\nran\n");
    fixture.end().await;
}

#[tokio::test]
async fn a_signal_ends_it_and_is_told() {
    let fixture = Fixture::new().await;
    let part = fixture
        .sh("trap 'echo got it' USR1; echo ready; while :; do sleep 0.01; done")
        .await;
    wait_for_text(&part, "ready").await;
    part.signal(Signal::USR1).await.unwrap();
    wait_for_text(&part, "got it").await;
    part.signal(Signal::from_number(35).unwrap()).await.unwrap();
    let status = wait(&part).await;
    assert_eq!(status.signal().unwrap().number(), 35);
    assert!(matches!(
        part.signal(Signal::HUP).await,
        Err(PartError::NotRunning { .. })
    ));
    fixture.end().await;
}

#[tokio::test]
async fn stop_asks_first() {
    let fixture = Fixture::new().await;
    let mut spec = sh("trap 'echo bye; exit 3' INT; echo ready; while :; do sleep 0.01; done");
    spec.stop_signal = Signal::INT;
    let part = fixture.group.start(spec).await.unwrap();
    wait_for_text(&part, "ready").await;
    assert_eq!(soon(part.stop()).await.unwrap().code(), Some(3));
    assert_eq!(text(&part, Stream::Stdout).await, "ready\nbye\n");
    fixture.end().await;
}

#[tokio::test]
async fn stop_kills_the_whole_tree_after_the_grace() {
    let fixture = Fixture::new().await;
    let mut spec = sh(
        "trap '' TERM; (sleep 1000; true) & setsid sh -c 'sleep 1000; true' & echo ready; wait; sleep 1000",
    );
    spec.stop_grace = Duration::from_millis(100);
    let part = fixture.group.start(spec).await.unwrap();
    wait_for_text(&part, "ready").await;
    let before = soon(async {
        loop {
            let pids = part.pids();
            if pids.len() >= 5 {
                break pids;
            }
            // Nobody tells when a process has forked.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    assert!(before.contains(&part.main_pid()));
    assert_eq!(soon(part.stop()).await.unwrap().to_string(), "killed by SIGKILL");
    assert_eq!(part.pids(), Vec::<u32>::new());
    fixture.end().await;
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let fixture = Fixture::new().await;
    let start = async |spec: PartSpec| fixture.group.start(spec).await.unwrap_err();
    let script = |name: &str, content: &str, mode| {
        PartSpec::new("part", [format!("./{name}")]).file(FileSpec {
            path: name.into(),
            content: FileContent::Bytes(content.as_bytes().to_vec()),
            mode: Some(mode),
        })
    };

    let error = start(PartSpec::new("part", ["seatrial-no-such-program"])).await;
    assert!(matches!(&error, StartError::ProgramNotFound { .. }), "{error}");
    assert!(
        error
            .to_string()
            .starts_with("start `part`: there is no program `seatrial-no-such-program` in PATH (")
    );
    let error = start(PartSpec::new("part", ["./nothing"])).await;
    assert!(matches!(&error, StartError::ProgramNotFound { .. }), "{error}");
    let error = start(script("plain", "", 0o644)).await;
    assert!(matches!(&error, StartError::NotExecutable { .. }), "{error}");
    let error = start(script("odd", "#!/no/such/interpreter\n", 0o755)).await;
    assert!(
        matches!(&error, StartError::NotExecutable { source, .. } if source.to_string().contains("interpreter")),
        "{error:?}"
    );
    let error = start(script("garbage", "\u{1}\u{2}", 0o755)).await;
    assert!(matches!(&error, StartError::NotExecutable { .. }), "{error}");
    let mut spec = sh("true");
    spec.working_dir = Some("/no/such/directory".into());
    let error = start(spec).await;
    assert!(matches!(&error, StartError::WorkingDirectory { .. }), "{error}");
    let error = start(PartSpec::new("part", [""; 0])).await;
    assert!(matches!(&error, StartError::Empty { .. }), "{error}");

    // None of them took the name.
    fixture.sh("true").await;
    let error = start(sh("true")).await;
    assert!(matches!(&error, StartError::DuplicateName { .. }), "{error}");
    fixture.end().await;
}

#[tokio::test]
async fn exec_runs_in_its_environment() {
    let fixture = Fixture::new().await;
    let part = fixture
        .group
        .start(sh("echo $$ > pid; echo ready; exec sleep 1000").env("WHO", "part"))
        .await
        .unwrap();
    wait_for_text(&part, "ready").await;
    let exec = async |script: &str, stdin: Option<&str>| {
        let mut spec = ExecSpec::new(["sh", "-c", script], SOON);
        spec.stdin = stdin.map(|text| text.as_bytes().to_vec());
        soon(part.exec(spec)).await.unwrap()
    };
    let output = exec("echo $WHO; pwd; echo oops >&2; exit 4", None).await;
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(
        output.stdout,
        format!("part\n{}\n", part.working_dir().display()).as_bytes()
    );
    assert_eq!(output.stderr, b"oops\n");
    let output = exec("cat", Some("given")).await;
    assert_eq!(output.stdout, b"given");
    // It sees the part's processes by the numbers that they see themselves.
    let output = exec("kill -0 $(cat pid) && echo there", None).await;
    assert_eq!(output.stdout, b"there\n", "{output:?}");
    // A process that stays behind holds the streams open.
    let output = exec("echo first; sleep 1000 &", None).await;
    assert_eq!(output.stdout, b"first\n");
    assert!(output.status.success());

    soon(part.kill()).await.unwrap();
    let output = exec("echo still", None).await;
    assert_eq!(output.stdout, b"still\n");
    fixture.end().await;
}

#[tokio::test]
async fn exec_is_bounded() {
    let fixture = Fixture::new().await;
    let part = fixture.sh("exec sleep 1000").await;
    let slow = ExecSpec::new(
        ["sh", "-c", "echo begun; trap '' TERM; sleep 1000; true"],
        Duration::from_millis(300),
    );
    let error = soon(part.exec(slow)).await.unwrap_err();
    assert!(
        matches!(&error, ExecError::TimedOut { stdout, .. } if stdout == b"begun\n"),
        "{error:?}"
    );
    // Its last process may be dying still.
    soon(async {
        while part.pids() != [part.main_pid()] {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    let mut much = ExecSpec::new(["head", "-c", "3000000", "/dev/zero"], SOON);
    much.output_bytes_max = 1000;
    let output = soon(part.exec(much)).await.unwrap();
    assert!(output.status.success() && output.truncated);
    assert_eq!(output.stdout.len(), 1000);
    let missing = part
        .exec(ExecSpec::new(["seatrial-no-such-program"], SOON))
        .await
        .unwrap_err();
    assert!(matches!(missing, ExecError::ProgramNotFound { .. }));
    fixture.end().await;
}

#[tokio::test]
async fn a_restart_is_the_same_part_again() {
    let fixture = Fixture::new().await;
    let part = fixture.sh("echo run >> runs; wc -l < runs; sleep 1000").await;
    wait_for_text(&part, "1\n").await;
    let mut follower = part.logs().reader(Stream::Stdout).unwrap();
    assert_eq!(soon(follower.next_chunk()).await.unwrap(), Some(&b"1\n"[..]));
    let first = part.main_pid();
    soon(part.restart()).await.unwrap();
    assert_eq!(part.try_status(), None);
    assert_ne!(part.main_pid(), first);
    assert_eq!(soon(follower.next_chunk()).await.unwrap(), Some(&b"2\n"[..]));
    // Also when it has ended by itself.
    part.signal(Signal::KILL).await.unwrap();
    wait(&part).await;
    assert_eq!(soon(follower.next_chunk()).await.unwrap(), None);
    soon(part.restart()).await.unwrap();
    assert_eq!(soon(follower.next_chunk()).await.unwrap(), Some(&b"3\n"[..]));
    fixture.end().await;
}

#[tokio::test]
async fn its_use_of_the_machine_is_measured() {
    let fixture = Fixture::new().await;
    let part = fixture
        .group
        .start(target("part", "targets::use_resources"))
        .await
        .unwrap();
    assert!(wait(&part).await.success());
    let usage = part.usage();
    assert!(usage.peak_rss_bytes >= 64 << 20, "{usage:?}");
    assert!(usage.peak_rss_bytes < 200 << 20, "{usage:?}");
    assert!(usage.cpu_time > Duration::from_millis(20), "{usage:?}");
    fixture.end().await;
}

#[tokio::test]
async fn listening_is_seen_without_connecting() {
    let fixture = Fixture::new().await;
    let port = fixture.group.claim_port().unwrap();
    let spec = target("part", "targets::serve_others").env("PORT", port.to_string());
    let part = fixture.group.start(spec).await.unwrap();
    let dir = part.working_dir().to_owned();
    for endpoint in [
        Endpoint::Udp(port),
        Endpoint::Unix(dir.join("stream.sock")),
        Endpoint::Unix(dir.join("datagram.sock")),
    ] {
        soon(part.wait_listening(&endpoint)).await.unwrap();
    }
    assert_eq!(part.listening(&Endpoint::Tcp(port)).unwrap(), Listening::No);
    // On the same port, but not the part's.
    let ours = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let holder = soon(async {
        loop {
            match part.listening(&Endpoint::Tcp(port)).unwrap() {
                Listening::SomebodyElse(holder) => break holder,
                // What was read a moment before is still taken for true.
                Listening::No => tokio::time::sleep(Duration::from_millis(1)).await,
                Listening::Yes { .. } => panic!("taken for the part's"),
            }
        }
    })
    .await;
    assert_eq!(holder.find().unwrap().0, std::process::id());
    drop(ours);
    fixture.end().await;
}
