"""What is wrong or odd about the data, with a severity and a remedy."""
