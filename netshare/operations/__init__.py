"""What each verb does, one file a verb: plain results, no printing, everything of the host handed in."""
