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
            $crate::each_method!($crate::method);
        }

        mod operations {
            $crate::each_operation!($crate::operation);
        }

        #[test]
        fn misuse_is_an_error() -> $crate::Verdict {
            $crate::misuse_is_an_error(&$model())
        }

        #[test]
        fn random_programs_fail_like_the_reference() -> $crate::Verdict {
            $crate::fuzz::fails_like_the_reference(&$model(), 0..100)
        }

        #[test]
        fn tails_keep_their_digits() -> $crate::Verdict {
            $crate::tails(&$model())
        }

        #[test]
        fn tails_of_sums_of_exponentials_keep_their_digits() -> $crate::Verdict {
            $crate::tails_of_three(&$model())
        }

        #[test]
        fn many_reads_equal_their_rules() -> $crate::Verdict {
            $crate::reads::many_reads_equal_their_rules(&$model(), 0..10)
        }
    };
}

/// A test for each name, which calls a function with it.
#[doc(hidden)]
#[macro_export]
macro_rules! named_tests {
    ($check:path: $($name:ident)*) => {
        $(
            #[test]
            fn $name() -> $crate::Verdict {
                $check(stringify!($name).trim_end_matches('_'), &super::model())
            }
        )*
    };
}
