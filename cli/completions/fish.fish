# fish completion for wgd. wgd itself makes the proposals, from the words so far.
function __wgd_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l reply ($words[1] completions --words $words[2..-1] "$current" 2>/dev/null)
    string join \n -- $reply[2..-1]
    switch "$reply[1]"
        case :config
            __fish_complete_suffix "$current" .conf
        case :file
            __fish_complete_path "$current"
        case :folder
            __fish_complete_directories "$current" ''
    end
end
complete -c wgd -f -a '(__wgd_complete)'
