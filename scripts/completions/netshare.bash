# Completion of netshare in bash. netshare itself says what could follow; what holds no word of its own is a file's name.
# shellcheck shell=bash disable=SC2154 # cur, words and cword are set by bash-completion

_netshare() {
    local cur words cword
    _get_comp_words_by_ref -n =: cur words cword || return
    mapfile -t COMPREPLY < <(
        COMP_WORDS="${words[*]}" COMP_CWORD=$cword _NETSHARE_COMPLETE=complete_bash "$1" 2>/dev/null
    )
    [[ ${#COMPREPLY[@]} -eq 1 && -z ${COMPREPLY[0]} ]] && COMPREPLY=()
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/] ]] && compopt -o nospace
    __ltrim_colon_completions "$cur"
}

complete -o default -F _netshare netshare
