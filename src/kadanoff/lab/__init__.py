"""The tooling: parameters, store, records, tracking, figures."""
