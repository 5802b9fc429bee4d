"""The tooling around a run: params, records, MLflow, the report; knows no physics."""
