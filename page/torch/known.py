"""Names that PyTorch has and this torch may lack: whoever asks is told so."""

__all__ = ["TENSOR_NAMES", "TORCH_NAMES"]

TENSOR_NAMES = frozenset([
    "acosh", "addbmm", "addmv", "addr", "align_to", "apply_", "as_strided", "asinh", "atanh",
    "baddbmm", "bincount", "bitwise_left_shift", "cauchy_", "cholesky_inverse",
    "cholesky_solve", "coalesce", "copysign", "cosh", "cross", "cuda", "cummax", "cummin",
    "cumprod", "cumsum_", "deg2rad", "dequantize", "det", "diff", "digamma", "dist", "eig",
    "erfc", "erfinv", "exponential_", "fft", "fliplr", "flipud", "float_power", "fold", "frac",
    "frexp", "gcd", "geometric_", "geqrf", "hardshrink", "heaviside", "histc", "i0", "igamma",
    "index_copy", "index_fill", "index_put", "index_reduce", "indices_", "istft", "kthvalue",
    "lcm", "ldexp", "lgamma", "log_normal_", "logaddexp", "logaddexp2", "logcumsumexp",
    "logdet", "logit", "lstsq", "lu", "map", "matrix_exp", "matrix_power", "mode", "moveaxis",
    "names", "nanmean", "nanmedian", "nanquantile", "nansum", "nextafter", "numpy", "orgqr",
    "ormqr", "pin_memory", "pinverse", "polygamma", "prelu", "put", "qr", "rad2deg", "rename",
    "renorm", "rot90", "scatter_reduce", "share_memory_", "signbit", "sinc", "sinh", "slogdet",
    "softplus", "sparse_dim", "square_", "stft", "svd", "swapdims", "symeig", "take", "tile",
    "to_dense", "to_sparse", "trapz", "triangular_solve", "unfold", "unique_consecutive",
    "values_", "xlogy",
])  # fmt: skip
TORCH_NAMES = TENSOR_NAMES | frozenset([
    "backends", "block_diag", "bucketize", "cartesian_prod", "combinations", "compile",
    "complex", "cuda", "distributed", "distributions", "einsum_path", "export", "fft",
    "from_numpy", "func", "fx", "hub", "imag", "jit", "kron", "load", "lobpcg", "masked",
    "mps", "multiprocessing", "nested", "onnx", "pca_lowrank", "polar", "profiler",
    "quantization", "quantize_per_tensor", "real", "save", "searchsorted", "sparse", "special",
    "svd_lowrank", "tensordot", "view_as_complex", "view_as_real", "vmap", "xpu",
])  # fmt: skip
