"""Pages that speak of images or rows in place of videos."""

from pathlib import Path

import pytest
from jinja2 import nodes

import clipfold.delivery
import clipfold.report
from clipfold.report.render import environment
from clipfold.report.wording import reword

FOLDERS = [Path(clipfold.report.__file__).parent / "page", Path(clipfold.delivery.__file__).parent]
TEMPLATES = sorted(path for folder in FOLDERS for path in folder.glob("*.html"))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("<p>A video, two videos. Videos!</p>", "<p>A row, two rows. Rows!</p>"),
        ('<a href="#videos" id="videos-table" data-x="video">', '<a href="#videos" id="videos-table" data-x="video">'),
        ('<div aria-label="Every video">', '<div aria-label="Every row">'),
        ("the video's video.mp4", "the row's video.mp4"),
    ],
)
def test_words_change_and_names_stay(template, expected):
    assert reword(template, "row") == expected


def test_texts_in_a_template_change_and_what_it_is_given_stays():
    template = environment(noun="image").from_string("{{ videos | length }} {{ 'test video' }}: {{ name }}, a video")
    assert template.render(videos=[1, 2], name="a video.mp4") == "2 test image: a video.mp4, an image"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_reads_the_same_facts_and_files_whatever_it_speaks_of(path):
    def read(noun):
        tree = environment(*FOLDERS, noun=noun).parse(path.read_text())
        names = [each.name for each in tree.find_all(nodes.Name)] + [each.attr for each in tree.find_all(nodes.Getattr)]
        keys = [each.arg.value for each in tree.find_all(nodes.Getitem) if isinstance(each.arg, nodes.Const)]
        files = [each.template.value for each in tree.find_all((nodes.Include, nodes.Import, nodes.Extends))]
        sorted_by = [
            arg.value for each in tree.find_all(nodes.Filter) for arg in each.args if isinstance(arg, nodes.Const)
        ]
        return names, keys, files, sorted_by

    assert read("row") == read("video")
