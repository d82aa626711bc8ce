use grad_core::Tape;

fn main() {
    let x = {
        let tape = Tape::<f64>::new();
        tape.var(1.0)
    };
    let _ = x + 1.0;
}
