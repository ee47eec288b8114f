"""The whole product measured against lines, peers and targets: `python -m benchmarks`, see README.md."""
