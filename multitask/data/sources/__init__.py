"""Sources of samples, one file per layout."""

from multitask.data.sources.base import SOURCES, AnySource, SourceSettings
from multitask.data.sources.competition import CompetitionSettings
from multitask.data.sources.folders import FoldersSettings
from multitask.data.sources.several import SeveralSettings
from multitask.data.sources.synthetic import SyntheticSettings
from multitask.data.sources.table import TableSettings
from multitask.data.sources.webdataset import WebDatasetSettings

SOURCES.register(
    CompetitionSettings, SyntheticSettings, TableSettings, FoldersSettings, WebDatasetSettings, SeveralSettings
)

__all__ = [
    "SOURCES",
    "AnySource",
    "CompetitionSettings",
    "FoldersSettings",
    "SeveralSettings",
    "SourceSettings",
    "SyntheticSettings",
    "TableSettings",
    "WebDatasetSettings",
]
