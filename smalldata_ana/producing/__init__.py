"""The producer's engine: batches of events over an executor, parts, one file."""
