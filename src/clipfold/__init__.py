"""clipfold trains and compares video classifiers honestly.

    import clipfold
    bundle = clipfold.load("fights.clipfold")
    bundle.predict("clip.mp4")
    bundle.timeline("long.mp4")
    clipfold.results("my_results").metrics

Heavy parts are imported when they are used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clipfold.delivery.bundle import Bundle
    from clipfold.delivery.profiles import Profile
    from clipfold.delivery.results import Results
    from clipfold.storage.files import PathLike

__all__ = ["load", "results"]


def load(bundle: "PathLike", profile: "str | Profile" = "balanced") -> "Bundle":
    """Open a bundle: a `.clipfold` file, its folder, or the folder of a run's bundle, `results/bundles/NAME`.

    Nothing in it is executed, and nothing outside of it is read. From now on, this process keeps freed memory for
    reuse, since networks take and return large blocks: see `clipfold.storage.job.keep_freed_memory`.

    Args:
        bundle: Its path.
        profile: How to predict: `quality`, `balanced`, `fast`, or see `clipfold.delivery.profiles`.

    Raises:
        ValueError: It is no bundle, is damaged, or holds what no bundle holds; or there is no such profile.
    """
    from clipfold.delivery.bundle import Bundle
    from clipfold.delivery.profiles import profile_of
    from clipfold.storage.job import keep_freed_memory

    keep_freed_memory()
    return Bundle.open(bundle, profile_of(profile) if isinstance(profile, str) else profile)


def results(folder: "PathLike") -> "Results":
    """Open the results of a run as data frames.

    Args:
        folder: The working directory of the run, or its folder `results`.

    Raises:
        ValueError: The run has no evaluation.
    """
    from clipfold.delivery.results import Results

    return Results.open(folder)
