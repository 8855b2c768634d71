"""TrainingJob: one attempt after another, until the run is complete, suspended, failed or owned elsewhere."""
