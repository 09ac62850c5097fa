"""Events of the frontends: taken in, checked against schemas, and published."""
