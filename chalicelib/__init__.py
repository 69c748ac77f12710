"""OnTask Serverless: personal feedback for every learner. One package per domain; arrows go down only."""
