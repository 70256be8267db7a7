"""Pictures that any machine can draw for itself, with their true boxes."""
