"""Pages that speak of rows in place of videos."""

from pathlib import Path

import pytest

import clipfold.delivery
import clipfold.report
from clipfold.report.wording import reword

TEMPLATES = [
    path
    for folder, pattern in ((clipfold.report, "page/*.html"), (clipfold.delivery, "*.html"))
    for path in sorted(Path(folder.__file__).parent.glob(pattern))
]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("<p>A video, two videos. Videos!</p>", "<p>A row, two rows. Rows!</p>"),
        ('<a href="#videos" id="videos-table" data-x="video">', '<a href="#videos" id="videos-table" data-x="video">'),
        (
            "{{ videos | length }} {{ m.plural(row.videos, 'test video') }}",
            "{{ videos | length }} {{ m.plural(row.videos, 'test row') }}",
        ),
        ('<div aria-label="Every video">', '<div aria-label="Every row">'),
        ("{% if videos %}the video's{% endif %}", "{% if videos %}the row's{% endif %}"),
        ("<style>video { color: red }</style>", "<style>video { color: red }</style>"),
    ],
)
def test_words_change_and_names_stay(template, expected):
    assert reword(template, "row") == expected


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_reworded_template_is_one_and_says_video_to_nobody(path):
    from jinja2 import Environment
    from jinja2.visitor import NodeVisitor

    tree = Environment().parse(reword(path.read_text(), "row"))
    original = Environment().parse(path.read_text())

    class Names(NodeVisitor):
        def __init__(self):
            self.found = []

        def visit_Name(self, node):
            self.found.append(node.name)

        def visit_Getattr(self, node):
            self.found.append(node.attr)
            self.generic_visit(node)

    names = []
    for each in (tree, original):
        visitor = Names()
        visitor.visit(each)
        names.append(visitor.found)
    assert names[0] == names[1]
