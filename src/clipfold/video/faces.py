"""Find the region of a clip that shows a face, by the detector YuNet of OpenCV."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock

import cv2
import numpy as np

from clipfold.checks import require
from clipfold.storage.files import Array
from clipfold.video.geometry import Region, widened

cv2.setNumThreads(1)  # as for the camera's motion: a worker that is forked while OpenCV's threads run would hang

_SCORE = 0.8  # least confidence of a face
_REACH = 2.0  # its heights and widths: a face moves no farther from one of the frames to the next
_ALIKE = 3.0  # most times the area: one face grows no faster from frame to frame
_MARGIN = 1.3  # times the face, as in the benchmark of FaceForensics++ (Roessler et al. 2019)


class Detector:
    """The detector of faces YuNet (Wu et al. 2023, Machine Intelligence Research 20), run by OpenCV.

    Args:
        model: file of its network.
        digest: of the file, see `clipfold.storage.hashing.file_digest`.

    Raises:
        ValueError: the file has changed, is no such network, or OpenCV has no such detector.
    """

    def __init__(self, model: str, digest: str) -> None:
        where, content = "decode.face_model", Path(model).read_bytes()
        same = hashlib.blake2b(content, digest_size=16).hexdigest() == digest
        require(same, where, model, "it has changed since the job began: start again")
        known = hasattr(cv2, "FaceDetectorYN")
        require(known, where, model, f"OpenCV {cv2.__version__} lacks FaceDetectorYN: install 4.10 or newer")
        network, nothing = np.frombuffer(content, np.uint8), np.empty(0, np.uint8)
        loud = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            self._detector = cv2.FaceDetectorYN.create("onnx", network, nothing, (64, 64), _SCORE)
            self._network = cv2.dnn.readNetFromONNX(network)
            self._check_outputs(64, 64)
            self._detector.detect(np.zeros((64, 64, 3), np.uint8))
        except cv2.error as error:
            first = error.err.strip().partition("\n")[0]
            problem = f"it is not the network of OpenCV's detector YuNet ({first}): use another file"
            raise ValueError(f"{where} is {model!r}: {problem}") from None
        finally:
            cv2.utils.logging.setLogLevel(loud)
        self._lock = Lock()  # several threads may use one bundle
        self._checked: set[tuple[int, int]] = set()

    @staticmethod
    @lru_cache(maxsize=4)
    def of(model: str, digest: str) -> Detector:
        """Return the detector of a file, loaded once by a process."""
        return Detector(model, digest)

    def _check_outputs(self, width: int, height: int) -> None:
        """Check that the network has as many numbers for a picture of this size as OpenCV reads without looking.

        Raises:
            ValueError: It has fewer: OpenCV would read other memory.
            cv2.error: An output is missing.
        """
        needed = _numbers(height, width)
        padded = np.zeros((32 * math.ceil(height / 32), 32 * math.ceil(width / 32), 3), np.uint8)
        self._network.setInput(cv2.dnn.blobFromImage(padded))
        found = dict(zip(needed, self._network.forward([*needed]), strict=True))
        short = [name for name, number in needed.items() if found[name].size < number]
        require(not short, "decode.face_model", short, "it is not the network of YuNet: use another file")

    def faces(self, picture: Array) -> Array:
        """Find the faces of a picture, `uint8` RGB (height, width, 3); returns rectangles.

        Returns:
            float64 (faces, 4): top, left, bottom and right in shares of the picture, in [0, 1].
        """
        height, width = picture.shape[:2]
        with self._lock:
            if (width, height) not in self._checked:
                self._check_outputs(width, height)
                self._checked.add((width, height))
            self._detector.setInputSize((width, height))
            found = self._detector.detect(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
        left, top, across, down = np.reshape([] if found is None else found, (-1, 15))[:, :4].astype(np.float64).T
        corners = top / height, left / width, (top + down) / height, (left + across) / width
        return np.stack(corners, axis=1).clip(0, 1)


def _numbers(height: int, width: int) -> dict[str, int]:
    """Name the outputs of YuNet, and how many numbers OpenCV reads of each for a picture that it pads to 32 pixels."""
    height, width = 32 * math.ceil(height / 32), 32 * math.ceil(width / 32)
    of_each = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
    return {f"{name}_{s}": (height // s) * (width // s) * many for name, many in of_each.items() for s in (8, 16, 32)}


Track = Mapping[int, Array]
"""Position in the frames that are looked at -> the rectangle of one face there, as `Detector.faces` returns it."""


def largest_face(frames: Sequence[Array]) -> Track:
    """Follow the faces through some frames, and return the one with the largest sum of areas over them.

    What only one of several frames shows is taken for an error.

    Args:
        frames: the faces in each of the frames, in order: as `Detector.faces` returns them.

    Returns:
        The face, in the frames that show it; empty if there is none.
    """
    seen = [track for track in _tracks(frames) if len(track) >= min(2, len(frames))]
    return max(seen, key=lambda track: sum(map(_area, track.values())), default={})


def face_region(face: Track, shape: Sequence[int], least: float) -> Region:
    """Find the smallest region that holds a face in all frames that show it, with a margin; square, if that fits.

    Args:
        face: the face, in at least one frame.
        shape: height and width of the frames in pixels.
        least: smallest height and width of the region, in shares of those of the picture.
    """
    places = list(face.values())
    first, last = np.min(places, axis=0)[:2], np.max(places, axis=0)[2:]
    margin = (_MARGIN - 1) / 2 * (last - first)
    edges = [(float(begin), float(end)) for begin, end in zip(first - margin, last + margin, strict=True)]
    return widened(edges, shape[0], shape[1], least)


def rectangles(face: Track, indices: Sequence[int]) -> dict[int, Region]:
    """Return where a face is in each frame from the first to the last that shows it, on a straight line between these.

    They are not smoothed: the frames are too far apart to tell shaking from motion, and no crop follows them.

    Args:
        face: the face, in at least one frame.
        indices: indices in the video of the frames that were looked at, ascending.
    """
    known = [indices[place] for place in face]
    between = list(indices[min(face) : max(face) + 1])
    corners = [np.interp(between, known, edge).tolist() for edge in np.transpose(list(face.values()))]
    return {
        index: Region(top, left, bottom - top, right - left)
        for index, top, left, bottom, right in zip(between, *corners, strict=True)
    }


def _tracks(frames: Sequence[Array]) -> list[dict[int, Array]]:
    """Follow faces through frames: each continues the nearest track that it can come from, or begins one."""
    tracks: list[dict[int, Array]] = []
    for number, faces in enumerate(frames):
        free = list(tracks)
        for face in faces:
            near = [track for track in free if _follows(_last(track), face)]
            if near:
                track = min(near, key=lambda track: np.abs(_last(track) - face).sum())
                free = [other for other in free if other is not track]
                track[number] = face
            else:
                tracks.append({number: face})
    return tracks


def _last(track: dict[int, Array]) -> Array:
    return track[next(reversed(track))]


def _follows(before: Array, after: Array) -> bool:
    """Whether two rectangles may show one face at different times."""
    moved = np.abs(after - before).reshape(2, 2).mean(axis=0)
    near = (moved <= _REACH * (before[2:] - before[:2])).all()
    return bool(near and 1 / _ALIKE <= _area(after) / max(_area(before), 1e-12) <= _ALIKE)


def _area(face: Array) -> float:
    return float(np.prod(face[2:] - face[:2]))
