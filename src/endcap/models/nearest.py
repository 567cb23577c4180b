"""The nearest neighbours of every item, without an items x items matrix at any time."""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from scipy import sparse

from endcap.models.parallel import over_blocks
from endcap.models.weighting import parts
from endcap.schema.progress import Progress, silent

BLOCK = 512
"""Items whose neighbours are sought by one kernel call."""
SPARSE = 8
"""An item whose people took fewer than an eighth of all items, counted again each time, is answered
from the list of what they took; another from a look at everything."""
CHUNK = 64
"""Items, as far apart as can be, of which the best alone is looked at first."""
ROOM = 4
"""So many times k are gathered before the best k of them are told apart."""
SHORT = 1 << 16
"""Row numbers below this are kept in two bytes: the kernel is bound by reading them."""
LAST = (1 << 31) - 1
Floats = npt.NDArray[np.floating]
Found = tuple[npt.NDArray[Any], ...]


class Columns(NamedTuple):
    """The vectors of the items over the users, ``x_iu = item_i taken_iu user_u``.

    Attributes
    ----------
    taken
        CSR float32 (items, users). Where it holds one value alone, only its pattern is read.
    item, user
        float (items,) and (users,), above 0; None where all are 1.
    """

    taken: sparse.csr_array
    item: Floats | None = None
    user: Floats | None = None

    def squares(self) -> npt.NDArray[np.float64]:
        """Return float64 (items,): the squared length of each vector."""
        users, items = self.factors()
        found: npt.NDArray[np.float64] = _squares(parts(self.taken), users * users)
        return found * items * items

    def factors(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
        """Return float32 (users,) and float64 (items,): the factors, ones where None."""
        n, m = self.taken.shape
        user = np.ones(m, np.float32) if self.user is None else self.user.astype(np.float32)
        return user, np.ones(n) if self.item is None else self.item.astype(np.float64)


def nearest(
    columns: sparse.csr_array | Columns,
    scale: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float],
    k: int,
    progress: Progress = silent,
) -> sparse.csr_array:
    """Return CSR float32 (items, items): for each item its k nearest others, where above 0.

    ``s(i, j) = x_i . x_j / (left_i right_j + shrink)``, ties by row number. Time O(sum over users
    of items^2), memory O(items x k).

    Parameters
    ----------
    columns
        The vectors x; a matrix is taken as `Columns.taken`.
    scale
        float64 (items,) left and right, which divide a product by its item and by its neighbour;
        and shrink.
    """
    vectors = columns if isinstance(columns, Columns) else Columns(columns)
    n = vectors.taken.shape[0]
    arrays, sides = _arrays(vectors), _sides(vectors, scale)
    k = min(k, n)

    def block(start: int, stop: int) -> Found:
        found: Found = _nearest_rows((start, stop), *arrays, sides, k)
        return found

    return _joined(over_blocks(n, BLOCK, block, progress, "neighbours"), n)


def _arrays(vectors: Columns) -> tuple[Found, Found]:
    """Return (indptr, indices, data) by item and by user, and here their squared factors too.

    Data are empty where they are all the same: the factors of the items hold that value then.
    """
    taken = vectors.taken
    alike = _alike(taken.data)
    told = np.zeros(taken.nnz, np.int8) if alike else taken.data
    turned = sparse.csr_array((told, taken.indices, taken.indptr), shape=taken.shape).T.tocsr()
    width = np.uint16 if taken.shape[0] <= SHORT else np.int32
    none = np.empty(0, np.float32)
    indptr, indices, data = parts(taken)
    users = turned.indptr.astype(np.int64), turned.indices.astype(width)
    own, theirs = (none, none) if alike else (data, turned.data.astype(np.float32, copy=False))
    return (indptr, indices, own), (*users, theirs, vectors.factors()[0] ** 2)


def _alike(data: npt.NDArray[np.floating]) -> bool:
    return len(data) == 0 or bool(data.min() == data.max() and data[0] > 0)


def _sides(
    vectors: Columns, scale: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float]
) -> tuple[npt.NDArray[np.float32], ...]:
    """Return float32 (items,) left, right, damp: a sum over users is divided by

    ``left_i right_j + damp_i damp_j``, the factors of both items being in these.
    """
    taken, (left, right, shrink) = vectors.taken, scale
    value = taken.data[:1] if len(taken.data) and _alike(taken.data) else np.ones(1)
    item = vectors.factors()[1] * float(value[0])
    sides = left / item, right / item, np.sqrt(shrink) / item
    return tuple(side.astype(np.float32) for side in sides)


def _joined(blocks: list[Found], n: int) -> sparse.csr_array:
    """Put the parts of the blocks behind each other; what is copied is let go."""
    counts = [np.diff(ends) for _, _, ends in blocks]
    indptr = np.concatenate((np.zeros(1, np.int64), np.cumsum(np.concatenate([*counts, []]))))
    values, rows = [part for part, _, _ in blocks], [part for _, part, _ in blocks]
    blocks.clear()
    data = np.concatenate([np.empty(0, np.float32), *values])
    values.clear()
    near = np.concatenate([np.empty(0, np.int32), *rows])
    return sparse.csr_array((data, near, indptr.astype(np.int32)), shape=(n, n))


@numba.njit(cache=True, nogil=True)
def _squares(columns, users):  # type: ignore[no-untyped-def]
    indptr, rows, data = columns
    out = np.zeros(len(indptr) - 1)
    for i in range(len(out)):
        for a in range(indptr[i], indptr[i + 1]):
            out[i] += data[a] * data[a] * users[rows[a]]
    return out


@numba.njit(cache=True, nogil=True)
def _nearest_rows(span, columns, by_user, sides, k):  # type: ignore[no-untyped-def]
    """Return CSR parts of the k nearest of the rows of a span; one accumulator, no dense block.

    Sums are float32, so that they stay in the second-level cache at catalogues of a shop's size.
    """
    (start, stop), (left, right, damp) = span, sides
    (indptr, users, data), (user_indptr, items, user_data, squared) = columns, by_user
    width = len(left)
    sums = np.zeros(width, np.float32)
    touched = np.empty(width, np.int32)
    found = np.empty(ROOM * k, np.float32), np.empty(ROOM * k, np.int32)
    peaks = np.empty(min(width, max(width // CHUNK, ROOM * k)), np.float32)
    ends = np.zeros(stop - start + 1, np.int64)
    near = np.empty((stop - start) * k, np.int32)
    values = np.empty((stop - start) * k, np.float32)
    for i in range(start, stop):
        work = 0
        for a in range(indptr[i], indptr[i + 1]):
            u = users[a]
            first, last, w = user_indptr[u], user_indptr[u + 1], squared[u]
            work += last - first
            if len(data) == 0:
                for b in range(first, last):
                    sums[items[b]] += w
            else:
                w *= data[a]
                for b in range(first, last):
                    sums[items[b]] += w * user_data[b]
        sums[i] = 0.0
        one = left[i], damp[i]
        if work * SPARSE < width:
            count = _touched(sums, users[indptr[i] : indptr[i + 1]], user_indptr, items, touched)
            size = _best_of(sums, touched[:count], (right, damp), one, found)
        else:
            size = _best(sums, (right, damp), one, (peaks, *found))
        at = ends[i - start]
        order = np.argsort(found[1][:size])
        near[at : at + size] = found[1][:size][order]
        values[at : at + size] = found[0][:size][order]
        ends[i - start + 1] = at + size
    return values[: ends[-1]], near[: ends[-1]], ends


@numba.njit(cache=True, nogil=True)
def _best(sums, sides, one, found):  # type: ignore[no-untyped-def]
    """Turn sums into similarities, put the best in front of `found`, and leave zeros behind.

    The k-th best of the peaks of the chunks is a bound: k similarities at least are no lower.
    """
    peaks, values, rows = found
    k = len(values) // ROOM
    _divide(sums, sides, one)
    _peaks(sums, peaks)
    least = np.float32(0)
    if len(peaks) > k:
        least = np.partition(peaks, len(peaks) - k)[len(peaks) - k]
    size = 0
    for c in range(len(peaks)):
        if peaks[c] < least or peaks[c] == 0:
            continue
        for j in range(c, len(sums), len(peaks)):
            if sums[j] >= least and sums[j] > 0:
                values[size], rows[size] = sums[j], j
                size += 1
                if size == len(values):
                    size = _cut(values, rows, size)
    sums[:] = 0.0
    return _cut(values, rows, size)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"nnan", "contract"})
def _divide(sums, sides, one):  # type: ignore[no-untyped-def]
    """Turn sums into similarities: a loop by itself, of which the compiler makes vectors."""
    (right, damp), (left, shrink) = sides, one
    for j in range(len(sums)):
        sums[j] /= left * right[j] + shrink * damp[j]


@numba.njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _peaks(values, peaks):  # type: ignore[no-untyped-def]
    """Write the largest of each chunk, which is every `len(peaks)`-th: a loop of vectors too."""
    n, rows = len(peaks), len(values) // len(peaks)
    peaks[:] = 0.0
    for row in range(rows):
        some = values[row * n : (row + 1) * n]
        for c in range(n):
            peaks[c] = some[c] if some[c] > peaks[c] else peaks[c]
    for c in range(len(values) - rows * n):
        peaks[c] = max(peaks[c], values[rows * n + c])


@numba.njit(cache=True, nogil=True)
def _best_of(sums, touched, sides, one, found):  # type: ignore[no-untyped-def]
    """As `_best`, where few rows have a sum; they come in any order."""
    (right, damp), (left, shrink), (values, rows) = sides, one, found
    size = 0
    for j in touched:
        if sums[j] > 0:
            values[size] = sums[j] / (left * right[j] + shrink * damp[j])
            rows[size] = j
            size += 1
            if size == len(values):
                size = _cut(values, rows, size)
        sums[j] = 0.0
    return _cut(values, rows, size)


@numba.njit(cache=True, nogil=True)
def _cut(values, rows, size):  # type: ignore[no-untyped-def]
    """Move the k largest of `ROOM` x k values, ties by row, to the front; return how many."""
    k = len(values) // ROOM
    if size <= k:
        return size
    bits = values.view(np.uint32)  # of numbers above 0 these rise with them
    keys = np.empty(size, np.uint64)
    for a in range(size):
        keys[a] = np.uint64(bits[a]) << np.uint64(32) | np.uint64(LAST - rows[a])
    keys = np.partition(keys, size - k)[size - k :]
    for a in range(k):
        bits[a] = np.uint32(keys[a] >> np.uint64(32))
        rows[a] = LAST - np.int64(keys[a] & np.uint64(0xFFFFFFFF))
    return k


@numba.njit(cache=True, nogil=True)
def _touched(sums, users, user_indptr, items, touched):  # type: ignore[no-untyped-def]
    """Write the rows with a sum, each once; return how many there are."""
    count = 0
    for u in users:
        for b in range(user_indptr[u], user_indptr[u + 1]):
            j = items[b]
            if sums[j] > 0:
                sums[j] = -sums[j]
                touched[count] = j
                count += 1
    for c in range(count):
        sums[touched[c]] = -sums[touched[c]]
    return count
