"""Where the weights of networks come from, and where they are kept."""
