"""TrainingAttempt: one start of a job's pods, from the first pod to the end of the last."""
