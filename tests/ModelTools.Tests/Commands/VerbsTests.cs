using System.Text.RegularExpressions;
using Whatsit.ModelTools.Commands;

namespace Whatsit.ModelTools.Tests.Commands;

/// <summary>The command as a whole: its verbs, its version, what it completes, and what <c>serve</c> asks of a folder.</summary>
public sealed partial class VerbsTests : IDisposable
{
    private readonly string _models = Directory.CreateTempSubdirectory("verbs").FullName;

    public void Dispose() => Directory.Delete(_models, recursive: true);

    [Fact]
    public async Task The_version_is_said()
    {
        (var code, var output, _) = await WhatsitCommand.RunAsync("--version");
        Assert.Equal(0, code);
        Assert.Matches(@"^\d+\.\d+\.\d+", output);
    }

    [Fact]
    public void The_documents_name_no_verb_that_there_is_not()
    {
        HashSet<string> verbs = [.. Verbs.All().Subcommands.Select(command => command.Name)];
        foreach (var document in (string[])["README.md", "models/README.md", "src/README.md", "tests/README.md", "tests/Benchmarks/README.md",
            "models/grocery/README.md"])
        {
            var named = Invocation().Matches(File.ReadAllText(Path.Combine(WhatsitCommand.Root, document))).Select(match => match.Groups[1].Value);
            Assert.All(named, verb => Assert.Contains(verb, verbs));
        }
    }

    [Theory]
    [InlineData("whatsit qua", "quantize")]
    [InlineData("whatsit classify --top", "--top-k")]
    [InlineData("whatsit classify --model ", "grocery")]
    public async Task A_shell_is_told_how_a_line_may_go_on(string line, string suggestion)
    {
        (var code, var output, _) = await WhatsitCommand.RunAsync($"[suggest:{line.Length}]", line);
        Assert.Equal(0, code);
        Assert.Contains(suggestion, output.Split('\n', StringSplitOptions.TrimEntries));
    }

    [Theory]
    [InlineData("bash")]
    [InlineData("zsh")]
    [InlineData("fish")]
    [InlineData("pwsh")]
    public async Task Every_shell_gets_the_lines_that_ask_the_program(string shell)
    {
        (var code, var output, _) = await WhatsitCommand.RunAsync("completion", shell);
        Assert.Equal(0, code);
        Assert.StartsWith("# In ", output, StringComparison.Ordinal);
        Assert.Contains("[suggest:", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bash_completes_with_them()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "There is no bash.");
        (_, var script, _) = await WhatsitCommand.RunAsync("completion", "bash");
        const string Line = "whatsit quan";
        var completed = await WhatsitCommand.RunProgramAsync("bash", _models, null, "-c",
            $"PATH={AppContext.BaseDirectory}:$PATH\n{script}\nCOMP_LINE='{Line}' COMP_POINT={Line.Length} COMP_WORDS=({Line}) COMP_CWORD=1\n_whatsit; " +
            $"echo \"${{COMPREPLY[@]}}\"");
        Assert.Equal("quantize\n", completed.Output);
    }

    [Fact]
    public async Task Serve_names_what_keeps_it_from_serving()
    {
        await Refused($"There is no model in the folder '{_models}'.");
        Add("apples");
        await Refused("There is no model 'plums' in the folder", "--default", "plums");
        Add("pears");
        await Refused("There are several models in the folder", []);
        await Refused("--port must be a number from 0 to 65535.", "--default", "pears", "--port", "70000");
        await Refused("--set takes Section:Name=value; 'Limits' is none.", "--default", "pears", "--set", "Limits");
        await Refused("There is no setting Limits:MaxImage;", "--default", "pears", "--port", "0", "--set", "Limits:MaxImage=5");

        void Add(string name)
        {
            Directory.CreateDirectory(Path.Combine(_models, name));
            File.WriteAllText(Path.Combine(_models, name, "model.json"), "{}");
        }

        async Task Refused(string sentence, params string[] arguments)
        {
            (var code, _, var error) = await WhatsitCommand.RunAsync(["serve", "--models", _models, .. arguments]);
            Assert.Equal(1, code);
            Assert.StartsWith(sentence, error, StringComparison.Ordinal);
        }
    }

    [GeneratedRegex(@"^(?:\$ )?whatsit ([a-z]\w*)", RegexOptions.Multiline)]
    private static partial Regex Invocation();
}
