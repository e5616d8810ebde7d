"""Pairs of videos that show the same: found by perceptual hashes, each verified on the pictures."""

import pyarrow as pa

SCHEMA = pa.schema(
    {
        "first": pa.string(),  # ids, the first before the second in the alphabet
        "second": pa.string(),
        # `copy` (the same pictures in the same order), `cut` (some pictures of one are in the other), `background` (the
        # same still background); before it `mirrored` or `cropped` where one shows the other so, as in `mirrored copy`
        "change": pa.string(),
        "score": pa.float64(),  # normalised correlation of the two pictures after alignment, at most 1
        "first_frame": pa.int16(),  # the stored frames of `clips` that resemble each other most
        "second_frame": pa.int16(),
    }
)
