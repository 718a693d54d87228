#compdef wgd
# zsh completion for wgd. wgd itself makes the proposals, from the words so far.
_wgd() {
  local -a reply proposals
  local line
  reply=("${(@f)$(${~words[1]} completions --words "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in "${(@)reply[2,-1]}"; do
    proposals+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
  done
  (( $#proposals )) && _describe wgd proposals
  case $reply[1] in
    :config) _files -g '*.conf' ;;
    :file) _files ;;
    :folder) _files -/ ;;
  esac
}
if [[ $funcstack[1] == _wgd ]]; then
  _wgd "$@"
else
  compdef _wgd wgd
fi
