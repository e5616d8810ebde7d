"""Test what networks are shown."""

import cv2
import numpy as np
import pytest
import torch

from clipfold.models.architectures import variable_ar_cnn
from clipfold.models.architectures.naive_cnn import NaiveCNN
from clipfold.models.catalog import ARCHITECTURES
from clipfold.models.device import Precision, place
from clipfold.models.frame_network import FrameNetwork
from clipfold.models.inputs import as_input, class_probabilities, normalised, unit


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


def test_two_views_are_the_clip_and_its_mirror_image_with_its_content_box():
    torch.manual_seed(0)
    network = variable_ar_cnn.build(
        dict(ARCHITECTURES["variable_ar_cnn"].settings) | {"width": 4, "size": 32}, 2
    ).eval()
    clips = torch.randint(0, 256, (2, 3, 32, 32, 3), dtype=torch.uint8)
    boxes, mirrored = torch.tensor([[8, 3, 16, 10], [0, 0, 32, 32]]), torch.tensor([[8, 19, 16, 10], [0, 0, 32, 32]])
    precision = Precision("fp32", torch.device("cpu"))
    with torch.inference_mode():
        one = class_probabilities(network, clips, boxes, precision)
        other = class_probabilities(network, clips.flip(3), mirrored, precision)
        both = class_probabilities(network, clips, boxes, precision, views=2)
    assert not torch.allclose(one, other)
    torch.testing.assert_close(both, (one + other) / 2)


def test_four_views_are_also_the_middle_of_both_enlarged():
    torch.manual_seed(0)
    settings = dict(ARCHITECTURES["variable_ar_cnn"].settings) | {"width": 4, "size": 32}
    network = variable_ar_cnn.build(settings, 2).eval()
    clips = torch.randint(0, 256, (2, 3, 32, 32, 3), dtype=torch.uint8)
    middle = [[cv2.resize(frame[2:30, 2:30], (32, 32)) for frame in clip] for clip in clips.numpy()]
    boxes = torch.tensor([[9, 2, 14, 21], [0, 0, 32, 32]])
    large = torch.tensor([[8, 0, 16, 24], [0, 0, 32, 32]])  # what is cut off lies outside
    precision = Precision("fp32", torch.device("cpu"))
    with torch.inference_mode():
        two = class_probabilities(network, clips, boxes, precision, views=2)
        others = class_probabilities(network, torch.tensor(np.array(middle)), large, precision, views=2)
        four = class_probabilities(network, clips, boxes, precision, views=4)
    assert (two - others).abs().max() > 1e-3
    torch.testing.assert_close(four, (two + others) / 2, rtol=0, atol=4e-4)  # OpenCV rounds in another way
