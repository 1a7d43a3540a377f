//! The command line: runs a command, and reports its failure.

mod admin_client;
mod admin_token;
mod api_key;
mod check_config;
mod completions;
mod credential;
mod demo;
mod doctor;
mod drain;
mod import_coturn;
mod invite;
mod kick;
mod reload;
mod room_password;
mod rooms;
mod secret;
mod serve;
mod sessions;
mod setup;
mod signals;
mod status;
mod supervisor;
mod table;
mod usage;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::certificates::Certificates;
use crate::cli::admin_client::AdminArguments;
use crate::config::Config;
use crate::log;

/// Everything WebRTC needs besides the browser, in one program.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    serve: serve::Arguments,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the daemon (the default).
    Serve(serve::Arguments),
    /// Runs a call page for the devices in the same network, to try it.
    Demo(demo::Arguments),
    /// Sets up this server for a host name: configuration, certificate, service.
    Setup(setup::Arguments),
    /// Tries a daemon as its clients do, and says what is wrong and what to do.
    Doctor(doctor::Arguments),
    /// Checks a configuration file and starts nothing.
    CheckConfig(check_config::Arguments),
    /// Turns coturn's turnserver.conf into a configuration file.
    ImportCoturn(import_coturn::Arguments),
    /// Makes a time-limited credential and prints it as JSON.
    Credential(credential::Arguments),
    /// Makes a key for the HTTP API.
    ApiKey(api_key::Arguments),
    /// Makes a link whose holder may open a room, where not everybody may.
    Invite(invite::Arguments),
    /// Hashes the password with which people open rooms.
    RoomPassword,
    /// Makes a token for the admin listener.
    AdminToken,
    /// Shows what a running daemon holds.
    Status(AdminArguments),
    /// Shows who relays what.
    Sessions(sessions::Arguments),
    /// Ends a session, or all sessions of a user. To keep the client away, revoke its credential first.
    Kick(kick::Arguments),
    /// Shows the rooms, or ends one.
    Rooms(rooms::Arguments),
    /// Has a running daemon read its configuration again.
    Reload(AdminArguments),
    /// Lets a running daemon admit no new clients, and end when the last allocation has ended.
    Drain(AdminArguments),
    /// Changes the shared secrets.
    Secret(secret::Arguments),
    /// Shows what each user of a running daemon has used.
    Usage(usage::Arguments),
    /// Prints the completions for a shell.
    Completions(completions::Arguments),
    /// Writes the manual pages.
    #[command(hide = true)]
    Man(completions::ManArguments),
}

/// Runs the command that the arguments name.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command.unwrap_or(Command::Serve(arguments.serve)) {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Setup(arguments) => setup::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::CheckConfig(arguments) => check_config::run(&arguments),
        Command::ImportCoturn(arguments) => import_coturn::run(&arguments),
        Command::Credential(arguments) => credential::run(&arguments),
        Command::ApiKey(arguments) => api_key::run(&arguments),
        Command::Invite(arguments) => invite::run(&arguments),
        Command::RoomPassword => room_password::run(),
        Command::AdminToken => admin_token::run(),
        Command::Status(arguments) => status::run(&arguments),
        Command::Sessions(arguments) => sessions::run(&arguments),
        Command::Kick(arguments) => kick::run(&arguments),
        Command::Rooms(arguments) => rooms::run(&arguments),
        Command::Reload(arguments) => reload::run(&arguments),
        Command::Drain(arguments) => drain::run(&arguments),
        Command::Secret(arguments) => secret::run(&arguments),
        Command::Usage(arguments) => usage::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => completions::man(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::last_words(failure.message.lines().map(|line| format!("hairpin: {line}\n")).collect());
            ExitCode::from(failure.code)
        }
    }
}

/// Why a command failed, and the exit code that says so (as in sysexits.h).
struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// The configuration is wrong; a restart will not help.
    fn config(message: impl Display) -> Self {
        Self { message: message.to_string(), code: 78 }
    }

    /// The daemon refused what it was asked for.
    fn refused(message: impl Display) -> Self {
        Self { message: message.to_string(), code: 1 }
    }

    /// The operating system refused something; a later try may succeed.
    fn system(message: impl Display) -> Self {
        Self { message: message.to_string(), code: 71 }
    }
}

/// The configuration in a file, or the embedded default, and in the environment.
fn load(file: Option<&Path>) -> Result<Config, Failure> {
    Config::load(file).map_err(Failure::config)
}

/// Like [`load`], but also checks the configuration and loads its certificates, which must exist at start.
fn examine(file: Option<&Path>) -> Result<(Config, Option<Certificates>), Failure> {
    Config::examine(file).map_err(Failure::config)
}

/// Whether this runs as root, which can read every file.
fn is_root() -> bool {
    Path::new("/proc/self").metadata().is_ok_and(|process| process.uid() == 0)
}

/// Prints a command's result. This can fail: the reader may have closed the pipe, or a disk may be full.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    printed.map_err(|error| Failure::system(format!("cannot write to standard output ({error})")))
}

/// `--config`, which several commands take.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct ConfigArgument {
    /// The configuration file. Without one, every key has its default.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}
