"""Say in words what each baseline sees."""

_SEES = {
    "shortcut_container": "facts of the file (size, rates, duration, codec, sound)",
    "shortcut_sound": "whether there is sound",
    "shortcut_brightness": "the mean brightness",
    "shortcut_colour": "the colours, wherever they are",
    "shortcut_mean_frame": "a blurred mean frame",
    "shortcut_still": "a single frame",
    "shortcut_shuffled": "motion between frames in shuffled order",
}


def sees(name: str) -> str:
    """Return what a baseline sees.

    >>> sees("shortcut_colour"), sees("shortcut_still_vit")
    ('the colours, wherever they are', 'a single frame, as the encoder of vit describes it')
    """
    encoded = name.removeprefix("shortcut_still_")
    return _SEES.get(name, f"a single frame, as the encoder of {encoded} describes it" if encoded != name else name)
