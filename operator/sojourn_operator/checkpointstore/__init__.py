"""CheckpointStores: tried by a pod that does to a store what runs do."""
