"""Test what networks are shown."""

import pytest
import torch

from clipfold.models.architectures.naive_cnn import NaiveCNN
from clipfold.models.device import place
from clipfold.models.frame_network import FrameNetwork
from clipfold.models.inputs import as_input, normalised, unit


@pytest.mark.parametrize("network", [NaiveCNN, FrameNetwork])
def test_pixels_are_normalised_by_colour_and_keep_their_layout(network):
    clips = torch.randint(0, 256, (2, 3, 5, 7, 3), dtype=torch.uint8)
    shown, expected = as_input(network, clips), normalised(network, unit(clips))
    torch.testing.assert_close(shown, expected, rtol=0, atol=1e-6)
    assert shown.stride() == expected.stride()


@pytest.mark.parametrize("channels_last", [True, False])
def test_clips_come_in_the_layout_that_the_settings_ask_for(channels_last):
    network = NaiveCNN(2, 4, 0.0)
    settings = {"channels_last": channels_last, "checkpointing": False, "compile": "none"}
    place(network, settings, torch.device("cpu"))
    clips = torch.randint(0, 256, (2, 3, 5, 7, 3), dtype=torch.uint8)
    layout = torch.channels_last_3d if channels_last else torch.contiguous_format
    for shown in (as_input(network, clips), normalised(network, unit(clips)), network.blocks[0][0].weight):
        assert shown.is_contiguous(memory_format=layout)
