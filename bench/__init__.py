"""Benchmarks that anyone can rerun: `make bench`, or `make bench BENCH=edge` for one."""
