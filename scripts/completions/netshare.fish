# Completion of netshare in fish. netshare itself says what could follow; where nothing can, files' names are offered.

function __netshare_complete
    _NETSHARE_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=$argv[1] _TYPER_COMPLETE_ARGS=(commandline --cut-at-cursor --current-process | string collect) netshare 2>/dev/null
end

complete --command netshare --no-files --condition '__netshare_complete is-args' --arguments '(__netshare_complete get-args)'
