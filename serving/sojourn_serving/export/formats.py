"""The forms in which a model can be exported."""

from __future__ import annotations

from difflib import get_close_matches
from enum import StrEnum

from sojourn.errors import InvalidInput


class Format(StrEnum):
    """Values are those of a manifest's `spec.export.formats`."""

    SAVED_MODEL = "SavedModel"
    KERAS = "Keras"
    H5 = "H5"


FILES = {Format.KERAS: "model.keras", Format.H5: "model.h5"}


def parse_formats(text: str) -> tuple[Format, ...]:
    """Formats from a comma-separated list, in any case ("savedmodel,keras").

    Raises:
        InvalidInput: an unknown word, or none at all.
    """
    by_word = {item.value.lower(): item for item in Format}
    found: list[Format] = []
    for word in filter(None, (part.strip().lower() for part in text.split(","))):
        if word not in by_word:
            near = get_close_matches(word, by_word, n=1)
            said = f"did you mean {near[0]}?" if near else f"there are: {', '.join(by_word)}"
            raise InvalidInput(f"{word!r} is not an export format", hint=said)
        if by_word[word] not in found:
            found.append(by_word[word])
    if not found:
        raise InvalidInput("no export format is named", hint=f"there are: {', '.join(by_word)}")
    return tuple(found)
