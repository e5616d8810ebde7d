# Input functions and names of files. No rules.
import re

from clipfold.config import WHOLE_VIEW
from clipfold.features.registry import MODULES, VIEWS
from clipfold.manifest.contents import content_keys, read_contents
from clipfold.manifest.paths import is_address
from clipfold.manifest.rates import rates_of
from clipfold.manifest.shards import group_shards
from clipfold.models.clip_networks import HUB_NETWORKS, modules_of
from clipfold.models.hub_folder import files_of
from clipfold.models.named_encoders import encoder_key
from clipfold.storage.fingerprint import fingerprint
from clipfold.storage.hashing import file_digest

# True if a storage plugin keeps the results: jobs then see only the files that they name as inputs.
IN_STORAGE = workflow.storage_settings.default_storage_provider is not None

# What a job of an encoder embeds. In storage, a job sees and leaves only what it names: one shard.
GROUPS = group_shards(SHARDS, 1 if IN_STORAGE else PLAN.config.embed.shards)

# Blocks of videos whose near duplicates are searched by jobs of their own; a few thousand videos are one block, and the
# search one job. In storage, a job sees only what it names.
BLOCKS = 1 if IN_STORAGE else -(-len(PLAN.videos) // 4096)

# File name of a fitted model, by what it learns from.
MODEL_FILE = {"features": "model.skops", "clips": "model.safetensors", "predictions": "model.json"}


def code_of(script, *modules):
    """Fingerprint a script, modules with all that they import, and other files."""
    return fingerprint(f"{workflow.basedir}/workflow/scripts/{script}.py", *modules)


def codes():
    """Return the fingerprints of all rules so far, by name."""
    return {rule.name: rule.params.code for rule in workflow.rules if hasattr(rule.params, "code")}


def by_attempt(amount):
    """Make a resource that grows with each attempt at a job."""
    return lambda wildcards, attempt: amount * attempt


def on_gpu(count, fits=1):
    """Request GPUs, to share with other fits or not, and the partition that the profile names (`gpu_partition`)."""
    defaults = workflow.resource_settings.default_resources or {}
    partition = getattr(defaults.get("gpu_partition"), "raw", None)
    shared = {"fits_per_gpu": fits} if count and fits > 1 else {}
    return {"gpu": count} | shared | ({"slurm_partition": partition} if count and partition else {})


def passing(path, needed=False):
    """Mark an output as temporary, unless the config or a collection needs it."""
    return path if needed or PLAN.config.keep_intermediate else temp(path)


def nameable(path):
    """Check that Snakemake takes a path literally: {name}, <name> and a leading ~ cannot be escaped."""
    return not re.search(r"[{}]|<[a-z][a-z0-9_]*>|^~", path)


def given(path):
    """Make a user's file an input: fetched from storage if it is an address, else read in place."""
    return storage(path) if is_address(path) else local(path) if IN_STORAGE else path


def places(videos):
    """Return where videos are, by id: of an address, where it is fetched to."""
    return {v.id: str(given(v.path)) if is_address(v.path) else v.path for v in videos}


def addresses(videos):
    """List the videos that are in storage, as inputs; others are read in place."""
    return [given(v.path) for v in videos if is_address(v.path) and nameable(v.path)]


# Shards with videos that were moved or touched since they were probed -> their contents; `hooks.smk` finds them.
RECOGNISED = {}


def contents_record(shard):
    """Name the record of a shard's contents. Not an output: Snakemake would delete it before it is read again."""
    return Path("results/contents", f"{shard}.json")


def shard_keys(wildcards):
    """Return the key of the content of each file of a shard: what Snakemake compares with the last run."""
    shard = wildcards.shard
    return content_keys(PLAN.shards[shard], RECOGNISED.get(shard) or read_contents(contents_record(shard)))


def segments_of(videos):
    """Return file, start and end of each row whose file has segments."""
    return {v.id: [v.file, v.start, v.end] for v in videos if v.file}


def shard_segments(wildcards):
    """Return the segments of a shard."""
    return segments_of(PLAN.shards[wildcards.shard])


def shard_rates(wildcards):
    """Return the frames per second of the folders of frames in a shard, where the manifest gives them."""
    return rates_of(PLAN.shards[wildcards.shard])


# Params that take `input` are not recorded by Snakemake: where the videos and the manifest are re-runs nothing.
def current_paths(wildcards, input):
    """Return where each video of a shard is now."""
    return places(PLAN.shards[wildcards.shard])


def current_manifest(wildcards, input):
    """Return where the manifest is now."""
    return str(PLAN.manifest)


def current_cache(wildcards, input):
    """Return the folder in which probed and decoded videos are kept, if there is one."""
    return PLAN.config.cache


def shard_addresses(wildcards):
    """List the videos of a shard that are in storage, to be fetched."""
    return addresses(PLAN.shards[wildcards.shard])


def weights_file(settings):
    """Name the file of pre-trained weights, if the settings have one: a change of it retrains the model."""
    weights = settings.get("weights")
    if settings.get("encoder") in HUB_NETWORKS:
        return {"weights": lambda wildcards: [given(str(file)) for file in files_of(weights)]}
    return {"weights": given(weights)} if weights not in (None, "", "pretrained") else {}


def of_each_shard(path):
    """List a file of every shard, or of every group of shards."""
    return expand(path, shard=SHARDS, group=GROUPS)


def in_group(path):
    """Return an input function: a file of each shard of a group."""
    return lambda wildcards: expand(path, shard=GROUPS[wildcards.group])


def embedded(key, stored):
    """Name what a job of an encoder leaves: a list of its arrays, or the array where it has to be named."""
    return f"results/embedded/{key}/{stored}/{{group}}.{'npy' if IN_STORAGE else 'list.json'}"


def of_each_fold(file):
    """List a file of every scored model and fold, ordered by model, then fold."""
    return expand(f"results/models/{{model}}/fold-{{fold}}/{file}", model=[m.name for m in PLAN.scored], fold=FOLDS)


def of_shortcuts(file):
    """List a file of a fold of every shortcut on features."""
    return [f"results/models/{model.name}/fold-{{fold}}/{file}" for model in PLAN.light_shortcuts]


def model_files():
    """List the fitted model of every model and fold."""
    return [f"results/models/{m.name}/fold-{fold}/{MODEL_FILE[m.input]}" for m in PLAN.models for fold in FOLDS]


def explanations():
    """List the explanation of every model that has one."""
    return expand("results/explanations/{model}.parquet", model=[m.name for m in PLAN.explained])


def metadata():
    """List the tables of facts: of each shard, or of a table's rows, which all are compared with each other."""
    return ["results/metadata/rows.parquet"] if PLAN.table else of_each_shard("results/metadata/{shard}.parquet")


def frames(file):
    """List a file of the decoded frames of every shard; a table has none."""
    return [] if PLAN.table else of_each_shard(f"results/frames/{{shard}}/{file}")


def embeddings():
    """List the embeddings of every shard by the first encoder, if there is one."""
    if not PLAN.encoders:
        return {}
    name = next(iter(PLAN.encoders))
    return {
        "embeddings": of_each_shard(embedded(name, "frames")),
        "index": frames("index.parquet"),
    }


def clips_at(size):
    """Name a shard's clips at a size."""
    return "results/frames/{shard}/clips.npy" if size == PLAN.size else f"results/resized/{size}/{{shard}}.npy"


# Where near duplicates are searched: whole frames, also where clips show only a region.
SEARCHED = WHOLE_VIEW if WHOLE_VIEW in PLAN.views else "clips"


# What a shard's augmented copies are made from, in the order that `Copies` takes.
REPLAYED = {
    "clips": "results/frames/{shard}/clips.npy",
    "index": "results/frames/{shard}/index.parquet",
    "drawn": "results/augmented/{shard}/index.parquet",
}


def embedded_at(size):
    """Return an input function: the clips that an encoder embeds, or what the augmented copies are made from."""

    def clips(wildcards):
        files = REPLAYED if wildcards.stored == "augmented" else {"clips": clips_at(size)}
        return {kind: expand(file, shard=GROUPS[wildcards.group]) for kind, file in files.items()}

    return clips


def collection(model, encoded=True):
    """Return the name of the collection that a model learns from, and its files by kind; similar models share one."""
    if model.input == "features":
        keys = {group: encoder_key(settings) for group, settings in sorted(model.embedded.items())}
        pooled = {g.replace(".", "_"): f"results/embedded/{key}/features/{{group}}.parquet" for g, key in keys.items()}
        return "__".join(["features", *pooled]), {"features": "results/features/{shard}.parquet", **pooled}
    if encoded and model.encoder:
        name = encoder_key(model.encoder)
        clips, augmented = (embedded(name, stored) for stored in ("frames", "augmented"))
        copies = {"augmented": augmented}
    else:
        size = model.settings["size"]
        name, clips = f"clips_{size}", clips_at(size)
        stored = PLAN.config.augment.keep == "stored"
        copies = {"augmented": f"results/augmented/{{shard}}/{size}.npy"} if stored else {"decoded": REPLAYED["clips"]}
    return name, {"clips": clips, "index": REPLAYED["index"], **copies, "augmented_index": REPLAYED["drawn"]}


def collections():
    """Return all collections, name -> files; a model on embeddings has one of clips too, for its explanation."""
    learning = [model for model in PLAN.models if model.input != "predictions"]
    return dict(collection(model, encoded) for model in learning for encoded in (True, False))


def data_of(model, encoded=True):
    """Return a model's data as inputs: a list of the files, or the files if they must be fetched from storage."""
    name, files = collection(model, encoded)
    if IN_STORAGE:
        return {kind: of_each_shard(file) for kind, file in files.items()}
    return {"collection": f"results/collections/{name}.json"}


def views_of(model):
    """Return the options of the views that a model reads."""
    names = [] if PLAN.table else VIEWS if model.input == "features" else ["clips"] if model.input == "clips" else []
    return {name: SETTINGS["decode"]["views"][name] for name in names}


def training_data(model):
    """Return the data that a model learns from: for an ensemble, its members' predictions of the same fold."""
    if model.input == "predictions":
        members = model.settings["members"]
        return {"predictions": [f"results/models/{m}/fold-{{fold}}/predictions.parquet" for m in members]}
    return data_of(model)


def final_data(model):
    """Return the data of a model's fit on all data: for an ensemble, its members' fits, which it mixes."""
    if model.input == "predictions":
        return {"members": [f"results/models/{m}/final/fit.json" for m in model.settings["members"]]}
    return data_of(model)


def bundled(name):
    """List the models whose fits a bundle may need: itself and its members, or all for the best."""
    if name == "best":
        return PLAN.configured
    (model,) = (model for model in PLAN.configured if model.name == name)
    members = model.settings["members"] if model.input == "predictions" else []
    return [model, *(other for other in PLAN.configured if other.name in members)]


def bundled_fits(wildcards):
    """Return the fits that a bundle may need, and those on all data if it is to hold these."""
    models = bundled(wildcards.bundle)
    fits = {"records": [], "fitted": []}
    for model in models:
        folders = expand(f"results/models/{model.name}/fold-{{fold}}", fold=FOLDS)
        fits["records"] += [f"{folder}/fit.json" for folder in folders]
        fits["fitted"] += [f"{folder}/{MODEL_FILE[model.input]}" for folder in folders]
    if PLAN.config.bundle.final:
        fits["final_records"] = [f"results/models/{model.name}/final/fit.json" for model in models]
        fits["final_fitted"] = [f"results/models/{model.name}/final/{MODEL_FILE[model.input]}" for model in models]
    return fits


def if_training(files):
    """List files that only a run with a manifest has."""
    return files if PLAN.trains else []


def bundles():
    """List the bundles that the config asks for."""
    return if_training(
        expand(
            "results/bundles/{bundle}/{file}", bundle=PLAN.config.bundle.models, file=["bundle.clipfold", "README.md"]
        )
    )


def predicting_bundle():
    """Name the bundle that predicts new videos."""
    name = PLAN.config.predict.bundle
    ours = name == "best" or name in [model.name for model in PLAN.configured]
    return f"results/bundles/{name}/bundle.clipfold" if ours else given(name)


def new_manifest(wildcards, input):
    """Return where the table of new rows is."""
    return str(PLAN.new_manifest)


def new_paths(wildcards, input):
    """Return where each new video of a shard is."""
    return places(PLAN.new_shards[wildcards.new_shard])


def new_addresses(wildcards):
    """List the new videos of a shard that are in storage, to be fetched."""
    return addresses(PLAN.new_shards[wildcards.new_shard])


def new_keys(wildcards):
    """Return what shows that a new video is another than the one that was predicted."""
    return content_keys(PLAN.new_shards[wildcards.new_shard], {})


def external():
    """Name what the report says of new videos, if labels of some are given."""
    labelled = PLAN.trains and any(v.label for v in PLAN.new_videos)
    return {"external": "results/predictions/external.json"} if labelled else {}


def predictions():
    """List the predictions of new videos, if there are some."""
    names = ["predictions.parquet", "predictions.csv", "index.html"]
    return expand("results/predictions/{file}", file=names) if PLAN.new_videos else []
