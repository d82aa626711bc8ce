//! The problems of GradBench through its protocol: `cargo xtask bench gradbench`.

fn main() -> anyhow::Result<()> {
    grad_bench::gradbench()
}
