//! The names of the contenders. Those that are ours begin with `ours`.

pub(crate) const ON_F64: &str = "ours on f64";
pub(crate) const ON_NDARRAY: &str = "ours on ndarray";
pub(crate) const ON_CANDLE: &str = "ours on candle";
pub(crate) const CANDLE: &str = "candle";
pub(crate) const FLOOR: &str = "floor";
