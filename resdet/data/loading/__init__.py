"""Which images come when, and how they come: samplers, views, batches, worker processes."""
