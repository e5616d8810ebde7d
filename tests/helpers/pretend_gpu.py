"""Train on a pretended GPU and report where the host would wait for it: `python -m helpers.pretend_gpu FOLDER`.

Its tensors say that they are on `cuda:0`, and compute on the CPU. Each operation on them counts as a launch; each copy
or question that would make the host wait is noted by the function that asked. Gradients are made up: what a backward
pass launches is no business of the training loop. It runs as its own process, because it changes PyTorch for good.
"""

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import torch.utils._pytree as pytree
from helpers import fits
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

GPU = torch.device("cuda", 0)
ASKS = {"_local_scalar_dense", "nonzero", "equal", "is_nonzero"}  # of which the host needs the answer
waits, launches = Counter(), Counter()


class OnGpu(torch.Tensor):
    """A tensor on the pretended GPU; `inner` has its values."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner):
        facts = {"strides": inner.stride(), "storage_offset": inner.storage_offset(), "dtype": inner.dtype}
        made = torch.Tensor._make_wrapper_subclass(cls, inner.shape, **facts, device=GPU)
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return run(operation, args, kwargs or {})


class Pretending(TorchDispatchMode):
    """Catch operations that begin on the host, too, such as copies to the GPU."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        return run(operation, args, kwargs or {})


def asking():
    """Name the innermost running function of the package, or of PyTorch's averages."""
    frame = sys._getframe()
    while frame and not ("src/clipfold/" in frame.f_code.co_filename or "swa_utils" in frame.f_code.co_filename):
        frame = frame.f_back
    return frame.f_code.co_name if frame else "elsewhere"


def waiting(name, args, kwargs, given):
    """Tell whether the host waits for an operation."""
    from_gpu, from_host = any(given), not all(given)
    target = kwargs.get("device")
    if name == "_to_copy" and target is not None:
        crosses = (target.type == "cuda" and from_host) or (target.type == "cpu" and from_gpu)
        return crosses and not kwargs.get("non_blocking")
    if name == "copy_" and from_gpu and from_host:
        return not (args[2:] and args[2])
    if from_gpu and from_host and name in ("index", "index_put_", "_index_put_impl_"):
        return True  # an index on the host is copied first
    return name in ASKS and from_gpu


def run(operation, args, kwargs):
    name = operation._overloadpacket.__name__
    if name == "_fused_sdp_choice":
        return 0
    given = [isinstance(a, OnGpu) for a in pytree.arg_tree_leaves(*args, **kwargs) if isinstance(a, torch.Tensor)]
    target = torch.device(kwargs["device"]) if kwargs.get("device") is not None else None
    if waiting(name, args, kwargs | {"device": target}, given):
        waits[asking()] += 1
    if any(given) and operation not in VIEWS:
        launches[asking()] += 1
    inside = [pytree.tree_map(lambda t: t.inner if isinstance(t, OnGpu) else t, part) for part in (args, kwargs)]
    to_gpu = target is not None and target.type == "cuda"
    if to_gpu:
        inside[1]["device"] = torch.device("cpu")
    if name == "lift_fresh":
        return args[0]
    out = operation(*inside[0], **inside[1])
    if name != "_local_scalar_dense" and (to_gpu or (any(given) and (target is None or target.type != "cpu"))):
        out = pytree.tree_map(lambda t: OnGpu(t) if isinstance(t, torch.Tensor) else t, out)
        return out if to_gpu else return_and_correct_aliasing(operation, args, kwargs, out)
    return out


class _Views:
    def __contains__(self, operation):
        return operation.is_view or "detach" in str(operation)


VIEWS = _Views()


def pretend():
    """Change PyTorch for the rest of this process."""
    torch._C._ensureCUDADeviceGuardSet()
    torch.cuda._lazy_init = lambda: None
    torch.backends.cudnn.enabled = False
    answers = {"is_available": True, "mem_get_info": (2**36, 2**36), "is_bf16_supported": True, "current_device": 0}
    answers |= {"get_device_capability": (9, 0), "get_arch_list": ["sm_90"], "get_device_name": "pretended"}
    answers |= dict.fromkeys(("manual_seed", "empty_cache", "set_device"))
    for name, answer in answers.items():
        setattr(torch.cuda, name, lambda *args, answer=answer, **options: answer)
    tensor = torch.tensor

    def on_device(values, *, device=None, **options):
        if device is None or torch.device(device).type == "cpu":
            return tensor(values, **options)
        waits[asking()] += 1
        return OnGpu(tensor(values, **options))

    torch.tensor = on_device

    def backward(loss):
        for p in (p for p in PARAMETERS if p.requires_grad):
            p.grad = OnGpu(torch.full_like(p.inner, 1e-3))

    torch.Tensor.backward = backward


def moved(network):
    """Move a network to the pretended GPU; parameters cannot be swapped by `Module.to`."""
    for module in network.modules():
        for name, p in module._parameters.items():
            if p is not None:
                module._parameters[name] = torch.nn.Parameter(OnGpu(p.detach().clone()))
        for name, buffer in module._buffers.items():
            if buffer is not None and buffer.is_floating_point():
                module._buffers[name] = OnGpu(buffer.clone())
    PARAMETERS[:] = network.parameters()
    return network


PARAMETERS = []


def epoch(data, folder, architecture, **changes):
    """Train two epochs; return the waits and launches of the second by function."""
    from clipfold.clips.reader import Clips
    from clipfold.models.device import place
    from clipfold.training.batches import BatchSource
    from clipfold.training.checkpoint import Checkpoint
    from clipfold.training.distributed import Processes
    from clipfold.training.plan import TrainingPlan
    from clipfold.training.signals import StopRequest
    from clipfold.training.trainer import Trainer

    settings = fits.settings_of(architecture, **changes)
    clips = Clips(data["data"], settings["frames"], fits.SIZE, settings["size"])
    network = __import__(f"clipfold.models.architectures.{architecture}", fromlist=["build"]).build(settings, 2)
    place(network, settings, torch.device("cpu"))
    with Pretending():
        train = BatchSource(clips, [f"train{i}" for i in range(9)], np.arange(9) % 2, GPU, 0, augmented=True)

        class Quiet:
            def timed(self, batches, steps, done):
                return batches

        plan = TrainingPlan(
            network=moved(network), settings=settings, train=train, val=train, classes=2, seed=1, micro=2,
            recorder=Quiet(), checkpoint=Checkpoint(folder, ""), stop=StopRequest(), processes=Processes(),
        )  # fmt: skip
        trainer = Trainer(plan)
        for _ in range(2):
            waits.clear()
            launches.clear()
            trainer._epoch()
            trainer.progress.done = 0
    return {"waits": dict(waits), "launches": dict(launches), "buffers": sum(1 for _ in network.buffers())}


EVERYTHING = {"flip": 0.5, "crop": 0.7, "jitter": 0.1, "mixup": 0.2}
CASES = {
    "default": ("naive_cnn", {}),
    "default of a ViT": ("vit_transformer", {"encoder": "vit_micro"}),
    "augmented": ("naive_cnn", EVERYTHING),
    "with boxes": ("variable_ar_cnn", EVERYTHING),
    "averaged": ("naive_cnn", {"ema": 0.9}),
    "several micro-batches": ("naive_cnn", {"batch_size": 4} | EVERYTHING),
    "half": ("naive_cnn", {"precision": "bf16", "optimizer": "sgd", "loss": "focal"}),
}

if __name__ == "__main__":
    fits.TINY["vit_transformer"] = fits.SMALL | {"depth": 1}
    data = fits.write_data(Path(sys.argv[1]))
    pretend()
    print(json.dumps({name: epoch(data, sys.argv[1], a, **{"batch_size": 2, **c}) for name, (a, c) in CASES.items()}))
