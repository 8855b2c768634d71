"""Tasks that come with Sojourn, one per file; a manifest names them as sojourn_trainer.tasks.<file>:build."""
