"""Carrying runs between stores: what to bring (pure), copying it verified, handing over ownership."""

from sojourn.transfer.copy import Destination, TransferResult, copy_run
from sojourn.transfer.fetch import TransferProgress
from sojourn.transfer.move import move_run

__all__ = ["Destination", "TransferProgress", "TransferResult", "copy_run", "move_run"]
