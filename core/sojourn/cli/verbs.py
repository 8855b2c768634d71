"""What `sojourn --help` says about each verb: a plain table, so that help imports no verb.

A test holds this table to the commands' own help. A verb of another package has no row here and is imported for help.
"""

from __future__ import annotations

from typing import NamedTuple


class Verb(NamedTuple):
    """A verb's line of help and, where it needs more than the base install, the extra that brings it."""

    name: str
    help: str
    extra: str = ""


SECTIONS: dict[str, tuple[Verb, ...]] = {
    "Train": (
        Verb("init", "Write a job manifest and a task to start from."),
        Verb("validate", "Check manifests and say what is wrong with them."),
        Verb("run", "Train a job on this machine, or resume it.", "trainer"),
    ),
    "Look": (
        Verb("runs", "List the runs of a store."),
        Verb("history", "Show a run's attempts, commits, exports and ancestors."),
        Verb("report", "Write a run's history as one HTML page.", "report"),
        Verb("compare", "Compare the variables of two checkpoints."),
        Verb("verify", "Check a run's log and data against their digests."),
        Verb("sign", "Sign a checkpoint, an export or a model's folder.", "signing"),
    ),
    "Move": (
        Verb("copy", "Copy a run to another store."),
        Verb("move", "Hand a run over to another store, where it goes on."),
    ),
    "Serve": (
        Verb("export", "Export a run's model as SavedModel, Keras or H5.", "serving"),
        Verb("serve", "Serve an exported model over HTTP.", "serving"),
        Verb("predict", "Ask a served model for predictions."),
    ),
    "On a cluster": (
        Verb("submit", "Create a job on a cluster, with its code.", "cluster"),
        Verb("status", "Show jobs on a cluster, or one with all that belongs to it.", "cluster"),
        Verb("watch", "Show a job's progress until it ends.", "cluster"),
        Verb("logs", "Print what a job's pods wrote, also when they are gone.", "cluster"),
        Verb("checkpoint", "Let a running job commit a checkpoint now.", "cluster"),
        Verb("suspend", "Let a job commit a checkpoint and stop.", "cluster"),
        Verb("resume", "Let a suspended job go on.", "cluster"),
        Verb("migrate", "Carry a job to another cluster, where it goes on.", "cluster"),
        Verb("takeover", "Go on with a run whose cluster or heir is lost.", "cluster"),
        Verb("clusters", "List the clusters that jobs can be carried to.", "cluster"),
        Verb("dashboard", "Open a running job's Ray dashboard.", "cluster"),
        Verb("rollback", "Serve an earlier version of a model.", "cluster"),
    ),
    "Shell": (Verb("completion", "Print the completion script for a shell."),),
}

VERBS: dict[str, Verb] = {verb.name: verb for section in SECTIONS.values() for verb in section}
