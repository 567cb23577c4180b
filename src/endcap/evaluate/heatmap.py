"""A user x item block of numbers as an annotated heat map."""

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib import font_manager
from matplotlib.figure import Figure

FONTS: Final = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "PingFang SC",
    "Microsoft YaHei",
    "SimHei",
    "WenQuanYi Micro Hei",
)
"""Tried in turn for each sign; those that are not installed are left out."""
COLOURS: Final = "cividis"
"""Even in brightness, and told apart by people who do not see red or green."""
UNKNOWN: Final = "#dddddd"


def heatmap(
    matrix: npt.ArrayLike,
    row_ids: Sequence[str],
    column_ids: Sequence[str],
    title: str = "",
    annotate: bool = True,
) -> Figure:
    """Draw a matrix with its ids on the axes.

    Parameters
    ----------
    matrix
        float (rows, columns); NaN is grey and reads "–".
    row_ids, column_ids
        User ids and item ids; Chinese is drawn where a font has it.
    title
        Above the picture.
    annotate
        Write each number into its cell.

    Returns
    -------
    Figure
        Save it with ``figure.savefig("x.png")``; no display is needed.
    """
    values = np.asarray(matrix, dtype=float)
    height, width = values.shape
    if (height, width) != (len(row_ids), len(column_ids)):
        raise ValueError(f"{values.shape} cells, {len(row_ids)} x {len(column_ids)} ids")
    with mpl.rc_context({"font.family": installed_fonts(), "text.parse_math": False}):
        size = (2.2 + 0.75 * max(width, 3), 1.4 + 0.45 * max(height, 3))
        figure = Figure(figsize=size, dpi=120, layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(_shown(values), cmap=_colours(), aspect="auto")
        axes.set_xticks(range(width), column_ids)
        if max(map(len, column_ids), default=0) > 6:
            axes.tick_params(axis="x", labelrotation=45)
        axes.set_yticks(range(height), row_ids)
        axes.set(title=title, xlabel="item", ylabel="user")
        figure.colorbar(image, ax=axes)
        if annotate:
            _write_numbers(axes, values)
    return figure


@cache
def installed_fonts() -> list[str]:
    """Return those of `FONTS` that this machine has.

    Matplotlib remembers its list of fonts in a file; what was installed later is found here.
    """
    listed = {font.fname for font in font_manager.fontManager.ttflist}
    for path in sorted(set(font_manager.findSystemFonts()) - listed):
        with suppress(OSError, RuntimeError):  # a damaged font file is no reason not to draw
            font_manager.fontManager.addfont(path)
    there = {font.name for font in font_manager.fontManager.ttflist}
    return [name for name in FONTS if name in there]


def _shown(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return values if values.size else np.full((1, 1), np.nan)


def _colours() -> mpl.colors.Colormap:
    return mpl.colormaps[COLOURS].with_extremes(bad=UNKNOWN)


def _write_numbers(axes: Any, values: npt.NDArray[np.float64]) -> None:
    """Write in white on the dark half of the colours, in black on the bright one."""
    known = values[~np.isnan(values)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 0.0)
    digits = ".2f" if max(abs(low), abs(high)) >= 1 else ".3g"
    for (row, column), value in np.ndenumerate(values):
        dark = value < low + 0.5 * (high - low)
        text = "–" if np.isnan(value) else format(value, digits)
        axes.text(
            column,
            row,
            text,
            ha="center",
            va="center",
            fontsize=8.5,
            color="white" if dark else "black",
        )
