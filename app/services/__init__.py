"""The verbs: all queries, all rules, all writes. No Flask request, no HTTP, no cache."""
