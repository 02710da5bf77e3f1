using System.CommandLine;

namespace Whatsit.ModelTools.Commands;

/// <summary>
/// <c>whatsit completion SHELL</c>: the lines that make a shell complete verbs, options and models. They ask the program itself, by the directive
/// <c>[suggest:POSITION]</c> of System.CommandLine (https://learn.microsoft.com/dotnet/standard/commandline/how-to-enable-tab-completion), so that they never
/// grow old.
/// </summary>
internal static class CompletionCommand
{
    private static readonly Dictionary<string, string> Scripts = new()
    {
        ["bash"] = """
            # In ~/.bashrc: source <(whatsit completion bash)
            _whatsit() {
              local IFS=$'\n' suggestions
              suggestions=$(whatsit "[suggest:$COMP_POINT]" "$COMP_LINE" 2>/dev/null)
              COMPREPLY=($(compgen -W "$suggestions" -- "${COMP_WORDS[COMP_CWORD]}"))
            }
            complete -o default -F _whatsit whatsit
            """,
        ["zsh"] = """
            # In ~/.zshrc, after compinit: source <(whatsit completion zsh)
            _whatsit() {
              local -a suggestions
              suggestions=("${(@f)$(whatsit "[suggest:$CURSOR]" "$BUFFER" 2>/dev/null)}")
              if [[ -n "${suggestions[1]}" ]]; then compadd -- "${suggestions[@]}"; else _files; fi
            }
            compdef _whatsit whatsit
            """,
        ["fish"] = """
            # In ~/.config/fish/completions/whatsit.fish: whatsit completion fish > ~/.config/fish/completions/whatsit.fish
            complete -c whatsit -a '(whatsit "[suggest:"(commandline -C)"]" (commandline) 2>/dev/null)'
            """,
        ["pwsh"] = """
            # In $PROFILE: whatsit completion pwsh | Out-String | Invoke-Expression
            Register-ArgumentCompleter -Native -CommandName whatsit -ScriptBlock {
              param($word, $line, $position)
              whatsit "[suggest:$position]" "$line" 2>$null | Where-Object { $_ -like "$word*" } | ForEach-Object { [System.Management.Automation.CompletionResult]::new($_) }
            }
            """,
    };

    public static Command Create()
    {
        var shell = new Argument<string>("shell") { Description = "bash, zsh, fish or pwsh; what is printed says in its first line where it goes." };
        shell.AcceptOnlyFromAmong([.. Scripts.Keys]);
        var command = new Command("completion", "Print the lines that make a shell complete this command.") { shell };
        command.SetAction(arguments => Console.WriteLine(Scripts[arguments.GetValue(shell)!]));
        return command;
    }
}
