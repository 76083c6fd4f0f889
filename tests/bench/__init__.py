"""The benchmarks: `make bench`. Budgets in `budgets.json`, the kept numbers in `baseline.json`."""
