"""Pydantic's words for Python's types, as those of who writes YAML and JSON."""

from __future__ import annotations

import re

_WORDS = {
    r"a valid (tuple|list)": "a list",
    r"a valid dictionary( or .*)?$": "a section of keys",
    r"a valid string": "text",
    r"a valid boolean": "true or false",
    r"^tuple should": "list should",
    r"^dictionary should": "section should",
    r"^string should": "text should",
    r" after validation, not \d+$": "",
}


def in_file_words(message: str) -> str:
    """A message of pydantic's, as it stands within a line.

    >>> in_file_words("Input should be a valid dictionary")
    'input should be a section of keys'
    """
    message = message[0].lower() + message[1:]
    for pattern, words in _WORDS.items():
        message = re.sub(pattern, words, message)
    return message
