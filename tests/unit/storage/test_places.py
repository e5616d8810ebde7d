"""Pages show no folders of the machine that made them."""

import re
from pathlib import Path

import pytest

import clipfold
from clipfold.storage.places import without_places

HEAD = Path(clipfold.__file__).parent / "report/page/head.html"
PAGES = sorted(path for path in Path(clipfold.__file__).parent.rglob("*.html") if "<head>" in path.read_text())


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_page_forbids_what_it_does_not_need(path):
    assert len(PAGES) >= 5
    text = path.read_text().replace("{% include 'head.html' %}", HEAD.read_text())
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src 'none'")


def test_ids_are_told_apart_after_shortening():
    ids = ["/data/anna & co/a/1.mp4", "/data/anna & co/b/1.mp4"]
    page = "<td>/data/anna &amp; co/a/1.mp4<td>/data/anna &amp; co/b/1.mp4<script>['/data/anna & co/a/1.mp4']"
    assert without_places(page, ids) == "<td>a/1.mp4<td>b/1.mp4<script>['a/1.mp4']"


def test_other_text_stays(monkeypatch):
    monkeypatch.setenv("HOME", "/")
    page = "<a href='#x'>a/b</a> 3/4 https://example.org/data"
    assert without_places(page, ["a.mp4"], {"a": ["b/c", 3, None]}) == page
