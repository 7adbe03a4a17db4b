"""The leaderboard of experiments: ranked on validation, with the configurations that are not told apart from the best."""
