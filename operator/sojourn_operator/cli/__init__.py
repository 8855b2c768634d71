"""The verbs for clusters. Each module is imported only when its verb is called."""
