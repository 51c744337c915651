"""UTKFace: age, gender and ethnicity in the names of files."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import islice

from multitask.init.layouts.base import Layout, Observed, Options
from multitask.init.layouts.folder import of_pattern
from multitask.init.layouts.images import paths_and_notes

GENDERS = ("male", "female")
RACES = ("white", "black", "asian", "indian", "other")
_NAME = re.compile(r"\d{1,3}_[01]_[0-4]_\d{8,}\D.*")
_LOOKED_AT = 100


class UTKFace(Layout):
    """``[age]_[gender]_[race]_[date&time].jpg``, in one folder or in parts."""

    title = "UTKFace"
    takes = frozenset({"pattern"})

    def fits(self) -> bool:
        """Whether most of the first files are called so."""
        if not self.path.is_dir():
            return False
        names = [file.name for file in islice(self.path.rglob("*.jpg"), _LOOKED_AT)]
        return bool(names) and sum(_NAME.fullmatch(name) is not None for name in names) > len(names) / 2

    def observe(self, options: Options) -> Observed:
        """Files with all three; some of the set's lack one, and are skipped."""
        paths, notes = paths_and_notes(self.path)
        if options.pattern is not None:
            return of_pattern(self.path, paths, options.pattern)
        depth = Counter(image.count("/") for image in paths).most_common(1)[0][0]
        pattern = "{_}/" * depth + "{age}_{gender}_{race}_{_}.jpg"
        kept = [image for image in paths if _NAME.fullmatch(image.rpartition("/")[2]) and image.count("/") == depth]
        found = of_pattern(self.path, kept, pattern)
        columns = dict(found.columns)
        for name, words in (("gender", GENDERS), ("race", RACES)):
            columns[name] = [words[int(index)] for index in found.columns[name]]
        check, source = [], dict(found.source or {})
        if len(kept) < len(paths):
            known = set(kept)
            missed = next(image for image in paths if image not in known)
            num = len(paths) - len(kept)
            many = ("1 file lacks", "is") if num == 1 else (f"{num:,} files lack", "are")
            check.append(f"{many[0]} an age, gender or race and {many[1]} skipped, as {missed}")
            source["unmatched"] = "skip"
        return replace(
            found,
            columns=columns,
            source=source,
            classes={"gender": GENDERS, "race": RACES},
            edges={"age": ()},  # numbers, however few there are in a part of the set
            indices=("gender", "race"),
            assumed=("names of files are age, gender (0 male, 1 female), race (0 to 4) and time, as UTKFace's are",),
            check=(
                *check,
                *notes,
                "UTKFace does not say who is who: images of one face may stand on both sides of the split",
            ),
        )
