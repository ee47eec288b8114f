"""One way to show what was found: words, charts and the page of `scan` and `backtest`."""
