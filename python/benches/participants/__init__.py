"""Who takes part in the comparison: this project, a floor in C, and its peers."""
