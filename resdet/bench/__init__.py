"""Running the benchmarks, and what is kept and shown of what they found."""
