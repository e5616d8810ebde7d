"""Write the table of the demo: Fisher's iris flowers (1936), 150 rows of four measures and three species.

    python -m clipfold.demo.table FOLDER

Nothing is known of which plants the flowers grew on, so there is no column of groups; each flower is its own.
"""

import sys
from pathlib import Path

from sklearn.datasets import load_iris

from clipfold.storage.replace import replacing

CONFIG = b"""\
modality: table
manifest: iris.csv
columns: { label: species }
splits: { validation: 0.1 } # little is chosen with it: no epochs, only thresholds and temperatures
models: [logistic_regression, svm]
"""


def make_table(folder: Path) -> Path:
    """Write `iris.csv` and `config.yaml` into a folder; returns the table."""
    data = load_iris(as_frame=True)
    table = data.data.assign(species=data.target_names[data.target])
    with replacing(folder / "iris.csv") as file:
        table.to_csv(file, index=False)
    with replacing(folder / "config.yaml") as file:
        file.write(CONFIG)
    return folder / "iris.csv"


if __name__ == "__main__":
    print(f"wrote {make_table(Path(sys.argv[1]))}")
