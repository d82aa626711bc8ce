use grad_core::extend::{ByPartial, Elementwise, Primal};
use grad_core::{Tape, TensorLike, Var};

struct Keeps<'a>(Var<'a, f64>);

impl Elementwise for Keeps<'_> {
    const NAME: &'static str = "keeps";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        Ok(x[0].clone())
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, _: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c
    }
}

fn main() {
    let tape = Tape::<f64>::new();
    let x = tape.var(1.0);
    let _ = tape.apply(ByPartial::new(Keeps(x)), &[x]);
}
