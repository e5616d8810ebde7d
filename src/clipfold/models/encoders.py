"""Encoders of single frames: image networks without their classifier."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torchvision.models as images
from torch import nn
from torchvision.models.vision_transformer import interpolate_embeddings

from clipfold.models.encoder_sizes import PATCH, check_size
from clipfold.models.frame_encoder import FrameEncoder
from clipfold.models.library_encoders import library_encoder, library_weights
from clipfold.models.weights import find_weights, load_weights

_PUBLISHED_SIZE = 224
_DEIT = "https://dl.fbaipublicfiles.com/deit/deit_{}.pth"

# Names in DeiT's files, and in older files of torchvision -> names in torchvision's ViT.
_NAMES = (
    (r"^cls_token$", "class_token"),
    (r"^pos_embed$", "encoder.pos_embedding"),
    (r"^patch_embed\.proj\.", "conv_proj."),
    (r"^blocks\.", "encoder.layers.encoder_layer_"),
    (r"\.norm([12])\.", r".ln_\1."),
    (r"\.attn\.qkv\.", ".self_attention.in_proj_"),
    (r"\.attn\.proj\.", ".self_attention.out_proj."),
    (r"\.mlp\.(fc|linear_)1\.", ".mlp.0."),
    (r"\.mlp\.(fc|linear_)2\.", ".mlp.3."),
    (r"^norm\.", "encoder.ln."),
    (r"^head\.", "heads.head."),
)


def encoder(name: str, size: int, weights: str, download: bool) -> FrameEncoder:
    """Build an encoder.

    Args:
        name: One of `ENCODERS`, or `timm/NAME` or `torchvision/NAME`.
        size: Edge of the frames in pixels.
        weights: "" for random weights, "pretrained" or a file, see `find_weights`.
        download: Allow the download of published weights.

    Raises:
        ValueError: The encoder does not accept this size, or the weights are unavailable.
    """
    if "/" in name:
        return library_encoder(name, weights, download)
    check_size("size", name, size)
    return ENCODERS[name][1](size, weights_of(name, weights, download))


def weights_of(name: str, weights: str, download: bool) -> Path | None:
    """Find the weights of an encoder; arguments and errors as for `encoder`."""
    if "/" in name:
        return library_weights(name, weights, download)
    return find_weights(weights, ENCODERS[name][0], download)


def _vit(width: int, heads: int, depth: int, size: int, path: Path | None) -> FrameEncoder:
    """Build a ViT with patches of 16 pixels (Dosovitskiy et al. 2021); the embedding is the class token's."""
    make = partial(images.VisionTransformer, patch_size=PATCH, num_layers=depth, num_heads=heads, hidden_dim=width)
    network = make(image_size=size, mlp_dim=4 * width)
    if path:
        published = make(image_size=_PUBLISHED_SIZE, mlp_dim=4 * width)
        load_weights(published, path, rename=_torchvision_name, skip="heads.")
        network.load_state_dict(interpolate_embeddings(size, PATCH, published.state_dict()))
    network.heads = nn.Identity()
    return FrameEncoder(network, width, network.encoder.layers)


def _torchvision_name(key: str) -> str:
    for pattern, name in _NAMES:
        key = re.sub(pattern, name, key)
    return key


def _vgg19(size: int, path: Path | None) -> FrameEncoder:
    """Build VGG-19 (Simonyan & Zisserman 2015), with a global mean instead of its three large linear layers."""
    network = images.vgg19()
    if path:
        load_weights(network, path, skip="classifier.")
    layers, stages = list(network.features), []
    while layers:  # a stage ends with its pooling
        end = 1 + next(i for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d))
        stages.append(nn.Sequential(*layers[:end]))
        del layers[:end]
    return FrameEncoder(nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten()), 512, stages)


def _resnet18(size: int, path: Path | None) -> FrameEncoder:
    """Build ResNet-18 (He et al. 2016)."""
    network = images.resnet18()
    if path:
        load_weights(network, path, skip="fc.")
    network.fc = nn.Identity()
    layers = (network.layer1, network.layer2, network.layer3, network.layer4)
    return FrameEncoder(network, 512, (block for layer in layers for block in layer))


def _mobilenet_v3(make: Callable[..., images.MobileNetV3], width: int, size: int, path: Path | None) -> FrameEncoder:
    """Build MobileNetV3 (Howard et al. 2019)."""
    # The published momentum, 0.01, suits millions of steps. Even with 0.1, random weights give such small values that
    # the running statistics need some 80 steps to become useful.
    network = make(norm_layer=partial(nn.BatchNorm2d, eps=1e-3, momentum=0.1))
    if path:
        load_weights(network, path, skip="classifier.")
    network.classifier = nn.Identity()
    return FrameEncoder(network, width, network.features)


# Name -> address of the published weights, function that builds the encoder.
ENCODERS: dict[str, tuple[str | None, Callable[[int, Path | None], FrameEncoder]]] = {
    "vit_micro": (None, partial(_vit, 192, 3, 4)),  # a third of vit_tiny's depth, for machines without a GPU
    "vit_tiny": (_DEIT.format("tiny_patch16_224-a1311bcf"), partial(_vit, 192, 3, 12)),
    "vit_small": (_DEIT.format("small_patch16_224-cd65a155"), partial(_vit, 384, 6, 12)),
    "vit_b_16": (images.ViT_B_16_Weights.DEFAULT.url, partial(_vit, 768, 12, 12)),
    "vgg19": (images.VGG19_Weights.DEFAULT.url, _vgg19),
    "resnet18": (images.ResNet18_Weights.DEFAULT.url, _resnet18),
    "mobilenet_v3_small": (
        images.MobileNet_V3_Small_Weights.DEFAULT.url,
        partial(_mobilenet_v3, images.mobilenet_v3_small, 576),
    ),
    "mobilenet_v3_large": (
        images.MobileNet_V3_Large_Weights.DEFAULT.url,
        partial(_mobilenet_v3, images.mobilenet_v3_large, 960),
    ),
}
