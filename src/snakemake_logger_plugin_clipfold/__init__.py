"""Print a Snakemake run in short: progress bars on a terminal, a line per job elsewhere, causes of failures at the end.

Snakemake finds this package by its name; `logger: clipfold` in a profile turns it on. Nothing else here knows clipfold.
"""

from snakemake_logger_plugin_clipfold.handler import LogHandler, LogHandlerSettings

__all__ = ["LogHandler", "LogHandlerSettings"]
