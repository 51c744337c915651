"""Groups that may be one group, or none, by their names: nobody would see that they are parted, or held together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from multitask.data.samples import Samples
from multitask.utils.spelling import may_mean_unknown, without_fraction
from multitask.utils.strings import Strings

_MANY = 1_000_000
"""Groups beyond which nobody looks: their names as objects would take more memory than the set."""


def group_name_notes(samples: Samples) -> list[str]:
    """Sentences on groups that are called alike, as ``Anna`` and ``anna``, and on those that are called unknown."""
    groups = samples.groups
    if len(groups.names) > _MANY or _each_on_its_own(groups, samples.images):
        return []
    names = list(dict.fromkeys(groups.names))
    return [*_alike(names), *_unknown(names, groups)]


def _each_on_its_own(groups: Strings, images: Strings) -> bool:
    return groups is images or (len(groups.names) == len(groups) and groups.arrow().equals(images.arrow()))


def _alike(names: Sequence[str]) -> Iterator[str]:
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for name in names:
        source, slash, own = name.partition("/")  # which stands before the groups of several sources
        found[source if slash else "", _key(own if slash else name)].append(name)
    alike = [same for same in found.values() if len(same) > 1]
    if alike:
        yield (
            f"groups: {len(alike):,} {'name stands' if len(alike) == 1 else 'names stand'} for several groups that "
            "differ only in upper and lower case, spaces, leading zeros or a fraction of 0, as "
            f"{alike[0][0]!r} and {alike[0][1]!r}; where they are one, spell them alike, or it may train and validate "
            "at once"
        )


def _key(name: str) -> str:
    plain = " ".join(without_fraction(name).casefold().split())
    return plain.lstrip("0") if plain.isdigit() else plain


def _unknown(names: Sequence[str], groups: Strings) -> Iterator[str]:
    for name in names:
        if may_mean_unknown(name) or may_mean_unknown(name.partition("/")[2]):
            num = int((groups == name).sum())
            if num == 1:
                continue
            yield (
                f"groups: {num:,} images are of the group {name!r}; if that stands for unknown, give each of them a "
                "group of its own"
            )
