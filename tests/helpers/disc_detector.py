"""A detector with the inputs and outputs of OpenCV's YuNet, which takes red discs for faces."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

DIAMETER = 40
"""Pixels of a disc in the picture that the detector sees."""

_STRIDES = (8, 16, 32)


def write_detector(path: Path, unlike: str = "") -> Path:
    """Write the network; with another `doc_string` it is another file."""
    nodes, constants = [], []

    def constant(name: str, values: object) -> str:
        constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    # Blue, green and red of 0 to 255: what is red and nothing else.
    weights = np.float32([-0.1, -0.1, 0.1]).reshape(1, 3, 1, 1)
    red = node("Conv", ["input", constant("colours", weights), constant("least", np.float32([-8]))], "redness")
    red = node("Sigmoid", [red], "red")
    for stride in _STRIDES:
        # The share of a square around each cell that is red, of the finest grid alone; a disc fills 0.785 of its own.
        edge = DIAMETER if stride == 8 else stride
        kernel = np.full((1, 1, edge, edge), (1.25 if stride == 8 else 0) / edge**2, np.float32)
        pads = [(edge - stride) // 2] * 4
        share = node("Conv", [red, constant(f"k{stride}", kernel)], f"share{stride}", strides=[stride] * 2, pads=pads)
        share = node(
            "Clip",
            [share, constant(f"low{stride}", np.float32(0)), constant(f"high{stride}", np.float32(1))],
            f"clip{stride}",
        )
        size = float(np.log(DIAMETER / stride))
        for name, bias in (("cls", [0.0]), ("obj", [0.0]), ("bbox", [0.5, 0.5, size, size]), ("kps", [0.0] * 10)):
            weights = np.full((len(bias), 1, 1, 1), len(bias) == 1, np.float32)
            inputs = [share, constant(f"w_{name}{stride}", weights), constant(f"b_{name}{stride}", np.float32(bias))]
            grid = node("Conv", inputs, f"grid_{name}{stride}")
            last = node("Transpose", [grid], f"last_{name}{stride}", perm=[0, 2, 3, 1])
            node("Reshape", [last, constant(f"s_{name}{stride}", np.int64([1, -1, len(bias)]))], f"{name}_{stride}")
    outputs = [
        helper.make_tensor_value_info(f"{name}_{stride}", TensorProto.FLOAT, [1, "anchors", values])
        for name, values in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))
        for stride in _STRIDES
    ]
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "height", "width"])
    graph = helper.make_graph(nodes, "discs", [given], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, doc_string=unlike)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path
