import gzip
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipfold.manifest.read import read_manifest
from clipfold.manifest.table import read_rows

COLUMNS = {"path": "path", "label": "label", "group": "group"}
TABLE = [["path", "label", "group"], ["a b.mp4", "real", "käse"], ["c.mp4", "fake", "s, 2"]]
ROWS = [dict(zip(TABLE[0], row, strict=True)) for row in TABLE[1:]]


def packed(data):
    return gzip.compress(data, mtime=0)  # the names of tests are the same in each worker


def text(separator=",", end="\n", extra=0, table=TABLE):
    quoted = [[f'"{cell}"' if separator in cell else cell for cell in row] for row in table]
    return end.join(separator.join(row + [""] * extra) for row in quoted) + end


FORMS = {
    "commas.csv": text().encode(),
    "no_last_end.csv": text().rstrip().encode(),
    "semicolons.csv": text(";", "\r\n").encode("utf-8-sig"),
    "bars.txt": text("|").encode(),
    "tabs_in_csv.csv": text("\t").encode(),
    "tabs.tsv": text("\t").encode(),
    "commas.tsv": text().encode(),
    "unicode_text.txt": text("\t", "\r\n").encode("utf-16"),
    "big_endian.csv": b"\xfe\xff" + text().encode("utf-16-be"),
    "upper.CSV": text().encode(),
    "packed.csv.gz": packed(text().encode()),
    "packed_upper.TSV.GZ": packed(text("\t").encode()),
    "trailing_separators.csv": text(extra=2).encode(),
    "empty_rows.csv": ("\n" + text() + ",,\r\n   \r\n").encode(),
    "empty_cells_beyond.csv": text().replace("real,käse", "real,käse,,").encode(),
    "separator_line.csv": ("sep=;\r\n" + text(";")).encode(),
    "capital_header.csv": text(table=[["Path", "LABEL", "Group"], *TABLE[1:]]).encode(),
    "blanks.csv": text(", ").replace("s, 2", '"s, 2"').replace('""', '"').encode(),
    "old_mac.csv": text(end="\r").encode(),
    "comment.csv": ("# made by hand, in May\n# twice\n" + text()).encode(),
    "comment_sign_in_header.csv": ("#" + text()).encode(),
    "odd_blanks_in_header.csv": text(table=[["path", "\u200blabel", "group\u00a0"], *TABLE[1:]]).encode(),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_table_is_read_in_the_form_in_which_it_was_saved(tmp_path, name):
    (tmp_path / name).write_bytes(FORMS[name])
    assert [row for _, row in read_rows(tmp_path / name, COLUMNS)] == ROWS


def test_rows_are_counted_behind_comments_and_empty_lines(tmp_path):
    (tmp_path / "t.csv").write_text('# one\n\npath,label,group\n\na,x,"two\nlines"\nb,x,\n')
    assert [number for number, _ in read_rows(tmp_path / "t.csv", COLUMNS)] == [5, 7]


def test_a_file_whose_name_begins_with_a_comment_sign_is_a_row(tmp_path):
    (tmp_path / "t.csv").write_text("path,label\n#1.mp4,x\n")
    assert [row["path"] for _, row in read_rows(tmp_path / "t.csv", COLUMNS)] == ["#1.mp4"]


def test_names_of_columns_in_the_config_may_differ_in_case_too(tmp_path):
    (tmp_path / "t.csv").write_text("FILE;Class\na;x\n")
    rows = read_rows(tmp_path / "t.csv", {"path": "file", "label": "class"})
    assert list(rows) == [(2, {"file": "a", "class": "x"})]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("t.xlsx", b"PK", r"t\.xlsx': use a table in one of the forms \.csv, \.tsv"),
        ("index.csv", b",path,label\n0,a,x\n", r"row 2: '0' is in column 1, which has no name: .*index=False"),
        ("twice.csv", b"path,Path,label\na,b,x\n", None),
        ("twice.csv", b"Path,PATH,label\na,b,x\n", "more than one column 'path': rename or remove one"),
        ("beyond.csv", b"path,label\na,x,y\n", r"row 2: more cells than the header has \('y' is in column 3\)"),
        ("cut.csv.gz", packed(text().encode())[:-9], "cannot be unpacked .*make it again"),
        ("no.csv.gz", b"path,label\n", "cannot be unpacked .*make it again"),
        ("damaged.csv.gz", packed(bytes(999))[:12] + b"\xff" * 20, "cannot be unpacked .*make it again"),
        ("cut.csv", text().encode("utf-16")[:-1], "is cut or no UTF-16 at byte"),
        ("no.parquet", b"PAR1 not really", r"no\.parquet cannot be read: "),
    ],
)
def test_a_table_that_cannot_be_read_says_why_and_what_to_do(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    if message is None:
        assert len(list(read_rows(tmp_path / name, COLUMNS))) == 1
        return
    with pytest.raises(ValueError, match=message):
        list(read_rows(tmp_path / name, COLUMNS))


def test_a_table_that_unpacks_to_more_than_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("clipfold.manifest.table.LARGEST", 1000)
    (tmp_path / "bomb.csv.gz").write_bytes(packed(bytes(10_000)))
    with pytest.raises(ValueError, match="more than 1000: save it as Parquet"):
        list(read_rows(tmp_path / "bomb.csv.gz", COLUMNS))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("it's.csv", b"videos/a b.mp4,real\nc.mp4,fake\n"),
        ("-list.txt", b"videos/a b.mp4 0\nc.mp4 1\n"),
        ("latin.csv", "path,label\nkäse.mp4,real\n".encode("latin-1")),
        ("latin.csv.gz", packed("path,label\nkäse.mp4,real\n".encode("latin-1"))),
    ],
)
def test_the_command_that_an_error_advises_leads_out(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=" by ") as error:
        read_manifest(tmp_path / name)
    command = str(error.value).partition(" by ")[2]
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    made = tmp_path / command.rpartition("> ")[2]
    videos = read_manifest(made)
    assert videos[0].id in ("videos/a b.mp4", "käse.mp4")
    assert videos[0].label in ("real", "0")


def test_a_parquet_table_has_odd_headers_too(tmp_path):
    pq.write_table(pa.table({"Path ": ["a"], "label": ["x"]}), tmp_path / "t.PARQUET")
    assert list(read_rows(tmp_path / "t.PARQUET", COLUMNS)) == [(2, {"path": "a", "label": "x"})]
