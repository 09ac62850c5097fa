"""The stops of the tour, one module each, with `ORDER`, `TITLE` and an async `run(guide)`."""
