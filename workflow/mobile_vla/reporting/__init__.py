"""Shows the results: figures, tables and one page. Nothing is measured or scored here."""
