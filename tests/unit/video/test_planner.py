from hypothesis import given
from hypothesis import strategies as st

from clipfold.video.planner import Step, plan


@st.composite
def streams(draw):
    """Draw the frames of packets in decoding order, and the positions of keyframes.

    Some groups of pictures have pictures displayed before their keyframe.
    """
    frames, keyframes = [], set()
    for number in range(draw(st.integers(1, 5))):
        size, base = draw(st.integers(1, 8)), len(frames)
        leading = draw(st.integers(0, size - 1)) if number else 0
        order = [leading, *draw(st.permutations(range(leading))), *draw(st.permutations(range(leading + 1, size)))]
        keyframes.add(base)
        frames += [base + frame for frame in order]
    return frames, keyframes


@given(streams(), st.data())
def test_every_wanted_frame_is_decoded_after_all_it_may_refer_to(stream, data):
    frames, keyframes = stream
    wanted = data.draw(st.sets(st.integers(0, len(frames) - 1)))
    steps = plan(frames, keyframes, wanted)
    for frame in wanted:
        begin = at = frames.index(frame)
        assert steps[at] in (Step.DECODE, Step.RESTART)
        while not (begin in keyframes and frames[begin] <= frame):
            begin -= 1
        # A frame refers to nothing stored before the last keyframe shown no later than itself, and nothing shown
        # after that keyframe refers to what is shown before it.
        left_out = [frames[i] for i in range(begin, at) if steps[i] is Step.DROP]
        assert all(other < frames[begin] <= frame for other in left_out)
        assert Step.RESTART not in steps[begin + 1 : at + 1]
    assert all(step is not Step.DECODE or frame in wanted for step, frame in zip(steps, frames, strict=False))


@given(streams())
def test_wanting_everything_decodes_everything_and_wanting_nothing_nothing(stream):
    frames, keyframes = stream
    assert plan(frames, keyframes, range(len(frames))) == [Step.DECODE] * len(frames)
    assert plan(frames, keyframes, ()) == []


def test_a_picture_shown_before_its_keyframe_needs_the_group_before():
    frames, keyframes = [0, 1, 4, 2, 3, 5], {0, 2}
    assert plan(frames, keyframes, {3}) == [Step.DECODE if i == 4 else Step.REFERENCE for i in range(5)]
    assert plan(frames, keyframes, {5}) == [Step.DROP, Step.DROP, Step.RESTART, Step.DROP, Step.DROP, Step.DECODE]
