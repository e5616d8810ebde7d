"""Tables: a row of numbers and categories in place of a video."""
