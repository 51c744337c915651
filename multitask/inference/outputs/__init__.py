"""Formats of outputs, and the table of them."""

from multitask.inference.outputs.base import WRITERS, Writer, open_writer, writer_of
from multitask.inference.outputs.csv_table import CsvWriter
from multitask.inference.outputs.json_text import JsonLinesWriter, JsonWriter
from multitask.inference.outputs.parquet import ParquetWriter
from multitask.inference.outputs.rows import RowLayout, Rows

WRITERS[".csv"] = CsvWriter
WRITERS[".json"] = JsonWriter
WRITERS[".jsonl"] = JsonLinesWriter
WRITERS[".parquet"] = ParquetWriter

__all__ = ["WRITERS", "RowLayout", "Rows", "Writer", "open_writer", "writer_of"]
