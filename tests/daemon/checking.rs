//! A configuration is judged in one run and without waiting, whatever its files are.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::support::certificate::Folder;
use crate::support::daemon::config_text;
use crate::support::process::{ended, file};

/// What a run says, and how it ends; it must end soon.
fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
    let command = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    if ended(&mut child, Duration::from_secs(10)).is_none() {
        child.kill().unwrap();
        panic!("{arguments:?} hangs: {:?}", child.wait_with_output());
    }
    child.wait_with_output().unwrap()
}

/// What `check-config` and the start say against a configuration; they must say the same.
fn refused(config: &str) -> String {
    let check = run(&["check-config", config]);
    let start = run(&["--config", config]);
    assert_eq!((check.status.code(), start.status.code()), (Some(78), Some(78)), "{check:?}\n{start:?}");
    let [check, start] = [check, start].map(|output| String::from_utf8(output.stderr).unwrap());
    assert_eq!(check, start);
    check
}

/// A folder of this test, with what is in it gone before.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    drop(fs::remove_dir_all(&path));
    fs::create_dir_all(&path).unwrap();
    path
}

/// F22
#[test]
fn what_is_no_file_is_refused_as_any_file_and_nobody_waits_for_it() {
    let folder = folder("no-files");
    let [fifo, link, socket] = ["fifo", "link", "socket"].map(|name| folder.join(name));
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    std::os::unix::fs::symlink(&fifo, &link).unwrap();
    let _socket = UnixListener::bind(&socket).unwrap();
    let certificates = Folder::new("no-files");
    certificates.pair("a", "turn.example");
    let base = config_text("22700-22709", &["127.0.0.1:0"]);
    let good = certificates.configure_text(&base, "a");
    let certificate = good.lines().find(|line| line.starts_with("certificate = ")).unwrap();
    let key = good.lines().find(|line| line.starts_with("key = ")).unwrap();
    for (path, what) in [
        (fifo.to_str().unwrap(), "it is a pipe"),
        (link.to_str().unwrap(), "it is a pipe"),
        (socket.to_str().unwrap(), "it is a socket"),
        (folder.to_str().unwrap(), "irectory"),
        ("/dev/zero", "it is a device"),
        ("/dev/null", "it is a device"),
        ("/dev/tty", "it is a device"),
    ] {
        let secrets = format!("[credentials]\nsecrets_file = {path:?}\n");
        for (at, text) in [
            ("tls.certificate", good.replace(certificate, &format!("certificate = {path:?}"))),
            ("tls.key", good.replace(key, &format!("key = {path:?}"))),
            ("credentials.secrets_file", base.replace("[credentials]\n", &secrets)),
        ] {
            let said = refused(&file("no-file.toml", &text));
            assert!(said.contains(at) && said.contains(what) && said.contains(path), "{said}");
        }
        let said = refused(path);
        assert!(said.contains(path) && said.contains(what), "{said}");
        let output = run(&["credential", "--config", path]);
        assert_eq!(output.status.code(), Some(78), "{output:?}");
    }
}

#[test]
fn a_file_without_end_is_refused() {
    let folder = folder("long-files");
    let long = folder.join("long");
    fs::write(&long, "# a comment\n".repeat(100_000)).unwrap();
    fs::set_permissions(&long, fs::Permissions::from_mode(0o600)).unwrap();
    let path = long.to_str().unwrap();
    for said in
        [refused(path), refused(&file("long.toml", &format!("[credentials]\nsecrets_file = {path:?}\n")))]
    {
        assert!(said.contains("larger than 1 MiB"), "{said}");
    }
}

/// Who signs with the secret itself, as coturn does, must make the same password.
fn issues_as(secrets_file: &[u8], secret: &str) {
    let folder = folder("secrets");
    let path = folder.join("secret");
    fs::write(&path, secrets_file).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let config = file("secret-file.toml", &format!("[credentials]\nsecrets_file = {path:?}\n"));
    let output = run(&["credential", "--user", "a", "--config", &config]);
    let said: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let password = hairpin::secret::Secret::new(secret).password(said["username"].as_str().unwrap());
    assert_eq!(said["password"].as_str().unwrap(), password.reveal(), "{secrets_file:?}");
}

/// F22: a byte order mark became a part of the secret, and no other server's credential was good.
#[test]
fn what_an_editor_puts_around_a_secret_is_no_part_of_it() {
    let secret = "6f0c1d3a8b5e4f7096a2c4d8e1b3f507";
    for (before, after) in
        [("", ""), ("\u{FEFF}", "\n"), ("", "\r\n"), ("\u{FEFF}", "\r\n"), ("  ", "  \n\n")]
    {
        issues_as(format!("{before}{secret}{after}").as_bytes(), secret);
    }
    let two = format!("\u{FEFF}{secret}\r\n{}\r\n", "f".repeat(32));
    issues_as(two.replace(&"f".repeat(32), "0123456789abcdef0123456789ABCDEF").as_bytes(), secret);
}

#[test]
fn a_secret_with_what_nobody_sees_is_refused_and_not_shown() {
    let secret = "6f0c1d3a8b5e4f7096a2c4d8e1b3f507";
    let folder = folder("bad-secrets");
    let path = folder.join("secret");
    let utf16: Vec<u8> =
        std::iter::once(0xFEFF).chain(secret.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for (bytes, what) in [
        (format!("{secret}\n\u{FEFF}{secret}\n").into_bytes(), "invisible character"),
        (format!("{secret}\u{200B}\n").into_bytes(), "invisible character"),
        (format!("{secret}\0\n").into_bytes(), "invisible character"),
        (format!("{secret}\r{secret}").into_bytes(), "remove comments and spaces"),
        (utf16, "UTF-8"),
        (vec![0xFF; 40], "UTF-8"),
    ] {
        fs::write(&path, &bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let said = refused(&file("bad-secret.toml", &format!("[credentials]\nsecrets_file = {path:?}\n")));
        assert!(said.contains("credentials.secrets_file") && said.contains(what), "{said}");
        assert!(!said.contains(secret), "{said}");
    }
}

#[test]
fn a_configuration_as_editors_of_windows_write_it_is_read() {
    let good = run(&["check-config", &file("windows.toml", "\u{FEFF}[log]\r\nlevel = \"warn\"\r\n")]);
    assert!(good.status.success(), "{good:?}");
    let path = file("utf16.toml", "");
    fs::write(&path, "\u{FEFF}[log]\n".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>())
        .unwrap();
    let said = refused(&path);
    assert!(said.contains("the file is not UTF-8: save it as UTF-8 text"), "{said}");
}

/// Number 20.
#[test]
fn all_mistakes_are_shown_in_one_run_and_in_the_order_of_the_file() {
    let folder = Folder::new("all-mistakes");
    folder.pair("a", "turn.example");
    folder.foreign_key("a");
    let good = folder.configure_text("[relay]\n", "a");
    let files: Vec<&str> = good.lines().filter(|line| line.contains(" = \"/")).collect();
    let text = format!(
        "[listen]\nudp = [\"3478\"]\ntcp = [\"0.0.0.0:1\", \"0.0.0.0:1\"]\n\n[relay]\nports = \"9\"\nthreads = 2000\n\
         [limits]\nchannels = 0\npermissions = 0\nrate = 7\n[log]\nlevel = \"loud\"\nformat = \"xml\"\n[lisen]\na = 1\n\
         [credentials]\nsecrets = [\"hunter2\"]\nttl = 60\n[[http.keys]]\nid = \"a.b\"\nhash = \"hunter2\"\n[tls]\n{}\n",
        files.join("\n")
    );
    let said = refused(&file("all.toml", &text));
    let found: Vec<&str> = said.lines().map(|line| line.split("all.toml:").nth(1).unwrap_or(line)).collect();
    let expected = [
        "2: listen.udp: ",
        "3: listen.tcp: 0.0.0.0:1 is listed twice",
        "6: relay.ports: ",
        "7: relay.threads: ",
        "9: limits.channels: 0 is not allowed here: write a whole number from 1 to",
        "10: limits.permissions: 0 is not allowed here: write a whole number from 1 to",
        "11: limits.rate: unknown key",
        "13: log.level: ",
        "14: log.format: ",
        "15: lisen: unknown key",
        "18: credentials.secrets: a secret can be guessed",
        "19: credentials.ttl: ",
        "21: http.keys.id: ",
        "22: http.keys.hash: ",
        "25: tls.key: ",
    ];
    assert_eq!(found.len(), expected.len(), "{said}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\nshould start with {expected}\n{said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn what_cannot_be_had_at_the_start_is_said_at_the_line_of_its_key() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let text = config_text("22750-22759", &[&address]);
    let output = run(&["--config", &file("taken.toml", &text)]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(71), "{said}");
    assert!(said.contains("taken.toml:2: listen.udp: cannot listen on UDP "), "{said}");
}

/// F25
#[test]
fn a_credential_is_for_a_user_whom_http_would_take() {
    let config = file("user.toml", "[credentials]\nsecrets = [\"6f0c1d3a8b5e4f7096a2c4d8e1b3f507\"]\n");
    for wrong in ["a\nb", "a:b", "a b", "", "é", &"a".repeat(129)] {
        let output = run(&["credential", "--user", wrong, "--config", &config]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{wrong:?}");
        assert!(said.contains("--user") && said.contains("1 to 128 printable ASCII"), "{said}");
    }
    assert!(run(&["credential", "--user", &"~".repeat(128), "--config", &config]).status.success());
    assert!(run(&["credential", "--config", &config]).status.success());
}

/// Whoever pipes what is said into a program that ends early gets no panic.
#[test]
fn a_reader_that_ends_early_is_no_bug() {
    let config = file("reader.toml", "[peers]\nloopback = true\n");
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for arguments in [["check-config", &config], ["api-key", "--id=a"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
        let output = command.args(arguments).stdout(full()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(71), "{said}");
        assert!(said.contains("cannot write to standard output") && !said.contains("panicked"), "{said}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
    let output = command.args(["check-config", "/none"]).stderr(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
}
