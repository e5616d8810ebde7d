"""Let templates that speak of videos speak of something else, such as images or the rows of a table. Pure."""

import re

# Words, but no parts of ids, attributes, paths or names of files.
_ARTICLE = re.compile(r"\b([Aa]) video\b")
_WORD = re.compile(r"(?<![\w#.\"'/=-])([Vv])ideo(s?)(?![\w\"=-]|\.\w|'(?!s\b))")
_LABEL = re.compile(r"((?:aria-label|placeholder|alt|title)=\"[^\"]*)")
_IN_LABEL = re.compile(r"\b([Vv])ideo(s?)\b")


def reword(text: str, noun: str) -> str:
    """Replace the word `video` in what a template says, but not in names of anchors, attributes or files.

    >>> reword('<a href="#videos" id="videos" alt="of videos">A video of two videos, <b>Videos</b></a>', "image")
    '<a href="#videos" id="videos" alt="of images">An image of two images, <b>Images</b></a>'
    """
    if noun[0] in "aeiou":
        text = _ARTICLE.sub(r"\1n video", text)

    def said(found: "re.Match[str]") -> str:
        return (noun.capitalize() if found[1] == "V" else noun) + found[2]

    return _LABEL.sub(lambda label: _IN_LABEL.sub(said, label[0]), _WORD.sub(said, text))
