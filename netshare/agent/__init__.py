"""The agent: sources of change, one inbox, and the very same reconcile that every verb calls."""
