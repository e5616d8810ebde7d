"""Export a fitted network to a program of PyTorch, a `.pt2` file, for tools other than clipfold."""

import io

import torch
from torch.export import ExportedProgram

from clipfold.models.record import Record
from clipfold.models.whole_network import exporting
from clipfold.storage.files import PathLike

_OF_THIS_MACHINE = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn")
"""What PyTorch notes of each operator: where in the code of this machine it comes from."""


def to_program(record: Record, path: PathLike, encoders: PathLike, training: int = 0) -> bytes:
    """Export one training of a fitted network, see `whole_network.exporting` for the arguments.

    Returns:
        The file. `torch.export.load(file).module()` takes `clips` and `boxes` of any batch and returns `probabilities`,
        as `WholeNetwork.module`. Nothing in it is pickled.

    Raises:
        NoGraph: The network has an operation that cannot be exported.
    """
    with exporting(record, path, encoders, training) as whole:
        program = torch.export.export(
            whole.module,
            whole.example,
            dynamic_shapes=whole.dynamic_shapes,
            strict=False,
            prefer_deferred_runtime_asserts_over_guards=True,
        )
        content = io.BytesIO()
        torch.export.save(_plain(program), content)
    return content.getvalue()


def _plain(program: ExportedProgram) -> ExportedProgram:
    """Leave out the example, which would be pickled, and what tells of this machine."""
    program.example_inputs = None
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                for name in _OF_THIS_MACHINE:
                    node.meta.pop(name, None)
    return program
