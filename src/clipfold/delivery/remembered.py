"""Read the table of training videos in a bundle, which may come from strangers."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from clipfold.checks import require
from clipfold.delivery.distance import MOST, PREFIX
from clipfold.delivery.format import REFERENCE
from clipfold.delivery.inputs import INPUTS


def read_reference(folder: Path, classes: Sequence[str], inputs: Iterable[str] = INPUTS) -> pd.DataFrame:
    """Read the table that `clipfold.delivery.reference` wrote.

    Args:
        folder: Folder of the bundle.
        classes: Its classes.
        inputs: What it says of each.

    Raises:
        ValueError: The table cannot be read, or has other columns or more rows than are written.
    """
    numbers = ["id", "group", *(f"p_{name}" for name in classes), "distance", *(f"{PREFIX}{name}" for name in inputs)]
    try:
        with pq.ParquetFile(folder / REFERENCE) as file:
            rows, schema = file.metadata.num_rows, file.schema_arrow
            same = sorted(schema.names) == sorted([*numbers, "label"])
            require(same, "columns", schema.names, f"use {', '.join(numbers)}, label")
            for name in numbers:
                kind = schema.field(name).type
                good = pa.types.is_floating(kind) or pa.types.is_integer(kind)
                require(good, name, str(kind), "it must hold numbers")
            require(0 < rows <= MOST, "number of rows", rows, f"at most {MOST} are kept")
            table: pd.DataFrame = file.read().to_pandas()
        return table
    except (ValueError, OSError, pa.ArrowException) as error:
        raise ValueError(f"{REFERENCE} cannot be used ({error}): get the bundle again") from None
