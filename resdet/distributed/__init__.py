"""Training and evaluation in several processes: how they find each other, what they ask each other, and how they end."""
