# bash completion for signetfs: commands and options as the program itself lists them.
# Installed as share/bash-completion/completions/signetfs, or sourced from ~/.bashrc.

_signetfs_commands() {
	signetfs "$@" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p'
}

_signetfs_options() {
	signetfs "$@" --help 2>/dev/null | sed -n 's/^ *\(-., \)\{0,1\}\(--[a-z-]*\).*/\2/p'
}

_signetfs() {
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local -a command=()
	local w

	COMPREPLY=()
	for w in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		[[ $w == -* ]] && break
		command+=("$w")
		[[ ${command[0]} == kms && ${#command[@]} -lt 2 ]] || [[ ${command[*]} == "kms principal" ]] || break
	done
	case $previous in
	--names) mapfile -t COMPREPLY < <(compgen -W 'encrypted plain' -- "$word") && return ;;
	--only | --report | --config-to) mapfile -t COMPREPLY < <(compgen -f -- "$word") && return ;;
	--endpoint-to) mapfile -t COMPREPLY < <(compgen -W 'agent unix: http:// https:// keyfile:' -- "$word") && return ;;
	--bucket-key) mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$word") && return ;;
	--root-key) mapfile -t COMPREPLY < <(compgen -W 'passphrase passfile: keyfile: command:' -- "$word") && return ;;
	--kms | --endpoint-url) mapfile -t COMPREPLY < <(compgen -W 'agent unix: http:// https:// keyfile:' -- "$word") && return ;;
	esac
	if [[ ${#command[@]} -eq 0 ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_signetfs_commands)" -- "$word")
	elif [[ ${command[0]} == kms && ${#command[@]} -eq 1 ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_signetfs_commands kms)" -- "$word")
	elif [[ ${command[*]} == "kms principal" ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_signetfs_commands kms principal)" -- "$word")
	elif [[ ${command[0]} == drill && $word != -* && ! $previous =~ ^--(report|files|vault|to)$ ]]; then
		mapfile -t COMPREPLY < <(compgen -W "all list $(signetfs drill list 2>/dev/null | sed 's/ .*//')" -- "$word")
	elif [[ ${command[0]} == bench && $word != -* && ! $previous =~ ^--(report|files|endpoint|key)$ ]]; then
		mapfile -t COMPREPLY < <(compgen -W kms -- "$word")
	elif [[ ${command[*]} == 'kms audit' && $word != -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'verify anchor' -- "$word")
	elif [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_signetfs_options "${command[@]}")" -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		compopt -o filenames 2>/dev/null
	fi
}

complete -F _signetfs signetfs
