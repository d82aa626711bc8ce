//! `conformance!`: the tests of a backend, one for each method, operation and promise.

/// A module of tests for a backend: every method of [`TensorLike`](grad_core::TensorLike), compared
/// with the reference; every operation under every law, to the third derivative; once with the
/// backend's overrides of provided methods, once without.
///
/// Takes the type of the tensor and a model tensor: the tests run on its device, in its dtype. A
/// name in front is that of the module, for more than one in a file.
///
/// ```
/// grad_conformance::conformance!(grad_conformance::Reference, 0.0.into());
/// grad_conformance::conformance!(second: grad_conformance::Reference, 0.0.into());
/// ```
///
/// Optional methods that the backend leaves out are reported (`cargo test -- --show-output`), and
/// are no failures.
#[macro_export]
macro_rules! conformance {
    ($tensor:ty, $model:expr) => {
        $crate::conformance!(conformance: $tensor, $model);
    };
    ($module:ident: $tensor:ty, $model:expr) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            fn model() -> $tensor {
                $model
            }

            /// The tensor as it is.
            mod with_overrides {
                use super::model;

                $crate::conformance_of!(model);
            }

            /// The tensor, with the provided methods as they are defined.
            mod without_overrides {
                fn model() -> impl $crate::grad_core::TensorLike {
                    $crate::Minimal(super::model())
                }

                $crate::conformance_of!(model);
            }
        }
    };
}

/// The tests of the tensor that a function makes.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_of {
    ($model:ident) => {
        mod methods {
            $crate::each_method!($crate::named_tests, $crate::method);
        }

        mod operations {
            $crate::each_operation!($crate::named_tests, $crate::operation);
        }

        #[test]
        fn misuse_is_an_error() -> $crate::Verdict {
            $crate::misuse_is_an_error(&$model())
        }

        #[test]
        fn random_programs_fail_like_the_reference() -> $crate::Verdict {
            $crate::fuzz::fails_like_the_reference(&$model(), 0..100)
        }
    };
}

/// A test for each name, which calls a function with it.
#[doc(hidden)]
#[macro_export]
macro_rules! named_tests {
    ([$($name:ident)*] $check:path) => {
        $(
            #[test]
            fn $name() -> $crate::Verdict {
                $check(stringify!($name).trim_end_matches('_'), &super::model())
            }
        )*
    };
}

/// Expands a macro with the names of the methods that are compared.
#[doc(hidden)]
#[macro_export]
macro_rules! each_method {
    ($($macro:tt)::+ $(, $($argument:tt)+)?) => {
        $($macro)::+! { [
            full from_host scalar add sub mul div pow neg scale shift recip powf powi mul_or_zero
            accumulate exp ln sin cos tanh sqrt expm1 exp2 log2 log10 log1p tan asin acos atan sinh
            cosh asinh acosh atanh erf floor ceil round trunc atan2 square rsqrt sigmoid softplus
            softmax log_softmax abs sign relu lt eq le ne maximum minimum select sum max min mean
            sum_to cumsum reverse_cumsum reshape permute expand matmul slice unslice index_select index_add gather
            scatter_add concat unfold fold solve triangular_solve inv slogdet cholesky eigh
        ] $($($argument)+)? }
    };
}

/// Expands a macro with the names of the operations of the catalogue.
#[doc(hidden)]
#[macro_export]
macro_rules! each_operation {
    ($($macro:tt)::+ $(, $($argument:tt)+)?) => {
        $($macro)::+! { [
            add sub mul div mul_or_zero mul_or_zero_both neg scale shift recip powf powi
            square sqrt rsqrt pow pow_ln exp expm1 exp2 ln log2 log10 log1p logaddexp
            xlogy erf abs sin cos tan asin acos one_plus_square atan atan2 sinh cosh
            tanh asinh acosh atanh sigmoid softplus relu silu gelu gelu_tanh maximum
            minimum clamp_min clamp_max where_ lt le gt ge eq ne sign floor ceil round
            trunc detach sum mean max min sum_to norm cumsum
            logsumexp softmax log_softmax identity expand reshape permute slice unslice
            pad flip roll tril triu concat unfold fold index_select index_add gather
            scatter_add matmul solve triangular_solve inv slogdet cholesky eigh
            checkpoint custom_vjp custom_jvp
        ] $($($argument)+)? }
    };
}

#[cfg(test)]
mod tests {
    use crate::{catalogue, methods};

    macro_rules! texts {
        ([$($name:ident)*]) => { [$(stringify!($name).trim_end_matches('_')),*] };
    }

    #[test]
    fn each_operation_of_the_catalogue_has_a_test() {
        assert_eq!(each_operation!(texts)[..], catalogue::operations());
    }

    #[test]
    fn each_method_of_the_table_has_a_test() {
        assert_eq!(each_method!(texts)[..], methods::methods());
    }
}
