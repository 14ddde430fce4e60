"""Libraries of forecasting beside this one: which, in which versions, with which models, each in its own process."""
