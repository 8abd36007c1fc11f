"""Scripts that have a shell ask ocsync for completions; see `completion_reply` for the answer."""

from __future__ import annotations

_BASH = r"""# bash completion for ocsync
_ocsync() {
    local line directive=""
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ -z $directive ]]; then directive=$line; else COMPREPLY+=("$line"); fi
    done < <(_OCSYNC_COMPLETE=bash "$1" complete "${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null)
    case $directive in
        files) _ocsync_paths -f default "$2" ;;
        folders) _ocsync_paths -d dirnames "$2" ;;
    esac
}
_ocsync_paths() {
    if type compopt &>/dev/null; then
        compopt +o nospace -o filenames -o "$2"
    else
        while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen "$1" -- "$3")
    fi
}
complete -o nospace -F _ocsync ocsync
"""
_ZSH = r"""#compdef ocsync
_ocsync() {
    local line word
    local -a lines whole open
    lines=("${(@f)$(_OCSYNC_COMPLETE=zsh ${~words[1]} complete \
        "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    case $lines[1] in
        files) [[ $PREFIX == --*=* ]] && compset -P '*='; _files; return ;;
        folders) [[ $PREFIX == --*=* ]] && compset -P '*='; _files -/; return ;;
    esac
    for line in "${(@)lines[2,-1]}"; do
        word=${line%%$'\t'*}
        [[ $line == *$'\t'* ]] && line=${word//:/\\:}:${line#*$'\t'} || line=${word//:/\\:}
        if [[ $word == *[/=] ]]; then open+=("$line"); else whole+=("$line"); fi
    done
    (( $#whole )) && _describe -V ocsync whole
    (( $#open )) && _describe -V ocsync open -S ''
}
if [[ $funcstack[1] == _ocsync ]]; then _ocsync "$@"; else compdef _ocsync ocsync; fi
"""
_FISH = r"""# fish completion for ocsync
function __ocsync_complete
    set -l words (commandline -opc)
    set -lx _OCSYNC_COMPLETE fish
    set -l lines ($words[1] complete $words[2..-1] (commandline -ct) 2>/dev/null)
    set -l option (string match -r -- '^--[^=]*=' (commandline -ct))
    set -l path (string replace -- "$option" '' (commandline -ct))
    switch "$lines[1]"
        case files
            printf '%s\n' "$option"(__fish_complete_path "$path")
        case folders
            printf '%s\n' "$option"(__fish_complete_directories "$path" '')
        case '*'
            printf '%s\n' $lines[2..-1]
    end
end
complete -c ocsync -f -a '(__ocsync_complete)'
"""
_POWERSHELL = r"""# PowerShell completion for ocsync
Register-ArgumentCompleter -Native -CommandName ocsync -ScriptBlock {
    param($word, $ast, $cursor)
    $ErrorActionPreference = 'SilentlyContinue'
    $code = $global:LASTEXITCODE
    $program = $ast.GetCommandName()
    $words = @()
    $start = ''
    foreach ($element in @($ast.CommandElements | Select-Object -Skip 1)) {
        $extent = $element.Extent
        if ($extent.EndOffset -lt $cursor) { $words += $extent.Text }
        elseif ($extent.StartOffset -lt $cursor) {
            $start = $extent.Text.Substring(0, $cursor - $extent.StartOffset)
        }
    }
    $env:_OCSYNC_COMPLETE = 'powershell'
    $env:_OCSYNC_WORDS = ($words + $start) -join [char]31
    try { $text = (& $program complete 2>$null) -join '' }
    finally {
        $env:_OCSYNC_COMPLETE = $null
        $env:_OCSYNC_WORDS = $null
        $global:LASTEXITCODE = $code
    }
    if (-not $text) { return '' }
    $reply = ConvertFrom-Json $text
    if ($reply.directive -ne 'words') { return }
    $type = [System.Management.Automation.CompletionResult]
    $found = @(foreach ($row in $reply.words) {
        $type::new($row[0], $row[1], 'ParameterValue', $row[2])
    })
    if ($found.Count) { $found } else { '' }
}
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH, "powershell": _POWERSHELL}
"""The scripts by shell; their text is the same on every machine."""
