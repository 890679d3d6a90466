"""How well retrieval and localization work on the real volumes beside the checkout: `make evaluate`."""
