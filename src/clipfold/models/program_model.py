"""Run a program of PyTorch, to compare it with the network that it was just exported from."""

import io

import torch

from clipfold.models.graph_model import GraphModel
from clipfold.models.record import Record
from clipfold.storage.files import Array


class ProgramModel(GraphModel):
    """A network that was exported to a program, on the CPU.

    Args:
        record: Record of the fit, `fit.json`.
        program: From `to_program`, in this process: PyTorch's loader trusts what it loads.
    """

    def __init__(self, record: Record, program: bytes) -> None:
        super().__init__(record)
        self._run = torch.export.load(io.BytesIO(program)).module()

    def run(self, clips: Array, boxes: Array) -> Array:
        """Run the program, see `GraphModel`."""
        with torch.no_grad():
            found: Array = self._run(torch.from_numpy(clips), torch.from_numpy(boxes)).numpy()
        return found
