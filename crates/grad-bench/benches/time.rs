//! The time of the workloads: `cargo xtask bench`.

fn main() -> anyhow::Result<()> {
    grad_bench::time()
}
