import subprocess
import sys
import urllib.request
import zipfile
from hashlib import sha256

import pytest
import safetensors.torch
import torch
from torch import nn

from clipfold.models.weights import find_weights, load_weights

URL = "https://localhost:1/zoo/NET.pth"  # nobody listens there


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch/hub/checkpoints"


def network(classes=3):
    net = nn.Sequential()
    net.add_module("body", nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5)))
    net.add_module("head", nn.Linear(5, classes))
    return net


def saved(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def same(one, other, prefix=""):
    pairs = zip(one.state_dict().items(), other.state_dict().values(), strict=True)
    return [torch.equal(a, b) for (key, a), b in pairs if key.startswith(prefix)]


# Finding


def test_no_weights_are_random_weights():
    assert find_weights("", URL, True) is None


def test_a_path_is_that_file(tmp_path):
    path = saved(tmp_path / "mine.pth", {})
    assert find_weights(str(path), None, False) == path


def test_published_weights_come_from_the_cache(cache):
    path = saved(cache / "NET.pth", {})
    assert find_weights("pretrained", URL, False) == path
    assert find_weights("pretrained", URL, True) == path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.pth", URL, True), "weights is 'nowhere.pth': name an existing file"),
        (("pretrained", None, True), "none are published for this variant"),
        (("pretrained", URL, False), f"hub/checkpoints/NET.pth does not exist: put {URL} there, or set download: true"),
        (("pretrained", URL, True), f"{URL} could not be downloaded .*: save it as .*hub/checkpoints/NET.pth"),
    ],
)
def test_a_missing_file_is_an_error_that_says_where_to_put_which(arguments, message):
    with pytest.raises(ValueError, match=message):
        find_weights(*arguments)


def test_downloads_are_checked_against_the_digest_in_their_name(tmp_path, cache, monkeypatch):
    source = saved(tmp_path / "source", {"a": torch.zeros(3)})
    monkeypatch.setattr(torch.hub, "urlopen", lambda request: urllib.request.urlopen(source.as_uri()))
    good = f"NET-{sha256(source.read_bytes()).hexdigest()[:8]}.pth"
    path = find_weights("pretrained", f"https://zoo.example/{good}", True)
    assert path == cache / good
    assert path.read_bytes() == source.read_bytes()
    with pytest.raises(ValueError, match="invalid hash value"):
        find_weights("pretrained", "https://zoo.example/NET-00000000.pth", True)
    assert [file.name for file in cache.iterdir()] == [good]


# Loading


@pytest.mark.parametrize("nested", [None, "model_state", "state_dict", "model"])
def test_everything_is_loaded_where_all_fits(tmp_path, nested):
    one, other = network(), network()
    state = one.state_dict()
    load_weights(other, saved(tmp_path / "x.pyth", {nested: state, "epoch": 3} if nested else state))
    assert all(same(one, other))


def test_safetensors_are_read(tmp_path):
    one, other = network(), network()
    safetensors.torch.save_file(one.state_dict(), tmp_path / "x.safetensors")
    load_weights(other, tmp_path / "x.safetensors")
    assert all(same(one, other))


@pytest.mark.parametrize("classes", [1, 5, None])
def test_only_the_last_layer_stays_random_where_its_shape_differs(tmp_path, classes):
    other = network(classes or 3)
    state = {key: v for key, v in other.state_dict().items() if classes or not key.startswith("head")}
    net = network()
    before = {key: value.clone() for key, value in net.head.state_dict().items()}
    load_weights(net, saved(tmp_path / "x.pth", state))
    assert all(same(net, other, "body"))
    assert all(torch.equal(value, before[key]) for key, value in net.head.state_dict().items())


def test_keys_are_renamed(tmp_path):
    one, other = network(), network()
    theirs = {key.replace("body", "trunk"): value for key, value in one.state_dict().items()}
    load_weights(other, saved(tmp_path / "x.pth", theirs), rename=lambda key: key.replace("trunk", "body"))
    assert all(same(one, other))


def test_counts_of_batches_may_be_missing(tmp_path):
    one, other = network(), network()
    state = one.state_dict()
    del state["body.1.num_batches_tracked"]
    load_weights(other, saved(tmp_path / "x.pth", state))
    assert all(same(one, other))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"body.0.weight": None}, "it lacks body.0.weight: use a file of this architecture"),
        ({"body.1.running_var": None}, "it lacks body.1.running_var"),
        ({"body.7.weight": torch.zeros(1)}, "it has unknown body.7.weight"),
        ({f"x{i}": torch.zeros(1) for i in range(9)}, "it has unknown x0, x1, x2 and 6 more"),
        ({"body.0.weight": torch.zeros(5, 1)}, "it has another shape for body.0.weight"),
        ({"body.0.weight": 1.0}, "holds more than tensors"),
        ({"body.0.weight": torch.zeros(5, 4, dtype=torch.int64)}, "it has another type for body.0.weight"),
        ({"body.0.weight": torch.zeros(5, 4, dtype=torch.complex64)}, "it has another type for body.0.weight"),
        ({"body.0.weight": torch.zeros(5, 4).to_sparse()}, "it has another type for body.0.weight"),
        ({"body.1.num_batches_tracked": torch.tensor(0.5)}, "it has another type for body.1.num_batches_tracked"),
        ({"body.0.weight": torch.full((5, 4), torch.nan)}, "it is not finite in body.0.weight"),
        ({"body.0.bias": torch.full((5,), 1e300, dtype=torch.float64)}, "it is not finite in body.0.bias"),
    ],
)
def test_what_does_not_fit_is_an_error_and_changes_nothing(tmp_path, change, message):
    net, before = network(), network()
    before.load_state_dict(net.state_dict())
    state = {key: value for key, value in (network().state_dict() | change).items() if value is not None}
    with pytest.raises(ValueError, match=message):
        load_weights(net, saved(tmp_path / "x.pth", state))
    assert all(same(net, before))


def test_half_precision_is_read(tmp_path):
    one, other = network(), network()
    load_weights(
        other, saved(tmp_path / "x.pth", {key: v.half() for key, v in one.state_dict().items() if "num_" not in key})
    )
    assert other.body[0].weight.dtype == torch.float32


def test_an_archive_that_unpacks_to_more_than_its_size_is_refused(tmp_path):
    whole = saved(tmp_path / "x.pth", {"a": torch.zeros(10_000_000)})
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(tmp_path / "y.pth", "w", zipfile.ZIP_DEFLATED) as packed:
        for name in source.namelist():
            packed.writestr(name, source.read(name))
    with pytest.raises(ValueError, match=r"unpacks to 4\d+: save it without compression"):
        load_weights(network(), tmp_path / "y.pth")


class Anything:
    def __reduce__(self):
        return print, ("code in the file ran",)


def test_no_code_in_a_file_runs(tmp_path, capsys):
    with pytest.raises(ValueError, match="holds more than tensors"):
        load_weights(network(), saved(tmp_path / "x.pth", {"model": Anything()}))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_a_damaged_file_is_an_error(tmp_path, name):
    (tmp_path / name).write_bytes(bytes(100))
    with pytest.raises(ValueError, match="it is corrupt, or holds"):
        load_weights(network(), tmp_path / name)


# Without memory

BUILT = """
import importlib, sys
from clipfold.models.catalog import ARCHITECTURES
from clipfold.models.weights import without_memory
for name in ("naive_cnn", "slowfast", "x3d", "variable_ar_cnn"):
    known = ARCHITECTURES[name]
    with without_memory():
        empty = importlib.import_module(known.module).build(dict(known.settings), 2).state_dict()
    full = importlib.import_module(known.module).build(dict(known.settings), 2).state_dict()
    assert all(value.is_meta for value in empty.values()), name
    shapes = [{key: (value.shape, value.dtype) for key, value in state.items()} for state in (empty, full)]
    assert shapes[0] == shapes[1], name
sys.exit("torch._dynamo" in sys.modules)
"""


def test_a_network_without_memory_has_the_shapes_of_one_with_and_needs_no_compiler():
    subprocess.run([sys.executable, "-c", BUILT], check=True)
