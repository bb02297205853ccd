/** Each asks `coppice __complete SHELL -- LINE` for what may stand at the end of the line. */
export const COMPLETION_SCRIPTS = {
  bash: `# coppice completion for bash
_coppice_complete() {
  local line directive= IFS=$'\\n'
  COMPREPLY=()
  while read -r line; do
    case $line in
      :*) directive=$line ;;
      *) COMPREPLY+=("\${line%%$'\\t'*}") ;;
    esac
  done < <(coppice __complete bash -- "\${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
  case $directive in
    :file) COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}")); compopt -o filenames ;;
    :folder) COMPREPLY=($(compgen -d -- "\${COMP_WORDS[COMP_CWORD]}")); compopt -o filenames ;;
  esac
}
complete -F _coppice_complete coppice
`,
  zsh: `#compdef coppice
# coppice completion for zsh
_coppice() {
  local line directive
  local -a values shown
  for line in "\${(@f)$(coppice __complete zsh -- "\${(j: :)words[1,CURRENT]}" 2>/dev/null)}"; do
    case $line in
      '') ;;
      :*) directive=$line ;;
      *) values+=("\${line%%$'\\t'*}"); shown+=("\${line/$'\\t'/  }") ;;
    esac
  done
  case $directive in
    :file) _files ;;
    :folder) _files -/ ;;
    *) compadd -l -d shown -a values ;;
  esac
}
compdef _coppice coppice
`,
  fish: `# coppice completion for fish
function __coppice_complete
    set -l lines (coppice __complete fish -- (commandline -cp) 2>/dev/null)
    for line in $lines
        switch $line
            case ':file'
                __fish_complete_path (commandline -ct)
            case ':folder'
                __fish_complete_directories (commandline -ct)
            case '*'
                echo $line
        end
    end
end
complete -c coppice -f -a '(__coppice_complete)'
`,
} as const;

export type Shell = keyof typeof COMPLETION_SCRIPTS;
