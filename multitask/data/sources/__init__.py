"""Sources of samples, one file per layout."""

from typing import Annotated

from multitask.data.sources.base import SourceSettings
from multitask.data.sources.competition import CompetitionSettings
from multitask.data.sources.synthetic import SyntheticSettings
from multitask.settings import variants

AnySource = Annotated[CompetitionSettings | SyntheticSettings, *variants("competition")]
"""The table of sources: a new one is a class in a file of its own, and a name here."""

__all__ = ["AnySource", "CompetitionSettings", "SourceSettings", "SyntheticSettings"]
