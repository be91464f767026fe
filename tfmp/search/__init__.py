"""What drives a search: budgets, multipliers, discretization. It knows no Keras."""
