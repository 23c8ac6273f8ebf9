"""What everything stands on: errors, words, files and signals; it knows neither database."""
