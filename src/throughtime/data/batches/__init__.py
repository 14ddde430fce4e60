"""Long sequences cut into batches whose position can be returned to."""
