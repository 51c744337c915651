"""The layouts that are known, and the table of them: those known by name first."""

from multitask.init.layouts.base import LAYOUTS, Layout, Observed, Options
from multitask.init.layouts.celeba import CelebA
from multitask.init.layouts.competition import Competition
from multitask.init.layouts.cvat import CVAT
from multitask.init.layouts.fairface import FairFace
from multitask.init.layouts.fashion import Fashion
from multitask.init.layouts.folder import AnyFolder
from multitask.init.layouts.hugging_face import HuggingFace
from multitask.init.layouts.label_studio import LabelStudio
from multitask.init.layouts.parquet_images import ParquetImages
from multitask.init.layouts.table import AnyTable
from multitask.init.layouts.utkface import UTKFace
from multitask.init.layouts.webdataset import WebDataset

LAYOUTS["competition"] = Competition
LAYOUTS["celeba"] = CelebA
LAYOUTS["fairface"] = FairFace
LAYOUTS["fashion"] = Fashion
LAYOUTS["cvat"] = CVAT
LAYOUTS["label_studio"] = LabelStudio
LAYOUTS["hugging_face"] = HuggingFace
LAYOUTS["parquet_images"] = ParquetImages
LAYOUTS["webdataset"] = WebDataset
LAYOUTS["utkface"] = UTKFace
LAYOUTS["table"] = AnyTable
LAYOUTS["folder"] = AnyFolder

__all__ = ["LAYOUTS", "Layout", "Observed", "Options"]
