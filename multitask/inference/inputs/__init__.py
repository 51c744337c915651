"""The inputs that a path on the command line can stand for, and the table of them."""

from multitask.inference.inputs.base import INPUTS, InputKind, InputOptions
from multitask.inference.inputs.folder import ImageFolder
from multitask.inference.inputs.image import OneImage
from multitask.inference.inputs.named import NamedInputs
from multitask.inference.inputs.path_list import PathList
from multitask.inference.inputs.pattern import PathPattern
from multitask.inference.inputs.table import ImageTable

INPUTS["folder"] = ImageFolder
INPUTS["pattern"] = PathPattern
INPUTS["list"] = PathList
INPUTS["table"] = ImageTable
INPUTS["image"] = OneImage

__all__ = ["INPUTS", "InputKind", "InputOptions", "NamedInputs"]
