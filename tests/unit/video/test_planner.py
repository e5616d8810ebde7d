from hypothesis import given
from hypothesis import strategies as st

from clipfold.video.planner import Packet, Step, plan


@st.composite
def streams(draw):
    """Draw packets of groups of pictures in decoding order, some with pictures displayed before their keyframe."""
    packets, base = [], 0
    for number in range(draw(st.integers(1, 5))):
        size = draw(st.integers(1, 8))
        leading = draw(st.integers(0, size - 1)) if number else 0
        order = [leading, *draw(st.permutations(range(leading))), *draw(st.permutations(range(leading + 1, size)))]
        packets += [Packet(base + frame, i == 0) for i, frame in enumerate(order)]
        base += size
    return packets


@given(streams(), st.data())
def test_every_wanted_frame_is_decoded_after_all_it_may_refer_to(packets, data):
    count = len(packets)
    wanted = data.draw(st.sets(st.integers(0, count - 1)))
    steps = plan(packets, wanted)
    position = {packet.frame: i for i, packet in enumerate(packets)}
    for frame in wanted:
        at = position[frame]
        assert steps[at] in (Step.DECODE, Step.RESTART)
        begin = at
        while not (packets[begin].keyframe and packets[begin].frame <= frame):
            begin -= 1
        # A frame refers to nothing stored before the last keyframe shown no later than itself, and nothing shown
        # after that keyframe refers to what is shown before it.
        left_out = [packets[i].frame for i in range(begin, at) if steps[i] is Step.DROP]
        assert all(frame < packets[begin].frame <= packets[at].frame for frame in left_out)
        assert Step.RESTART not in steps[begin + 1 : at + 1]
    assert all(step is not Step.DECODE or packet.frame in wanted for step, packet in zip(steps, packets, strict=False))


@given(streams())
def test_wanting_everything_decodes_everything_and_wanting_nothing_nothing(packets):
    assert plan(packets, range(len(packets))) == [Step.DECODE] * len(packets)
    assert plan(packets, ()) == []


def test_a_picture_shown_before_its_keyframe_needs_the_group_before():
    packets = [Packet(0, True), Packet(1, False), Packet(4, True), Packet(2, False), Packet(3, False), Packet(5, False)]
    assert plan(packets, {3}) == [Step.DECODE if i == 4 else Step.REFERENCE for i in range(5)]
    assert plan(packets, {5}) == [Step.DROP, Step.DROP, Step.RESTART, Step.DROP, Step.DROP, Step.DECODE]
