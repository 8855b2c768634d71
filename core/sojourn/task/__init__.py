"""A job's code: packed with the run, unpacked where it is needed, and the function in it that a job names."""
