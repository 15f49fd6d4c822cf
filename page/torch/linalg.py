"""Products of matrices, and what of linear algebra the exercises use."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

from . import dtypes
from .autograd.engine import record
from .elementwise import broadcast_to, sum_to
from .lacking import lacks, missing
from .layout import Size, broadcast
from .reductions import METHODS as REDUCTIONS
from .tensor import Tensor, make

__all__ = [
    "METHODS",
    "LinAlgError",
    "cholesky",
    "eigh",
    "eigvalsh",
    "einsum",
    "inv",
    "matmul",
    "matrix_norm",
    "norm",
    "solve",
    "solve_triangular",
    "svd",
    "vector_norm",
]  # fmt: skip


def __getattr__(name: str) -> object:
    return missing(f"torch.linalg.{name}")


class LinAlgError(RuntimeError):
    """A matrix for which there is no answer."""


LinAlgError.__name__, LinAlgError.__module__ = "_LinAlgError", "torch._C"  # where PyTorch has it


def _rows(values: list, width: int) -> list[list]:
    return [values[i : i + width] for i in range(0, len(values), width)] if width else []


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Of two stacks of matrices with the same leading axes."""
    (n, k), m = a.shape[-2:], b.shape[-1]
    left, right = a.values(), b.transpose(-2, -1).values()
    found: list = []
    for i in range(math.prod(a.shape[:-2])):
        rows = [left[j : j + k] for j in range(i * n * k, (i + 1) * n * k, k or 1)]
        columns = [right[j : j + k] for j in range(i * m * k, (i + 1) * m * k, k or 1)]
        if not k:
            rows, columns = [[]] * n, [[]] * m
        found += [sum(map(operator.mul, row, column)) for row in rows for column in columns]
    out = make(a.dtype.rounded(found), (*a.shape[:-2], n, m), a.dtype)
    return record(
        out, "MmBackward0" if a.dim() == 2 else "BmmBackward0",
        (a, lambda g: _product(g, b.transpose(-2, -1)), (b,)),
        (b, lambda g: _product(a.transpose(-2, -1), g), (a,)),
    )  # fmt: skip


def matmul(self: Tensor, other: Tensor) -> Tensor:
    """The product of matrices, of vectors, or of stacks of matrices."""
    if not isinstance(other, Tensor):
        raise TypeError(f"matmul(): argument 'other' must be Tensor, not {type(other).__name__}")
    if self.dtype is not other.dtype:
        names = {"float32": "float", "float64": "double", "int64": "long int", "bool": "bool"}
        a, b = (names.get(x.dtype.name, x.dtype.name) for x in (self, other))
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {a} != {b}")
    if not self.dim() or not other.dim():
        raise RuntimeError(
            "both arguments to matmul need to be at least 1D, but they are "
            f"{self.dim()}D and {other.dim()}D"
        )
    if self.dtype is dtypes.bool_:
        raise NotImplementedError("\"dot\" not implemented for 'Bool'")
    a = self[None] if self.dim() == 1 else self
    b = other[:, None] if other.dim() == 1 else other
    if a.shape[-1] != b.shape[-2]:
        raise RuntimeError(_misfit(self, other))
    lead = broadcast(a.shape[:-2], b.shape[:-2])
    a, b = (broadcast_to(x, lead + x.shape[-2:]) for x in (a, b))
    out = _product(a, b)
    if self.dim() == 1:
        out = out.squeeze(-2)
    return out.squeeze(-1) if other.dim() == 1 else out


def _misfit(a: Tensor, b: Tensor) -> str:
    if a.dim() == b.dim() == 1:
        return (
            f"inconsistent tensor size, expected tensor {list(a.shape)} and src {list(b.shape)} to "
            f"have the same number of elements, but got {len(a)} and {len(b)} elements respectively"
        )
    if b.dim() == 1:
        return f"size mismatch, got input ({a.shape[0]}), mat ({'x'.join(map(str, a.shape))}), vec ({len(b)})"  # noqa: E501
    first, second = ("x".join(map(str, x.shape)) for x in (a[None] if a.dim() == 1 else a, b))
    return f"mat1 and mat2 shapes cannot be multiplied ({first} and {second})"


def mm(self: Tensor, other: Tensor) -> Tensor:
    """The product of two matrices."""
    if self.dim() != 2 or other.dim() != 2:
        raise RuntimeError("self must be a matrix" if self.dim() != 2 else "mat2 must be a matrix")
    return matmul(self, other)


def dot(self: Tensor, other: Tensor) -> Tensor:
    """The product of two vectors."""
    if self.dim() != 1 or other.dim() != 1:
        raise RuntimeError(f"1D tensors expected, but got {self.dim()}D and {other.dim()}D tensors")
    return matmul(self, other)


def outer(self: Tensor, other: Tensor) -> Tensor:
    """All products of the numbers of two vectors."""
    return self[:, None] * other[None]


def addmm(self: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """A sum with a product of matrices."""
    return self * beta + matmul(a, b) * alpha


def einsum(equation: str, *operands: object) -> Tensor:
    """A sum of products, by the letters of the axes."""
    tensors = list(operands[0]) if isinstance(operands[0], (list, tuple)) else list(operands)
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if not arrow:
        letters = left.replace(",", "")
        right = "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    order = right + "".join(sorted(set(left.replace(",", "")) - set(right)))
    product = None
    for term, tensor in zip(terms, tensors, strict=True):
        while len(set(term)) < len(term):  # a letter twice is a diagonal
            twice = next(c for c in term if term.count(c) > 1)
            i, j = (k for k, c in enumerate(term) if c == twice)
            tensor, term = tensor.diagonal(0, i, j), term.replace(twice, "") + twice
        named = tensor.permute(*[term.index(c) for c in order if c in term])
        shape = iter(named.shape)
        named = named.reshape([next(shape) if c in term else 1 for c in order])
        product = named if product is None else product * named
    summed = list(range(len(right), len(order)))
    return product.sum(summed) if summed else product


def vector_norm(
    x: Tensor, ord: float = 2, dim: int | Sequence[int] | None = None, keepdim: bool = False
) -> Tensor:
    """The length of vectors."""
    return REDUCTIONS["norm"](x, ord, dim, keepdim)


def norm(A: Tensor, ord: object = None, dim: object = None, keepdim: bool = False) -> Tensor:
    """The length of vectors, or of all numbers of a matrix."""
    return REDUCTIONS["norm"](A, 2 if ord is None else ord, dim, keepdim)


def matrix_norm(A: Tensor, ord: object = "fro", dim: tuple = (-2, -1)) -> Tensor:
    """The root of the sum of squares of a matrix."""
    return REDUCTIONS["norm"](A, ord, list(dim))


def _square(A: Tensor, name: str) -> list[list[float]]:
    if A.dim() != 2 or A.shape[0] != A.shape[1]:
        raise RuntimeError(
            f"linalg.{name}: A must be batches of square matrices, but they are "
            f"{A.shape[-2] if A.dim() > 1 else 0} by {A.shape[-1] if A.dim() else 0} matrices"
        )
    return [list(map(float, row)) for row in A.tolist()]


def _turned(matrix: list[list[float]]) -> tuple[list[float], list[list[float]]]:
    """Eigenvalues and eigenvectors (as columns) of a symmetric matrix, by Jacobi's rotations."""
    n = len(matrix)
    a = [[(matrix[max(i, j)][min(i, j)]) for j in range(n)] for i in range(n)]
    v = [[float(i == j) for j in range(n)] for i in range(n)]
    for _ in range(60):
        rest = sum(a[i][j] ** 2 for i in range(n) for j in range(n) if i != j)
        if rest <= 1e-300 or rest <= 1e-32 * sum(a[i][i] ** 2 for i in range(n)):
            break
        for p in range(n - 1):
            for q in range(p + 1, n):
                _rotate(a, v, p, q)
    return [a[i][i] for i in range(n)], v


def _rotate(a: list[list[float]], v: list[list[float]], p: int, q: int) -> None:
    """Turn the plane of two axes so that their common entry becomes 0."""
    if a[p][q] == 0.0:
        return
    theta = (a[q][q] - a[p][p]) / (2 * a[p][q])
    t = math.copysign(1.0, theta) / (abs(theta) + math.hypot(theta, 1.0))
    c = 1 / math.hypot(t, 1.0)
    s = t * c
    for row in (*a, *v):
        row[p], row[q] = c * row[p] - s * row[q], s * row[p] + c * row[q]
    for k in range(len(a)):
        a[p][k], a[q][k] = c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k]


def _matrix(rows: list[list[float]], like: Tensor) -> Tensor:
    values = [value for row in rows for value in row]
    return make(like.dtype.rounded(values), (len(rows), len(rows[0]) if rows else 0), like.dtype)


def eigh(A: Tensor, UPLO: str = "L") -> tuple[Tensor, Tensor]:
    """Eigenvalues of a symmetric matrix in rising order, and its eigenvectors as columns."""
    matrix = _square(A, "eigh")
    if not all(math.isfinite(value) for row in matrix for value in row):
        raise LinAlgError(
            "linalg.eigh: The algorithm failed to converge because the input matrix is "
            "ill-conditioned or has too many repeated eigenvalues"
        )
    values, vectors = _turned(matrix)
    order = sorted(range(len(values)), key=values.__getitem__)
    if vectors:  # a direction and its opposite are both right; PyTorch's usually end so
        signs = [math.copysign(1.0, value) for value in vectors[-1]]
        vectors = [[v * sign for v, sign in zip(row, signs, strict=True)] for row in vectors]
    w = make(A.dtype.rounded([values[i] for i in order]), (len(values),), A.dtype)
    v = _matrix([[row[i] for i in order] for row in vectors], A)

    def of_values(g: Tensor) -> Tensor:
        return v @ (g[:, None] * v.transpose(0, 1))

    def of_vectors(g: Tensor) -> Tensor:
        apart = w[None] - w[:, None]
        shares = (v.transpose(0, 1) @ g) * (apart != 0) / (apart + (apart == 0))
        return v @ shares @ v.transpose(0, 1)

    return (
        record(w, "LinalgEighBackward0", (A, of_values)),
        record(v, "LinalgEighBackward0", (A, of_vectors)),
    )


def eigvalsh(A: Tensor) -> Tensor:
    """Eigenvalues of a symmetric matrix in rising order."""
    return eigh(A)[0]


def svd(A: Tensor, full_matrices: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """Left vectors, singular values in falling order, right vectors as rows; no gradient."""
    rows = A.double().tolist()
    n, m = A.shape
    gram = [[sum(r[i] * r[j] for r in rows) for j in range(m)] for i in range(m)]
    values, vectors = _turned(gram)
    order = sorted(range(m), key=values.__getitem__, reverse=True)[: min(n, m)]
    right = [[row[i] for row in vectors] for i in order]
    left, sizes = [], []
    for direction in right:
        column = [sum(map(operator.mul, row, direction)) for row in rows]
        size = math.sqrt(sum(value * value for value in column))
        sizes.append(size)
        left.append([value / size if size else 0.0 for value in column])
    if full_matrices and n != m:
        raise lacks("torch.linalg.svd with full_matrices=True")
    u = _matrix([list(row) for row in zip(*left, strict=True)], A)
    return u, make(A.dtype.rounded(sizes), (len(sizes),), A.dtype), _matrix(right, A)


def cholesky(A: Tensor, upper: bool = False) -> Tensor:
    """The lower triangular matrix whose product with its transpose is A; no gradient."""
    a = _square(A, "cholesky")
    n = len(a)
    low = [[0.0] * n for _ in range(n)]
    for i in range(n):
        for j in range(i + 1):
            rest = a[i][j] - sum(low[i][k] * low[j][k] for k in range(j))
            if i == j and rest <= 0:
                raise LinAlgError(
                    "linalg.cholesky: The factorization could not be completed because the input "
                    f"is not positive-definite (the leading minor of order {i + 1} is not "
                    "positive-definite)."
                )
            low[i][j] = math.sqrt(rest) if i == j else rest / low[j][j]
    found = _matrix(low, A)
    return found.transpose(0, 1) if upper else found


def _eliminated(a: list[list[float]], b: list[list[float]]) -> list[list[float]]:
    """Solve a x = b by elimination with the largest pivot."""
    n = len(a)
    rows = [list(r) + list(s) for r, s in zip(a, b, strict=True)]
    for i in range(n):
        best = max(range(i, n), key=lambda k: abs(rows[k][i]))
        rows[i], rows[best] = rows[best], rows[i]
        if rows[i][i] == 0:
            raise LinAlgError(
                "linalg.solve: The solver failed because the input matrix is singular."
            )
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for k in range(n):
            if k != i and rows[k][i]:
                factor = rows[k][i]
                rows[k] = [x - factor * y for x, y in zip(rows[k], rows[i], strict=True)]
    return [row[n:] for row in rows]


def solve(A: Tensor, B: Tensor) -> Tensor:
    """The x for which A x = B."""
    a = _square(A, "solve")
    columns = B[:, None] if B.dim() == 1 else B
    found = _matrix(_eliminated(a, columns.double().tolist()), A)
    shape, size = columns.shape, A.shape

    def of_right(g: Tensor) -> Tensor:
        return solve(A.transpose(0, 1), g.reshape(shape))

    out = record(
        found, "LinalgSolveBackward0",
        (A, lambda g: sum_to(-of_right(g) @ found.transpose(0, 1), Size(size)), (A,)),
        (columns, of_right),
    )  # fmt: skip
    return out.squeeze(-1) if B.dim() == 1 else out


def solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True) -> Tensor:
    """The x for which A x = B, of the triangle of A alone; or x A = B."""
    triangle = A.triu() if upper else A.tril()
    if left:
        return solve(triangle, B)
    return solve(triangle.transpose(0, 1), B.transpose(0, 1)).transpose(0, 1)


def inv(A: Tensor) -> Tensor:
    """The inverse."""
    n = A.shape[0]
    ones = [float(i == j) for i in range(n) for j in range(n)]
    return solve(A, make(ones, (n, n), A.dtype))


def trace(self: Tensor) -> Tensor:
    """The sum of the diagonal."""
    return self.diagonal().sum()


def corrcoef(self: Tensor) -> Tensor:
    """Correlations of the rows."""
    c = cov(self)
    spread = c.diagonal().sqrt()
    return c / spread[:, None] / spread[None]


def cov(self: Tensor, *, correction: int = 1) -> Tensor:
    """Covariances of the rows."""
    centered = self - self.mean(1, keepdim=True)
    return centered @ centered.transpose(0, 1) / (self.shape[1] - correction)


METHODS = {
    "matmul": matmul, "__matmul__": matmul, "mm": mm, "bmm": matmul, "mv": matmul, "dot": dot,
    "outer": outer, "addmm": addmm, "trace": trace, "inverse": inv, "corrcoef": corrcoef,
    "cov": cov, "cholesky": cholesky,
}  # fmt: skip
