//! Functions of one variable given as text, as SymPy writes them, and their derivatives in turn.

use grad_core::{Tape, TensorLike, Var};
use serde_json::Value;

/// `[f, f', .., f⁽ⁿ⁾]` for the expression and the order in the attributes.
pub(super) fn nth_derivatives<'t, T: TensorLike>(
    tape: &'t Tape<T>,
    x: &[Var<'t, T>],
    attrs: &Value,
) -> Result<Vec<Var<'t, T>>, String> {
    let [x] = x else { return Err(format!("needs one input, got {}", x.len())) };
    let text = attrs["expr"].as_str().ok_or("attribute expr is missing")?;
    let orders = attrs["orders"].as_u64().ok_or("attribute orders is missing")?;
    if orders > HIGHEST {
        return Err(format!("{orders} orders are more than {HIGHEST}"));
    }
    let mut y = vec![parse(text, *x)?];
    for _ in 0..orders {
        let last = y[y.len() - 1];
        y.push(tape.grad(last, *x));
    }
    Ok(y)
}

/// Each order multiplies what is recorded.
const HIGHEST: u64 = 12;

/// The value of an expression at x.
fn parse<'t, T: TensorLike>(text: &str, x: Var<'t, T>) -> Result<Var<'t, T>, String> {
    let mut parser = Parser { rest: text, x, depth: 0 };
    let value = parser.sum()?;
    match parser.peek() {
        None => Ok(parser.var(value)),
        Some(c) => Err(format!("unexpected {c:?} in {text:?}")),
    }
}

struct Parser<'a, 't, T: TensorLike> {
    rest: &'a str,
    x: Var<'t, T>,
    depth: usize,
}

/// A number, which is exact as an exponent, or a function of x.
#[derive(Clone, Copy)]
enum Term<'t, T: TensorLike> {
    Number(f64),
    Var(Var<'t, T>),
}

use Term::Number;

/// Deeper nesting is refused, since the parser recurses.
const DEEPEST: usize = 100;

impl<'t, T: TensorLike> Parser<'_, 't, T> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    /// Takes `token` if it comes next.
    fn take(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn var(&self, term: Term<'t, T>) -> Var<'t, T> {
        match term {
            Number(n) => self.x.full_like(n),
            Term::Var(x) => x,
        }
    }

    /// `term + term - term …`.
    fn sum(&mut self) -> Result<Term<'t, T>, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("the expression is nested too deeply".to_string());
        }
        let mut left = self.product()?;
        loop {
            let minus = match self.peek() {
                Some('+') => false,
                Some('-') => true,
                _ => break,
            };
            self.rest = &self.rest[1..];
            let right = self.product()?;
            left = match (left, right, minus) {
                (Number(a), Number(b), false) => Number(a + b),
                (Number(a), Number(b), true) => Number(a - b),
                (a, b, false) => Term::Var(self.var(a) + self.var(b)),
                (a, b, true) => Term::Var(self.var(a) - self.var(b)),
            };
        }
        self.depth -= 1;
        Ok(left)
    }

    /// `factor * factor / factor …`.
    fn product(&mut self) -> Result<Term<'t, T>, String> {
        let mut left = self.factor()?;
        while !self.rest.trim_start().starts_with("**") {
            let divide = match self.peek() {
                Some('*') => false,
                Some('/') => true,
                _ => break,
            };
            self.rest = &self.rest[1..];
            let right = self.factor()?;
            left = match (left, right, divide) {
                (Number(a), Number(b), false) => Number(a * b),
                (Number(a), Number(b), true) => Number(a / b),
                (Term::Var(a), Number(b), false) => Term::Var(a * b),
                (Number(a), Term::Var(b), false) => Term::Var(a * b),
                (a, b, false) => Term::Var(self.var(a) * self.var(b)),
                (a, b, true) => Term::Var(self.var(a) / self.var(b)),
            };
        }
        Ok(left)
    }

    /// A sign, and a power; `-x**2` is `-(x**2)`.
    fn factor(&mut self) -> Result<Term<'t, T>, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("the expression is nested too deeply".to_string());
        }
        let value = if self.take("+") {
            self.factor()?
        } else if self.take("-") {
            match self.factor()? {
                Number(n) => Number(-n),
                Term::Var(x) => Term::Var(-x),
            }
        } else {
            let base = self.atom()?;
            if self.take("**") {
                let exponent = self.factor()?;
                match (base, exponent) {
                    (Number(a), Number(b)) => Number(a.powf(b)),
                    (Term::Var(x), Number(b)) => Term::Var(x.powf(b)),
                    (a, b) => Term::Var(self.var(a).pow(self.var(b))),
                }
            } else {
                base
            }
        };
        self.depth -= 1;
        Ok(value)
    }

    /// A number, a name, a call or a parenthesis.
    fn atom(&mut self) -> Result<Term<'t, T>, String> {
        if self.take("(") {
            let value = self.sum()?;
            return self.close().map(|()| value);
        }
        self.rest = self.rest.trim_start();
        let length = number_length(self.rest);
        if length > 0 {
            let (number, rest) = self.rest.split_at(length);
            self.rest = rest;
            return number.parse().map(Number).map_err(|_| format!("{number:?} is no number"));
        }
        let name: String = self.rest.chars().take_while(|&c| c.is_alphanumeric()).collect();
        self.rest = &self.rest[name.len()..];
        match &*name {
            "x" => return Ok(Term::Var(self.x)),
            "pi" => return Ok(Number(std::f64::consts::PI)),
            "E" => return Ok(Number(std::f64::consts::E)),
            _ => {}
        }
        if !self.take("(") {
            return Err(format!("unknown name {name:?}"));
        }
        let argument = self.sum()?;
        if name == "Rational" {
            let (true, Number(p), Number(q)) = (self.take(","), argument, self.sum()?) else {
                return Err("Rational needs two numbers".to_string());
            };
            return self.close().map(|()| Number(p / q));
        }
        if name == "log" && self.take(",") {
            let base = self.sum()?;
            let (x, base) = (self.var(argument), self.var(base));
            return self.close().map(|()| Term::Var(x.ln() / base.ln()));
        }
        self.close()?;
        let x = self.var(argument);
        Ok(Term::Var(match &*name {
            "exp" => x.exp(),
            "log" | "ln" => x.ln(),
            "sqrt" => x.sqrt(),
            "sin" => x.sin(),
            "cos" => x.cos(),
            "tan" => x.tan(),
            "sinh" => x.sinh(),
            "cosh" => x.cosh(),
            "tanh" => x.tanh(),
            "asin" => x.asin(),
            "acos" => x.acos(),
            "atan" => x.atan(),
            "asinh" => x.asinh(),
            "acosh" => x.acosh(),
            "atanh" => x.atanh(),
            "sec" => x.cos().recip(),
            "csc" => x.sin().recip(),
            "cot" => x.tan().recip(),
            "sech" => x.cosh().recip(),
            "csch" => x.sinh().recip(),
            "coth" => x.tanh().recip(),
            "erf" => x.erf(),
            "erfc" => 1.0 - x.erf(),
            "sign" => x.sign(),
            "Abs" => x.abs(),
            _ => return Err(format!("unknown function {name:?}")),
        }))
    }

    fn close(&mut self) -> Result<(), String> {
        match self.take(")") {
            true => Ok(()),
            false => Err(format!("a parenthesis is not closed before {:?}", self.rest)),
        }
    }
}

/// How much of `text` is a number: digits, a point, and an exponent.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits =
        |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut length = digits(0);
    if bytes.get(length) == Some(&b'.') {
        length += 1 + digits(length + 1);
    }
    if length > 0 && matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        match digits((length + 1 + sign).min(bytes.len())) {
            0 => {}
            n => length += 1 + sign + n,
        }
    }
    length
}
