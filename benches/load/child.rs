//! A daemon under measurement: a child process with its files in a folder of the measurement.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;

const READY_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at a log or a process.
const PAUSE: Duration = Duration::from_millis(20);

/// A folder for the files of daemons, which goes when this does.
pub struct Folder(PathBuf);

pub struct Daemon {
    process: Child,
    log: PathBuf,
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

    /// The admin listener of the daemon with this name.
    pub fn admin(&self, name: &str) -> PathBuf {
        self.0.join(name).join("admin.sock")
    }
}

impl Daemon {
    /// Starts the release binary with files of this name, and waits until its log says that it is `ready`. Its admin
    /// listener is where [`Folder::admin`] says.
    pub fn start(folder: &Folder, name: &str, config: &str, ready: &str) -> Outcome<Self> {
        let [file, log] = ["toml", "log"].map(|kind| folder.path().join(format!("{name}.{kind}")));
        fs::write(&file, config)?;
        let runtime = folder.path().join(name);
        fs::create_dir_all(&runtime)?;
        // If the measurement is killed, its daemon ends with it.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_hairpin")]);
        command.arg("--config").arg(&file).env("RUNTIME_DIRECTORY", runtime);
        let process = command.stderr(File::create(&log)?).spawn()?;
        let mut daemon = Self { process, log };
        daemon.line(ready, READY_WITHIN)?;
        Ok(daemon)
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn log(&self) -> Outcome<String> {
        Ok(fs::read_to_string(&self.log)?)
    }

    /// The first line of the log that contains `text`, for which it waits while the daemon runs.
    pub fn line(&mut self, text: &str, within: Duration) -> Outcome<String> {
        let deadline = Instant::now() + within;
        loop {
            let last = Instant::now() >= deadline || self.process.try_wait()?.is_some();
            let log = self.log()?;
            match log.lines().find(|line| line.contains(text)) {
                Some(line) => return Ok(line.to_owned()),
                None if last => return Err(format!("the daemon did not say {text:?}:\n{log}").into()),
                None => thread::sleep(PAUSE),
            }
        }
    }

    pub fn signal(&self, name: &str) -> Outcome<()> {
        Command::new("kill").args(["-s", name, &self.pid().to_string()]).status()?;
        Ok(())
    }

    /// Ends it without a warning.
    pub fn kill(mut self) -> Outcome<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// How it has ended by itself.
    pub fn ended(&mut self, within: Duration) -> Outcome<ExitStatus> {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status);
            }
            thread::sleep(PAUSE);
        }
        Err("the daemon does not end".into())
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
