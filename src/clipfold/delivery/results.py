"""The results of a run as data frames: `clipfold.results`."""

from functools import cached_property
from html import escape
from pathlib import Path
from typing import Self

import pandas as pd

from clipfold.checks import require
from clipfold.storage.files import PathLike, read_frame

_COMPARED = ["model", "metric", "value", "low", "high", "tied", "shortcut"]


class Results:
    """Results of a run; each table is read when first used.

    Args:
        folder: The run's folder `results`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def open(cls, folder: PathLike) -> Self:
        """Find the results of a run, see `clipfold.results`."""
        for place in (Path(folder), Path(folder, "results")):
            if (place / "evaluation/comparison.parquet").is_file():
                return cls(place)
        require(False, "results", str(folder), "no evaluation there: name the working directory of a finished run")
        raise AssertionError

    @cached_property
    def comparison(self) -> pd.DataFrame:
        """Models, best first, with intervals and tests: `clipfold.evaluation.comparison.COMPARISON`."""
        return self._table("comparison")

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """Every metric with its interval: `clipfold.evaluation.measure.SCHEMA`."""
        return self._table("metrics")

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """The out-of-fold prediction of each video by each model: `id label group repeat fold model p_<class>`."""
        return self._table("predictions")

    @cached_property
    def quarantine(self) -> pd.DataFrame:
        """Videos that were not used, with status and reason."""
        return read_frame(self.folder / "splits/quarantine.parquet")

    @property
    def bundles(self) -> dict[str, Path]:
        """Name -> file of each bundle of the run."""
        return {path.parent.name: path for path in sorted(self.folder.glob("bundles/*/bundle.clipfold"))}

    def _table(self, name: str) -> pd.DataFrame:
        return read_frame(self.folder / f"evaluation/{name}.parquet")

    def __repr__(self) -> str:
        return f"<clipfold results in {self.folder}: {', '.join(self.comparison.model)}>"

    def _repr_html_(self) -> str:
        table = self.comparison[_COMPARED].to_html(index=False, float_format="{:.3f}".format)
        return f"<b>{escape(str(self.folder))}</b>{table}"
