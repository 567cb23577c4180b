"""Read files of any size and in any state: what is readable comes out, what is not is named."""

from endcap.events.reading.blocks import read_blocks
from endcap.events.reading.columnar import read_parquet
from endcap.events.reading.documents import read_json
from endcap.events.reading.lines import read_lines, read_text
from endcap.events.reading.source import Piece, Source
from endcap.events.reading.tables import read_table, split_cells

__all__ = [
    "Piece",
    "Source",
    "read_blocks",
    "read_json",
    "read_lines",
    "read_parquet",
    "read_table",
    "read_text",
    "split_cells",
]
