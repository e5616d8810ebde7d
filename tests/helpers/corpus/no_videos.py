"""Paths that are no files, and files that are no videos."""

from __future__ import annotations

import io
import os
import random
import stat
import wave
from pathlib import Path

from helpers.corpus.movies import Make, combine, encoded, movie, remux, sound, still
from helpers.corpus.recipe import Recipe

PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n%s\n#EXT-X-ENDLIST\n"
FFCONCAT = b"ffconcat version 1.0\nfile '%s'\n"
MPD = b"""<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1S" minBufferTime="PT1S"
 profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet mimeType="video/mp4">
<Representation id="0" bandwidth="100000" width="96" height="64"><BaseURL>%s</BaseURL></Representation>
</AdaptationSet></Period></MPD>
"""
SDP = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n"


def no_files() -> list[Recipe]:
    """List paths that are no regular file, or that FFmpeg must not open."""

    def plain(path: Path) -> bytes:
        return movie(path, "mp4")

    def linked(target: str) -> Make:
        return lambda path: path.symlink_to(target)

    def url(form: str) -> Make:
        """Make the target too, so that a prober that lets FFmpeg interpret the path would open it."""

        def make(path: Path) -> str:
            target = path.with_suffix(".target.mp4")
            target.write_bytes(movie(target))
            return form.format(file=target)

        return make

    def script(text: bytes) -> Make:
        def make(path: Path) -> bytes:
            target = path.with_name(f"{path.name.replace('.', '_')}_target.mp4")
            target.write_bytes(movie(target))
            return text % os.fsencode(target.name) if b"%s" in text else text

        return make

    def pattern(path: Path) -> str:
        for index in range(1, 9):
            path.with_name(f"{path.name}{index:03}.png").write_bytes(still("png", "rgb24"))
        return f"{path}%03d.png"

    def device(target: str) -> Make:
        def make(path: Path) -> None:
            if not stat.S_ISCHR(Path(target).stat().st_mode):
                raise OSError(f"{target} is no device")
            path.symlink_to(target)

        return make

    def locked(path: Path) -> None:
        if os.geteuid() == 0:
            raise OSError("root may read everything")
        path.write_bytes(plain(path))
        path.chmod(0)

    return [
        Recipe("missing.mp4", "missing", str, "no such file"),
        Recipe("broken_link.mp4", "missing", linked("nowhere.mp4"), "symbolic link to nothing"),
        Recipe("link_loop.mp4", "missing unreadable", linked("link_loop.mp4"), "symbolic link to itself (ELOOP)"),
        Recipe("directory.mp4", "unreadable", lambda path: path.mkdir(), "a folder"),
        Recipe("no_permission.mp4", "unreadable", locked, "mode 000"),
        Recipe("empty.mp4", "empty", lambda path: b"", "0 bytes"),
        Recipe("fifo.mp4", "refused", os.mkfifo, "opening it blocks for ever"),
        Recipe("dev_zero.mp4", "refused", device("/dev/zero"), "link to a device: endless"),
        Recipe("dev_null.mp4", "refused", device("/dev/null"), "link to a device: empty"),
        Recipe("url_http", "refused", lambda path: "http://127.0.0.1:9/clip.mp4", "would open a connection"),
        Recipe("url_file", "refused", url("file:{file}"), "protocol prefix"),
        Recipe("url_concat", "refused", url("concat:{file}|{file}"), "protocol that reads other files"),
        Recipe("url_subfile", "refused", url("subfile,,start,0,end,0,,:{file}"), "protocol with options"),
        Recipe("url_crypto", "refused", url("crypto:{file}"), "nested protocol"),
        Recipe("url_data", "refused", lambda path: "data:video/mp4;base64,AAAAIGZ0eXA=", "the path is the content"),
        Recipe("url_pipe", "refused", lambda path: "pipe:0", "would read standard input"),
        Recipe("url_rtsp", "refused", lambda path: "rtsp://127.0.0.1:9/live", "would open a connection"),
        Recipe("sequence", "missing refused", pattern, "image2 pattern beside 8 matching pictures"),
        Recipe("playlist.m3u8", "refused", script(PLAYLIST), "HLS playlist of a good file"),
        Recipe("playlist_as.mp4", "refused", script(PLAYLIST), "HLS playlist of a good file, called .mp4"),
        Recipe(
            "playlist_http.mp4", "refused", lambda path: PLAYLIST % b"http://127.0.0.1:9/x.ts", "HLS to the network"
        ),
        Recipe(
            "playlist_secret.mp4", "refused", lambda path: PLAYLIST % b"file:///etc/hostname", "HLS to a local file"
        ),
        Recipe("script.ffconcat", "refused", script(FFCONCAT), "concat script of a good file"),
        Recipe("script_as.mp4", "refused", script(FFCONCAT), "concat script of a good file, called .mp4"),
        Recipe("manifest.mpd", "refused unreadable", script(MPD), "DASH manifest of a good file"),
        Recipe("manifest_as.mp4", "refused unreadable", script(MPD), "DASH manifest of a good file, called .mp4"),
        Recipe("session.sdp", "refused", lambda path: SDP, "would listen on a socket"),
        Recipe("session_as.mp4", "refused", lambda path: SDP, "SDP called .mp4"),
    ]


def no_videos() -> list[Recipe]:
    """List files that hold something else than a video, or too few frames."""

    def text(path: Path) -> bytes:
        return b"Dear reviewer,\nthis is no video.\n" * 40

    def wav(path: Path) -> bytes:
        file = io.BytesIO()
        with wave.open(file, "wb") as out:
            out.setparams((1, 2, 8000, 0, "NONE", ""))
            out.writeframes(bytes(16000))
        return file.getvalue()

    def subtitles(path: Path) -> bytes:
        return b"".join(b"%d\n00:00:0%d,000 --> 00:00:0%d,900\nline\n\n" % (n, n, n) for n in range(1, 9))

    def nothing(fmt: str, **mux: str) -> Make:
        return lambda path: remux(movie(path, "mp4"), fmt, lambda all_: [], mux)

    def silent_track(path: Path) -> bytes:
        return combine("mkv", movie(path, "mp4"), sound("wav", "pcm_s16le"), keep=lambda all_: [])

    def motion_photo(path: Path) -> bytes:
        return still("mjpeg", "yuvj420p") + movie(path, "mp4")

    noise = random.Random(0).randbytes(20_000)
    return [
        Recipe("random.mp4", "unreadable", lambda path: noise, "20 kB of noise"),
        Recipe("zeros.mp4", "unreadable", lambda path: bytes(20_000), "20 kB of zeros, as a failed copy leaves"),
        Recipe("text.mp4", "unreadable", text, "a text"),
        Recipe("text.txt", "unreadable refused", text, "a text by its right name: FFmpeg's tty demuxer paints it"),
        Recipe(
            "page.mp4",
            "unreadable",
            lambda path: b"<!DOCTYPE html><html>404</html>" * 9,
            "an error page saved as a video",
        ),
        Recipe("archive.mp4", "unreadable", lambda path: b"PK\x03\x04" + noise, "a zip archive"),
        Recipe("subtitles.mp4", "no_video_stream unreadable", subtitles, "SubRip text called .mp4"),
        Recipe("tone.wav", "no_video_stream", wav, "sound only"),
        Recipe("tone.mp4", "no_video_stream", lambda path: sound("mp4", "aac"), "sound only in a video container"),
        Recipe(
            "cover.mp3", "no_video_stream", lambda path: sound("mp3", "libmp3lame", cover=True), "cover art is no video"
        ),
        Recipe("cover.mp4", "no_video_stream", lambda path: sound("mp4", "aac", cover=True), "cover art is no video"),
        Recipe("png.mp4", "too_short", lambda path: still("png", "rgb24"), "one picture called .mp4"),
        Recipe("jpeg.mp4", "too_short", lambda path: still("mjpeg", "yuvj420p"), "one picture called .mp4"),
        Recipe(
            "picture.png",
            "too_short refused",
            lambda path: still("png", "rgb24"),
            "one picture: image2 demuxer by name",
        ),
        Recipe(
            "picture.avif",
            "too_short",
            encoded(frames=1, codec="libsvtav1", size=(64, 64)),
            "one picture in an MP4-like container",
        ),
        Recipe("motion_photo.jpg", "too_short refused unreadable", motion_photo, "a JPEG with an MP4 behind it"),
        Recipe("one_frame.mp4", "too_short", encoded(frames=1), "a single frame"),
        Recipe(
            "one_frame_with_sound.mp4",
            "too_short",
            lambda path: combine("mp4", movie(path, "mp4", frames=1), sound("mp4", "aac")),
            "music with a picture",
        ),
        Recipe("no_frames.mp4", "too_short", nothing("mp4", movflags="empty_moov"), "a header, and nothing behind it"),
        Recipe("no_frames.mkv", "too_short unreadable", nothing("mkv"), "a header alone, which FFmpeg does not open"),
        Recipe("no_frames_but_sound.mkv", "too_short", silent_track, "a video track without packets beside sound"),
    ]
