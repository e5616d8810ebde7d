"""Remove the folders of this machine from pages: their readers need none, and they name people and clusters."""

import os
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any


def without_places(page: str, ids: Iterable[str], config: Any = None) -> str:
    """Shorten the paths in a page.

    Ids lose the folders that they share, files of the config all of their folders, other paths the working directory
    or the home.

    Args:
        page: HTML with escaped text.
        ids: Ids of the videos, which are paths where the manifest has no ids.
        config: Any nested values.

    Returns:
        The page without these folders.

    >>> without_places("<td>/data/anna/a/1.mp4", ["/data/anna/a/1.mp4", "/data/anna/b/1.mp4"])
    '<td>a/1.mp4'
    >>> without_places('"weights": "/home/anna/vit.safetensors"', [], {"weights": "/home/anna/vit.safetensors"})
    '"weights": "vit.safetensors"'
    """
    folders = [os.path.dirname(name) for name in ids if os.path.isabs(name)]
    common = [os.path.commonpath(folders)] if folders else []
    files = {os.path.dirname(text) for text in _texts(config) if os.path.isabs(text)}
    for place in [*common, *sorted(files, key=len, reverse=True), str(Path.cwd()), os.path.expanduser("~")]:
        if os.path.isabs(place) and place != "/":
            page = page.replace(f"{escape(place)}/", "").replace(f"{place}/", "")
    return page


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in nested values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for each in value.values() for text in _texts(each))
    elif isinstance(value, list | tuple):
        yield from (text for each in value for text in _texts(each))
