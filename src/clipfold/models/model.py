"""Hold what is known of a model before its first job. Standard library only: every start reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clipfold.models.architecture import Architecture, Input, Resources
from clipfold.models.catalog import ARCHITECTURES
from clipfold.models.named_encoders import gmac_of
from clipfold.models.shortcuts import LIGHT

Settings = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """An entry of `models:` in the config, complete.

    Args:
        name: Unique; names the rule and the result folder.
        architecture: Name of its architecture.
        settings: All settings, defaults filled in; plain types only.
        needs: Resources of one of its jobs.
        fixed: Resources that the entry names; the others may be estimated from earlier fits.
        candidate_of: Name of the entry that may choose it, if it is fitted for that one only, and never scored itself.
        embedded: Feature group -> settings of the frozen encoder whose embeddings it holds, `embedding.NAME` of its
            `features`.
    """

    name: str
    architecture: str
    settings: Settings
    needs: Resources
    fixed: frozenset[str] = frozenset()
    candidate_of: str = ""
    embedded: Mapping[str, Settings] = field(default_factory=dict)

    @property
    def known(self) -> Architecture:
        """Its architecture."""
        return ARCHITECTURES.get(self.architecture, LIGHT)

    @property
    def module(self) -> str:
        return self.known.module

    @property
    def input(self) -> Input:
        return self.known.input

    @property
    def gmac(self) -> float:
        """Cost of a forward pass of one clip, see `Architecture`: for the forecast."""
        known = self.known
        if known.input != "clips":
            return 0.0
        if "encoder" in self.settings:
            return gmac_of(self.settings, self.settings["frames"])
        by_choice = known.gmac
        if isinstance(by_choice, Mapping):
            by_choice = by_choice[self.settings["variant"]]
        default, own = known.settings, self.settings
        width = (own["width"] / default["width"]) ** 2 if "width" in own else 1.0
        return float(by_choice * width * own["frames"] / default["frames"] * (own["size"] / default["size"]) ** 2)

    @property
    def encoder(self) -> Settings | None:
        """The settings that its embeddings depend on, if its frame encoder never changes; they are computed once."""
        learns = any(self.settings.get(name) for name in ("unfreeze_at", "unfreeze_blocks", "lora_rank"))
        fixed = self.settings.get("freeze") and not learns
        changed = any(self.settings.get(name) for name in ("flip", "jitter", "mixup")) or self.settings.get("crop") != 1
        if "encoder" not in self.settings or not fixed or changed or self.settings["views_at_test"] > 1:
            return None
        needed = ("encoder", "size", "weights", "download", "precision", "clips")
        found = {name: self.settings[name] for name in needed if name in self.settings}
        return found | ({"precision": "fp32"} if found.get("precision") == "auto" else {})  # see `embed.precision_of`

    @property
    def encoders(self) -> list[Settings]:
        """The settings of all frozen encoders whose embeddings it learns from."""
        return [*([self.encoder] if self.encoder else []), *self.embedded.values()]
