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

    public static TheoryData<string> All => [.. Verbs.All().Subcommands.Select(verb => verb.Name)];

    [Theory]
    [MemberData(nameof(All))]
    public void A_verb_without_what_it_needs_or_with_more_says_so_in_a_sentence_and_shows_a_line(string verb)
    {
        foreach (var line in (string[][])[[verb], [verb, .. Enumerable.Repeat("more", 6)]])
        {
            var parsed = Verbs.All().Parse(line);
            if (parsed.Errors.Count == 0)
            {
                continue; // It needs nothing, or takes any number.
            }

            var said = Mistake.Of(parsed).Split('\n');
            Assert.Equal(2, said.Length);
            Assert.Matches($@"^(whatsit {verb} needs .+|'more' is too much: whatsit {verb} takes .+)\.$", said[0]);
            Assert.StartsWith($"For example: whatsit {verb}", said[1], StringComparison.Ordinal);
            Assert.Empty(Verbs.All().Parse(said[1]["For example: whatsit ".Length..]).Errors);
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void A_number_that_is_none_is_called_so_by_every_option(string verb)
    {
        var command = Verbs.All().Subcommands.Single(known => known.Name == verb);
        var needed = command.Arguments.SelectMany(argument => Enumerable.Repeat("bash", argument.Arity.MinimumNumberOfValues))
            .Concat(command.Options.Where(option => option.Required).SelectMany(option => (string[])[option.Name, "int8"]));
        foreach (var option in command.Options.Where(option => (Nullable.GetUnderlyingType(option.ValueType) ?? option.ValueType) is var type
            && (type == typeof(int) || type == typeof(double))))
        {
            Assert.Matches($"^{option.Name} takes a (whole )?number, not 'few'\\.$", Mistake.Of(Verbs.All().Parse([verb, .. needed, option.Name, "few"])));
            Assert.StartsWith($"{option.Name} needs a value: ", Mistake.Of(Verbs.All().Parse([verb, .. needed, option.Name])), StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("There is no verb 'classfy'; is 'classify' meant? whatsit --help lists them.", "classfy", "photo.jpg")]
    [InlineData("There is no verb 'photograph': whatsit --help lists them.", "photograph")]
    [InlineData("There is no option '--bogus': whatsit --help lists them.", "--bogus")]
    [InlineData("There is no option '--bogus': whatsit list --help lists them.", "list", "--bogus", "x")]
    [InlineData("There is no option '--nmae': whatsit import --help lists them.", "import", "model.h5", "--nmae", "fruit")]
    [InlineData("--top-k takes a whole number, not 'few'.", "classify", "photo.jpg", "--top-k", "few")]
    [InlineData("--seconds takes a number, not 'few'.", "bench", "grocery", "--seconds", "few")]
    [InlineData("--top-k needs a value: ", "classify", "photo.jpg", "--top-k")]
    [InlineData("--json takes no value, and 'maybe' is one.", "classify", "--json=maybe")]
    [InlineData("--csv takes no value, and 'a.csv' is one.", "classify", "photo.jpg", "--csv:a.csv")]
    [InlineData("--fp16 takes no value, and 'x=y' is one.", "export", "grocery", "--fp16=x=y")]
    [InlineData("Argument 'tcsh' not recognized. Must be one of: ", "completion", "tcsh")]
    public async Task A_wrong_line_gets_one_sentence(string sentence, params string[] line)
    {
        (var code, var output, var error) = await WhatsitCommand.RunAsync(line);
        Assert.Equal((1, ""), (code, output));
        Assert.StartsWith(sentence, error, StringComparison.Ordinal);
        Assert.Single(error.TrimEnd().Split('\n'));
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
