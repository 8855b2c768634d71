"""What a power cut may leave of a folder: the noted calls of a process, and which of their effects reached the disk.

POSIX promises little: fsync of a file makes its bytes durable, fsync of a folder its names. Everything else may have
reached the disk or not, in any order and any combination, and of a write also a part. A rename is whole or not at all.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from crash.preload import Call

Survives = Callable[["Node", "Effect"], float]
"""How much of an effect that was not synced is on the disk: 0 nothing, 1 all, of a write also a share of its bytes, or
ZEROS: the file has grown, and its bytes are missing."""
ZEROS = -1


@dataclass(frozen=True, slots=True)
class Effect:
    """What a call did to a file (`data` at `offset`, or a new `size`) or to a folder (a name set, a name removed)."""

    offset: int = 0
    data: bytes = b""
    size: int | None = None
    sets: tuple[str, Node] | None = None
    removes: str = ""


@dataclass(eq=False, slots=True)
class Node:
    """A file or a folder: what of it is durable, and what was done to it since."""

    is_folder: bool
    data: bytes = b""
    names: dict[str, Node] = field(default_factory=dict)
    pending: list[Effect] = field(default_factory=list)

    def sync(self) -> None:
        self.data, self.names = self._after(lambda node, effect: 1)
        self.pending.clear()

    def now(self) -> dict[str, Node]:
        """A folder's names as its user sees them."""
        return self._after(lambda node, effect: 1)[1]

    def _after(self, survives: Survives) -> tuple[bytes, dict[str, Node]]:
        data, names = bytearray(self.data), dict(self.names)
        for effect in self.pending:
            share = survives(self, effect)
            if not share:
                continue
            if effect.removes:
                names.pop(effect.removes, None)
            if effect.sets:
                names[effect.sets[0]] = effect.sets[1]
            if effect.size is not None:
                data = data[: effect.size].ljust(effect.size, b"\0")
            elif effect.data:
                size = len(effect.data)
                part = bytes(size) if share == ZEROS else effect.data[: max(1, int(size * share))]
                data = data.ljust(effect.offset, b"\0")
                data[effect.offset : effect.offset + len(part)] = part
        return bytes(data), names

    def write(self, path: Path, survives: Survives, written: dict[Node, Path] | None = None) -> None:
        """Make the file or folder at `path` (which is not there) as a power cut would leave it."""
        written = {} if written is None else written
        if self in written:
            path.hardlink_to(written[self])
            return
        data, names = self._after(survives)
        if not self.is_folder:
            path.write_bytes(data)
            written[self] = path
            return
        path.mkdir()
        for name, node in names.items():
            node.write(path / name, survives, written)


class Disk:
    """A folder under a list of calls; `apply` takes them one by one."""

    def __init__(self, folder: Path) -> None:
        self.root = _load(folder)
        self._folder = folder
        self._files: dict[int, Node] = {}
        self._handlers: dict[str, Callable[[Call], bool]] = {
            "open": self._open,
            "write": self._write,
            "ftruncate": self._truncate,
            "fsync": self._sync,
            "mkdir": self._mkdir,
            "link": self._link,
            "rename": self._rename,
            "unlink": self._remove,
            "rmdir": self._remove,
        }

    def apply(self, call: Call) -> bool:
        """Take one call; returns whether it changed what a power cut may leave."""
        handler = self._handlers.get(call.name)
        return handler is not None and call.result >= 0 and handler(call)

    def _place(self, path: str) -> tuple[Node, str]:
        relative = os.path.relpath(path, self._folder)
        *folders, name = relative.split("/")
        node = self.root
        for folder in folders:
            node = node.now()[folder]
        return node, name

    def _find(self, path: str) -> Node:
        if Path(path) == self._folder:
            return self.root
        folder, name = self._place(path)
        return folder.now()[name]

    def _add(self, path: str, node: Node) -> None:
        folder, name = self._place(path)
        folder.pending.append(Effect(sets=(name, node)))

    def _open(self, call: Call) -> bool:
        path, flags = call.about[0], int(call.about[1])
        made = False
        if flags & os.O_CREAT:
            folder, name = self._place(path)
            if made := name not in folder.now():
                self._add(path, Node(is_folder=False))
        self._files[call.result] = self._find(path)
        return made

    def _write(self, call: Call) -> bool:
        file, _, offset, data = call.about
        self._files[int(file)].pending.append(Effect(offset=int(offset), data=bytes.fromhex(data)))
        return True

    def _truncate(self, call: Call) -> bool:
        self._files[int(call.about[0])].pending.append(Effect(size=int(call.about[2])))
        return True

    def _sync(self, call: Call) -> bool:
        self._files[int(call.about[0])].sync()
        return True

    def _mkdir(self, call: Call) -> bool:
        self._add(call.about[0], Node(is_folder=True))
        return True

    def _link(self, call: Call) -> bool:
        self._add(call.about[1], self._find(call.about[0]))
        return True

    def _rename(self, call: Call) -> bool:
        (folder, old), (other, new) = self._place(call.about[0]), self._place(call.about[1])
        assert folder is other, "a rename between folders is not modelled"
        folder.pending.append(Effect(sets=(new, folder.now()[old]), removes=old))
        return True

    def _remove(self, call: Call) -> bool:
        folder, name = self._place(call.about[0])
        folder.pending.append(Effect(removes=name))
        return True


def _load(path: Path) -> Node:
    if not path.is_dir():
        return Node(is_folder=False, data=path.read_bytes())
    return Node(is_folder=True, names={child.name: _load(child) for child in path.iterdir()})


def fates(seed: int) -> dict[str, Survives]:
    """Ways in which a power cut may treat what was not synced, by name; the last ones are drawn by lot."""
    ways: dict[str, Survives] = {
        "nothing unsynced is there": lambda node, effect: 0,
        "names without bytes": lambda node, effect: node.is_folder,
        "bytes without names": lambda node, effect: not node.is_folder,
        "names, and zeros for bytes": lambda node, effect: 1 if node.is_folder else ZEROS,
        "half of each write": lambda node, effect: 1 if node.is_folder else 0.5,
    }
    for number in range(3):
        lot = random.Random(f"{seed} {number}")
        ways[f"lot {number}"] = lambda node, effect, lot=lot: lot.choice((0, 0, 0.3, 1, 1, ZEROS))  # type: ignore[misc]
    return ways
