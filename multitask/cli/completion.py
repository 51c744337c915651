"""Completion in shells: of settings and run folders, and the scripts that ask for it."""

from __future__ import annotations

import importlib
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete

if TYPE_CHECKING:
    from multitask.settings import Settings

_BASH = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain)
                [[ $value == *[.=/] ]] && compopt -o nospace
                COMPREPLY+=("$(printf %%q "$value")") ;;
        esac
    done < <(
        COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" %(complete_var)s=bash_complete "$1"
    )
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ZSH = """\
#compdef %(prog_name)s
%(complete_func)s() {
    local -a response open closed
    local type key text
    (( $+commands[%(prog_name)s] )) || return 1
    response=("${(@f)$(
        env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) %(complete_var)s=zsh_complete %(prog_name)s
    )}")
    for type key text in ${response}; do
        case $type in
            dir) _path_files -/ ;;
            file) _path_files -f ;;
            plain)
                [[ $text == _ ]] && text= || text=:$text
                key=${key//:/\\\\:}
                if [[ $key == *[.=/] ]]; then open+=("$key$text"); else closed+=("$key$text"); fi ;;
        esac
    done
    (( $#open )) && _describe -V unsorted open -U -S ''
    (( $#closed )) && _describe -V unsorted closed -U
}
compdef %(complete_func)s %(prog_name)s
"""


class _Bash(BashComplete):
    """Takes the line as it was typed, since bash breaks a word at its ``=`` and ``:``, and completes what is after."""

    source_template = _BASH

    def source(self) -> str:
        return ShellComplete.source(self)

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["COMP_LINE"]
        words = _split(line)
        begun = "" if line[-1:].isspace() else words.pop()
        return words[1:], begun

    def complete(self) -> str:
        args, begun = self.get_completion_args()
        breaks = [sign for sign in "=:" if sign in os.environ.get("COMP_WORDBREAKS", "=:")]
        known = max((begun.rfind(sign) + 1 for sign in breaks), default=0)
        items = self.get_completions(args, begun)
        return "\n".join(f"{item.type},{item.value[known if item.type == 'plain' else 0 :]}" for item in items)


class _Zsh(ZshComplete):
    """Sets no space after what is not whole yet."""

    source_template = _ZSH


_SHELLS: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": _Zsh, "fish": FishComplete}
_RC = {"bash": ".bashrc", "zsh": ".zshrc"}
"""The file, in the home or in zsh's own folder, that each shell reads first; fish looks into a folder by itself."""


def install(ctx: click.Context, shell: str) -> None:
    """What ``--install-completion`` does: writes a shell's script, and a line that reads it, and ends."""
    from multitask.errors import UserError
    from multitask.reporting.console import say_wrapped

    shell = shell or Path(os.environ.get("SHELL", "")).name
    if shell not in _SHELLS:
        raise UserError(f"--install-completion: must be of {', '.join(_SHELLS)}, found {shell!r}")
    text = _SHELLS[shell](ctx.command, {}, "multitask", "_MULTITASK_COMPLETE").source()
    home = Path.home()
    if shell == "fish":
        script = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "fish/completions/multitask.fish"
    else:
        script = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share") / f"multitask/completion.{shell}"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(text, encoding="utf-8")
    if shell in _RC:
        _read_at_start(Path(os.environ.get("ZDOTDIR") or home if shell == "zsh" else home) / _RC[shell], script, shell)
    say_wrapped(f"completion for {shell} is in {script}; it works in every {shell} that is opened from now on")
    ctx.exit()


def _read_at_start(rc: Path, script: Path, shell: str) -> None:
    """Adds the line that reads the script to what the shell reads first, unless it stands there."""
    line = f"[ -r {shlex.quote(str(script))} ] && source {shlex.quote(str(script))}"
    if shell == "zsh":
        line = f"(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit }}; {line}"
    known = rc.read_text(encoding="utf-8", errors="surrogateescape") if rc.exists() else ""
    if line not in known.splitlines():
        with rc.open("a", encoding="utf-8") as file:
            file.write(("\n" if known and not known.endswith("\n") else "") + line + "\n")


# --- what is completed ------------------------------------------------------------------------------------------------


def settings(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Of ``--set KEY=VALUE``, with the names and variants of the config, or of a study's, that stands before it."""
    from multitask.config import Config
    from multitask.settings.completion import complete_setting

    # Of arguments before an option that has no value yet, click knows nothing.
    words = _split(os.environ.get("COMP_LINE") or os.environ.get("COMP_WORDS", ""))
    data = _config_data(next((Path(word) for word in words[1:] if os.path.isfile(word)), None))
    model: type[Settings] = Config
    return [CompletionItem(value, help=text) for value, text in complete_setting(model, data, begun)]


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # within quotes
        return line.split()


def _config_data(file: Path | None) -> dict[str, Any]:
    """What a config says, or that which a study is based on, with a section for every head; {}: it cannot be read."""
    from multitask.errors import UserError
    from multitask.settings.yaml_text import read_yaml

    try:
        data = read_yaml(file) if file is not None else {}
        if file is not None and isinstance(data.get("base"), str):
            data = read_yaml(file.parent / os.path.expanduser(data["base"]))
    except UserError:
        return {}
    labels, heads = data.get("labels"), data.get("heads")
    tasks = labels.get("tasks") if isinstance(labels, Mapping) else None
    if isinstance(tasks, Mapping):
        data["heads"] = {name: {} for name in tasks} | (dict(heads) if isinstance(heads, Mapping) else {})
    return data


def names(table: str, more: Sequence[str], begun: str) -> list[CompletionItem]:
    """Of a row of a table; where several are named, of the last."""
    from multitask.settings.keys import docstring

    module, _, attribute = table.rpartition(".")
    rows = getattr(importlib.import_module(module), attribute)
    known = dict.fromkeys(more, "") | {name: docstring(row).partition("\n")[0] for name, row in rows.items()}
    before, comma, start = begun.rpartition(",")
    return [
        CompletionItem(f"{before}{comma}{name}", help=text) for name, text in known.items() if name.startswith(start)
    ]


def runs(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Of a run: folders that are one, or hold some; all folders where there is none."""
    return _folders(begun, (_RUN,))


def reports(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Likewise, of whatever has a report: studies, bake-offs and recipes too."""
    return _folders(begun, (_RUN, "study.yaml", "bakeoff.yaml", "recipe.yaml"))


_RUN = "config.yaml"


def _folders(begun: str, files: Sequence[str]) -> list[CompletionItem]:
    found = [CompletionItem(path) for path in _folders_with(begun, files)]
    return found or [CompletionItem(begun, type="file")]  # as an exported file


def _folders_with(begun: str, files: Sequence[str]) -> Iterator[str]:
    """Folders that hold one of some files, or a folder that does."""
    parent, slash, start = begun.rpartition("/")
    try:
        folders = sorted(path for path in Path(f"{parent}{slash}" or ".").expanduser().iterdir() if path.is_dir())
    except OSError:
        return
    for folder in folders:
        if folder.name.startswith(start) and (start or not folder.name.startswith(".")):
            if _has(folder, files):
                yield f"{parent}{slash}{folder.name}"
            elif _holds_one(folder, files):
                yield f"{parent}{slash}{folder.name}/"


def _has(folder: Path, files: Sequence[str]) -> bool:
    return any((folder / file).is_file() for file in files)


def _holds_one(folder: Path, files: Sequence[str]) -> bool:
    try:
        return any(_has(inner, files) for inner in folder.iterdir())
    except OSError:
        return False


for _shell in _SHELLS.values():
    click.shell_completion.add_completion_class(_shell)
