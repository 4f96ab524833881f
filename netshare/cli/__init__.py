"""The command line: one file a verb, thin; only `netshare.cli.output` prints."""
