"""The checkpoints of one training: whole or not there, few, and gone when it has succeeded."""

import logging
import shutil
from contextlib import suppress
from pathlib import Path

from stages.training.manifest import fault, sync_folder, write_manifest

log = logging.getLogger("stages.train")

KEPT_CHECKPOINTS = 2
"""The newest one, and one to fall back to."""
KEPT_TRAININGS = 3
"""This training and the newest others whose checkpoints are kept, so that a sweep that was stopped does not fill the disk."""

_NAME = "step-{:09d}"


class Checkpoints:
    """The folder of one training's checkpoints, `step-N` each.

    One is written in a hidden folder beside, and gets its name when its manifest is on the disk.
    """

    def __init__(self, folder: Path) -> None:
        """`folder`: named after all that the training depends on; its neighbours are other trainings'."""
        self.folder = folder
        self.partial = folder / ".partial"
        """Where the next checkpoint is written."""

    def prepare(self) -> None:
        """Remove what a killed training has left half-written, and the oldest of the other trainings."""
        self.discard_partial()
        others = [folder for folder in self.folder.parent.glob("*") if folder != self.folder]
        others.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
        for folder in others[KEPT_TRAININGS - 1 :]:
            shutil.rmtree(folder, ignore_errors=True)

    def newest_whole(self) -> Path | None:
        """The newest checkpoint that is what was written; newer ones, which are not, are removed."""
        for checkpoint in reversed(self._all()):
            found = fault(checkpoint)
            if found is None:
                return checkpoint
            log.warning("%s is not used: %s", checkpoint, found)
            shutil.rmtree(checkpoint, ignore_errors=True)
        return None

    def complete(self, written: Path, step: int) -> None:
        """Make the files in `written`, a folder in `partial`, the checkpoint of `step`. Raises OSError if the disk won't."""
        write_manifest(written)
        checkpoint = self.folder / _NAME.format(step)
        shutil.rmtree(checkpoint, ignore_errors=True)
        written.rename(checkpoint)
        sync_folder(self.folder)
        for old in self._all()[:-KEPT_CHECKPOINTS]:
            shutil.rmtree(old, ignore_errors=True)

    def discard_partial(self) -> None:
        """Remove what has not been completed."""
        shutil.rmtree(self.partial, ignore_errors=True)
        self._remove_empty()

    def remove(self) -> None:
        """Remove them all, for the training has succeeded."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._remove_empty()

    def _remove_empty(self) -> None:
        for folder in (self.folder, self.folder.parent):
            with suppress(OSError):  # it holds something
                folder.rmdir()

    def _all(self) -> list[Path]:
        """From old to new."""
        return sorted(self.folder.glob("step-*"))
