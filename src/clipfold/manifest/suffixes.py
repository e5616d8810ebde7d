"""Names of files that hold videos and pictures. Standard library only."""

VIDEOS = frozenset(
    suffix
    for line in (
        ".3gp .asf .avi .dv .f4v .flv .gif .h264 .hevc .ivf .m2ts .m4v .mj2 .mjpeg .mkv .mov .mp4 .mpeg .mpg",
        ".mts .mxf .nut .ogv .rm .ts .vob .webm .wmv .y4m",
    )
    for suffix in line.split()
)
"""Suffixes of the files that are taken from a folder."""

PICTURES = frozenset(
    suffix
    for line in (
        ".apng .avif .bmp .dib .heic .heif .jfif .jpe .jpeg .jpg",
        ".pgm .png .pnm .ppm .tif .tiff .webp",
    )
    for suffix in line.split()
)
"""Suffixes of pictures: rows of their own, or the frames of a video. HEIC is among them to be refused, not ignored."""

ARCHIVES = (".zip", ".tar")
"""Suffixes of archives that may hold the frames of a video."""
