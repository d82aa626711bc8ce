//! The memory of the workloads: `cargo xtask bench`. A program of its own, since counting every
//! allocation takes time.

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fn main() -> anyhow::Result<()> {
    grad_bench::memory(&MEMORY)
}
