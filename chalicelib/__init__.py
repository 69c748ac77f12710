"""OnTask Serverless: personal feedback for every learner. One package per domain; arrows go down only."""

import gc

# A cold start makes a hundred thousand objects that stay: looking for garbage among them after every 700 takes a
# tenth of it.
gc.set_threshold(20_000)
