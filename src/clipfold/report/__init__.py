"""Write the report: one page with the results, their uncertainty and the evidence for them."""
