"""HTTP doors, one module per API family."""
