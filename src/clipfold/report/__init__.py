"""The report: one page that says what may be claimed, and shows what it rests on."""
