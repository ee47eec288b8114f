"""What tests share: where the data is, and simulated streams with a known truth."""
