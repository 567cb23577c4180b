"""Build the compact copy of Online Retail that ships with Endcap.

    python scripts/build_box.py FOLDER_OF_THE_SOURCE

The source folder holds ``raw.parquet`` (all 541,909 lines) and ``items.parquet`` (3,866 named and
priced products). Nothing is cleaned here: refunds, postage, missing customers and impossible
prices stay in, because the box is meant to travel the whole way that a shop's own file travels.
Only names change: a basket is (customer, minute), a negative quantity is a refund, and the lines
that are no products get back the stock codes under which the shop booked them.
"""

import sys
from pathlib import Path

import duckdb

BOX = Path(__file__).parents[1] / "src/endcap/testing/box/online_retail"

NO_PRODUCT = {
    "POSTAGE": "POST", "DOTCOM POSTAGE": "DOT", "MANUAL": "M", "DISCOUNT": "D",
    "CARRIAGE": "C2", "NEXT DAY CARRIAGE": "C3", "BANK CHARGES": "BANK CHARGES",
    "AMAZON FEE": "AMAZONFEE", "CRUK COMMISSION": "CRUK", "ADJUST BAD DEBT": "B",
    "SAMPLES": "S", "PADS TO MATCH ALL CUSHIONS": "PADS",
}  # fmt: skip

EVENTS = """
copy (
  select
    case when r."Quantity" < 0 then 'refund' else 'purchase' end as kind,
    r."InvoiceDate"::timestamp as time,
    r."CustomerID"::bigint::varchar as user_id,
    coalesce(
      c.code, i.item_id::varchar, lower(replace(trim(r."Description"), ' ', '-'))
    ) as item_id,
    abs(r."Quantity") as quantity,
    r."UnitPrice" as price,
    'GBP' as currency,
    r."CustomerID"::bigint::varchar || strftime(r."InvoiceDate", '-%Y%m%d%H%M') as order_id,
    r."Country" as country
  from read_parquet($raw) r
  left join codes c on c.title = upper(trim(r."Description"))
  left join read_parquet($items) i on i.title = upper(trim(r."Description"))
  order by time, user_id, item_id
) to '{out}' (format parquet, compression zstd, compression_level 19, row_group_size 600000)
"""

ITEMS = """
copy (
  select item_id::varchar as item_id, title, price, 'GBP' as currency, 'in_stock' as availability
  from read_parquet($items) where title not in (select title from codes) order by item_id
) to '{out}' (format parquet, compression zstd, compression_level 19)
"""


def main(source: Path) -> None:
    """Write the two files and print what is in them."""
    BOX.mkdir(parents=True, exist_ok=True)
    db = duckdb.connect()
    db.execute("create table codes (title varchar, code varchar)")
    db.executemany("insert into codes values (?, ?)", list(NO_PRODUCT.items()))
    raw, items = str(source / "raw.parquet"), str(source / "items.parquet")
    db.execute(EVENTS.format(out=BOX / "events.parquet"), {"raw": raw, "items": items})
    db.execute(ITEMS.format(out=BOX / "items.parquet"), {"items": items})
    for name in ("events", "items"):
        path = BOX / f"{name}.parquet"
        rows = db.execute("select count(*) from read_parquet(?)", [str(path)]).fetchone()
        print(f"{path.name}: {rows[0]:,} rows, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
