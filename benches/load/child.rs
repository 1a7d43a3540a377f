//! A daemon under measurement: a child process in a folder of its own, which goes with it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;

const READY_WITHIN: Duration = Duration::from_secs(10);
const READY_PAUSE: Duration = Duration::from_millis(50);

/// A folder for the files of a daemon, which goes when this does.
pub struct Folder(PathBuf);

pub struct Daemon {
    process: Child,
    /// Kept for as long as the daemon needs its files.
    _folder: Folder,
}

impl Folder {
    /// An empty folder for the measurement of this name.
    pub fn new(name: &str) -> Outcome<Self> {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Daemon {
    /// Starts the release binary, and waits until its log says that it is `ready`.
    pub fn start(folder: Folder, config: &str, ready: &str) -> Outcome<Self> {
        let (file, log) = (folder.path().join("config.toml"), folder.path().join("log"));
        fs::write(&file, config)?;
        // If the measurement is killed, its daemon ends with it.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_hairpin")]);
        let process = command.arg("--config").arg(&file).stderr(File::create(&log)?).spawn()?;
        let mut daemon = Self { process, _folder: folder };
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline && daemon.process.try_wait()?.is_none() {
            if fs::read_to_string(&log)?.contains(ready) {
                return Ok(daemon);
            }
            thread::sleep(READY_PAUSE);
        }
        Err(format!("the daemon does not start:\n{}", fs::read_to_string(&log)?).into())
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It is ours, and may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
