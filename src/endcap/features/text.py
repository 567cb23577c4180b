"""Text to sparse vectors: TF-IDF over words and character n-grams, hashed, for any script.

Words of alphabets become words, word pairs and the n-grams of the word with its borders; runs of
scripts written without spaces (Han, Kana, Hangul) become n-grams of one to three signs, so that
Chinese works with no segmenter. Features are hashed (Weinberger et al., 2009, arXiv:0902.2206):
there is no vocabulary to keep, and a fitted model is one array and its settings.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pydantic
from scipy import sparse

from endcap.features.hashing import count_features
from endcap.schema.strict import Strict


class TextSpec(Strict):
    """How text becomes numbers.

    Stability: caller.
    """

    bits: int = pydantic.Field(default=18, ge=8, le=24)
    """Vectors have ``2 ** bits`` columns: the lower half for words, the upper for n-grams."""
    word_pairs: bool = True
    """Whether two words in a row count as a word of their own."""
    ngram_min: int = pydantic.Field(default=3, ge=1, le=8)
    ngram_max: int = pydantic.Field(default=5, ge=1, le=8)
    """Lengths of the n-grams within words of alphabets, the borders counted as signs."""
    ideograph_ngram_max: int = pydantic.Field(default=3, ge=1, le=8)
    """Longest n-gram within runs of scripts without spaces; the shortest is one sign."""
    ngram_share: float = pydantic.Field(default=0.5, ge=0, le=1)
    """Share of a cosine similarity that comes from n-grams; the rest comes from words."""
    max_chars: int = pydantic.Field(default=5_000, ge=1)
    """What follows is not read."""

    @pydantic.model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.ngram_min > self.ngram_max:
            raise ValueError(f"ngram_min {self.ngram_min} is above ngram_max {self.ngram_max}")
        return self

    @property
    def columns(self) -> int:
        """Number of columns of the vectors."""
        return 1 << self.bits


@dataclass(frozen=True)
class TextVectors:
    """A fitted vectoriser: its whole state is `spec` (JSON) and `idf` (an array).

    Attributes
    ----------
    spec
        The settings it was fitted with.
    idf
        float32 (2 ** bits,): ``ln((1 + n) / (1 + df)) + 1``, the largest for what was never seen.

    Stability: caller.
    """

    spec: TextSpec
    idf: npt.NDArray[np.float32]

    def transform(self, texts: Sequence[str | None]) -> sparse.csr_array:
        """Return float32 (len(texts), 2 ** bits), sorted indices, rows of length 1.

        A row is zero where the text is empty or None. The product of two rows is
        ``(1 - ngram_share) * cos(words) + ngram_share * cos(n-grams)``; a text without one of
        the two blocks gives the whole weight to the other.
        """
        return _weigh(count_texts(texts, self.spec), self.idf, self.spec)


def fit_text(texts: Sequence[str | None], spec: TextSpec | None = None) -> TextVectors:
    """Learn how telling each feature is from the texts of a catalogue.

    Parameters
    ----------
    texts
        One for each item; None and "" are no documents.
    spec
        Settings; default `TextSpec()`.
    """
    spec = spec or TextSpec()
    counts = count_texts(texts, spec)
    seen = np.bincount(counts.indices, minlength=spec.columns)
    n = int(np.count_nonzero(np.diff(counts.indptr)))
    return TextVectors(spec, (np.log((1 + n) / (1 + seen)) + 1).astype(np.float32))


def normalise(text: str | None, max_chars: int) -> str:
    """Return compatibility-composed, case-folded text (NFKC), cut to `max_chars`.

    Examples
    --------
    >>> normalise("Ｃafé STRASSE", 20)
    'café strasse'
    """
    return unicodedata.normalize("NFKC", (text or "")[:max_chars]).casefold()


def count_texts(texts: Sequence[str | None], spec: TextSpec) -> sparse.csr_array:
    """Return float32 (len(texts), 2 ** bits): how often each feature is in each text."""
    clean = [normalise(text, spec.max_chars) for text in texts]
    joined = "".join(clean)
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    starts = np.concatenate(([0], np.cumsum([len(text) for text in clean]))).astype(np.int64)
    indptr, indices, counts = count_features(
        codes,
        _classes(joined)[codes],
        starts,
        spec.bits,
        spec.word_pairs,
        (spec.ngram_min, spec.ngram_max, spec.ideograph_ngram_max),
    )
    shape = (len(clean), spec.columns)
    return sparse.csr_array((counts, indices, indptr), shape=shape)


def _classes(text: str) -> npt.NDArray[np.uint8]:
    """Classify the signs of `text`: 0 between words, 1 alphabet or digit, 2 written unspaced."""
    signs = set(text)
    table = np.zeros(max(map(ord, signs), default=0) + 1, np.uint8)
    for sign in signs:
        table[ord(sign)] = _class_of(sign)
    return table


# Kana and Han (with extensions A and compatibility forms), Hangul, Han extensions B and later.
_UNSPACED = ((0x3040, 0x30FF), (0x3400, 0x9FFF), (0xAC00, 0xD7AF), (0xF900, 0xFAFF))
_UNSPACED_PLANES = (0x20000, 0x3FFFF)


def _class_of(sign: str) -> int:
    code = ord(sign)
    if any(low <= code <= high for low, high in (*_UNSPACED, _UNSPACED_PLANES)):
        return 2
    return int(sign.isalnum() or unicodedata.category(sign).startswith("M"))


def _weigh(
    counts: sparse.csr_array, idf: npt.NDArray[np.float32], spec: TextSpec
) -> sparse.csr_array:
    """Apply ``(1 + ln tf) * idf`` and scale the two blocks of each row to their shares."""
    values = (1 + np.log(counts.data)) * idf[counts.indices]
    rows = counts.shape[0]
    row = np.repeat(np.arange(rows), np.diff(counts.indptr))
    block = (counts.indices >= spec.columns // 2).astype(np.int64)
    squares = np.bincount(2 * row + block, weights=values**2, minlength=2 * rows).reshape(-1, 2)
    share = np.where(squares > 0, [1 - spec.ngram_share, spec.ngram_share], 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.nan_to_num(np.sqrt(share / share.sum(1, keepdims=True) / squares))
    data = (values * scale[row, block]).astype(np.float32)
    return sparse.csr_array((data, counts.indices, counts.indptr), shape=counts.shape)
