"""What finished cells say, as rows: `rows(book)` those of the design's table, `details(book)` all that was measured."""
