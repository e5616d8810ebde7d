# Remove truncated outputs before anything is planned, so that they are made again. A dry run removes nothing.
from snakemake.logging import logger

from clipfold.storage.integrity import incomplete_lists, truncated_outputs
from clipfold.storage.layout import RESULTS

if workflow.is_main_process and not {"-n", "--dry-run", "--dryrun"} & {*sys.argv}:
    for folder in RESULTS:
        for path in truncated_outputs(Path("results", folder.name)) if folder.checked else ():
            logger.warning(f"{path} is truncated, as after a full or failing disk: removed, and made again if needed")
            path.unlink()
    # Snakemake tracks the list of a model's files, not the files: without the list it makes those that are needed.
    for path in incomplete_lists(Path("results/collections")):
        logger.warning(f"{path} lists files that are missing: removed, and made again with what is needed of them")
        path.unlink()
