"""Who is tried next: multi-objective evolution over encodings."""
