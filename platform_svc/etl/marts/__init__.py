"""The marts: folds over events that do not depend on the events' order, and nothing else."""
