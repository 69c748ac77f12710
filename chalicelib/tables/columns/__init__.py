"""Columns: made, computed, dealt out, changed, converted, taken out. What a column may be called is in `naming`."""
