"""The stages of a recipe, one a file; the table of them is in the room's ``__init__``."""
