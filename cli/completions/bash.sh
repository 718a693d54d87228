# bash completion for wgd. wgd itself makes the proposals, from the words so far.
_wgd() {
  local -a reply
  local current=${COMP_WORDS[COMP_CWORD]} line word quoted
  COMPREPLY=()
  mapfile -t reply < <("${COMP_WORDS[0]/#\~/$HOME}" completions --words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  for line in "${reply[@]:1}"; do
    word=${line%%$'\t'*}
    [[ $word == "$current"* ]] || continue
    printf -v quoted %q "$word"
    COMPREPLY+=("$quoted")
  done
  case ${reply[0]-} in
    :config)
      compopt -o filenames
      mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -X '!*.conf' -- "$current"; compgen -d -- "$current")
      ;;
    :file) compopt -o default ;;
    :folder) compopt -o dirnames ;;
  esac
}
complete -F _wgd wgd
