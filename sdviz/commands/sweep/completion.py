"""Tab completion in bash and zsh for `python -m sdviz.sweep` and `sdviz sweep`.

What completes a word is Hydra's (`-sc query=bash`). Its own script for the shell knows programs of
one word and files only, and would complete neither of the two; so the script is ours. It asks for
the last word alone, since the words before it need not be Hydra's: `cfg=7,15` is no sweep to it.
"""

from __future__ import annotations

from collections.abc import Sequence

_SCRIPT = r"""_sdviz_sweep() {
    local line="${COMP_LINE:0:$COMP_POINT}" program=("${COMP_WORDS[0]}") rest
    case "$line" in
        *" -m sdviz.sweep "*) program+=(-m sdviz.sweep); rest="${line#* -m sdviz.sweep }" ;;
        *"sdviz sweep "*) program+=(sweep); rest="${line#*sdviz sweep }" ;;
        *) return ;;
    esac
    local word="${rest##* }" choices
    choices=$(COMP_LINE="sweep.py $word" "${program[@]}" -sc query=bash 2>/dev/null)
    COMPREPLY=($(compgen -W "$choices" -- "$word"))
}
COMP_WORDBREAKS=${COMP_WORDBREAKS//=}
complete -o nospace -o default -F _sdviz_sweep python python3 sdviz
"""
_ZSH = """autoload -Uz compinit bashcompinit
(( $+functions[compdef] )) || compinit -u
bashcompinit
"""
_REMOVAL = "complete -r python python3 sdviz\nunset -f _sdviz_sweep\n"


def script_for(arguments: Sequence[str]) -> str:
    """The shell script that `install=bash` and the like ask for; "" where they do not."""
    scripts = {
        "install=bash": _SCRIPT,
        "install=zsh": _ZSH + _SCRIPT,
        "uninstall=bash": _REMOVAL,
        "uninstall=zsh": _REMOVAL,
    }
    return next((scripts[word] for word in arguments if word in scripts), "")
