//! The `hairpin` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
    hairpin::system::look_up_names_without_modules();
    hairpin::system::return_large_memory_at_once();
    hairpin::cli::run()
}
