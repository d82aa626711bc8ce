//! The command line of simple-grad. Everything is in the library of the same name.

fn main() -> std::process::ExitCode {
    grad_demo::main()
}
