using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;

namespace Whatsit.ModelTools.Commands;

/// <summary>What is wrong with a line that cannot be read: one sentence, and where something is missing or too much, a line that works.</summary>
internal static class Mistake
{
    /// <summary>How the sentence of <see cref="NoOption"/> begins.</summary>
    private const string Unknown = "There is no option";

    /// <summary>What each verb needs, and a line that has it.</summary>
    private static readonly Dictionary<string, (string? Needs, string Example)> Usages = new()
    {
        ["classify"] = ("a photo: a file, a folder, a pattern, a list, a tar archive, or - for standard input", "classify photo.jpg"),
        ["serve"] = (null, "serve --models models --port 8080"),
        ["import"] = ("a model (a file, folder, zip, address or hf:OWNER/NAME) and --name, what it is called here", "import model.h5 --name fruit"),
        ["train"] = ("--images, a folder with a folder of photos for each class, and --name, the new model's", "train --images photos --name fruit"),
        ["export"] = ("a model's name or folder", "export grocery"),
        ["inspect"] = ("a model: its name, its folder, or a model file of any format", "inspect grocery"),
        ["infer"] = ("a model and --input, a file of raw numbers", "infer grocery --input tensor.bin"),
        ["evaluate"] = ("a model's name or folder and --images, labelled photos", "evaluate grocery --images photos"),
        ["bench"] = ("a model's name or folder", "bench grocery"),
        ["diff"] = ("two models, or two variants of one, and --images, photos to ask them about", "diff grocery:fp32 grocery:int8 --images photos"),
        ["quantize"] = ("a model's name or folder and --to, fp16 or int8", "quantize grocery --to int8 --images photos"),
        ["abstain"] = ("a model's name", "abstain grocery --images photos"),
        ["preprocessing"] = ("a model's name", "preprocessing grocery --images photos"),
        ["list"] = (null, "list --models models"),
        ["labels"] = ("a model's name, and a file only where the labels are to change", "labels grocery labels.txt"),
        ["set"] = ("a model's name and what to set", "set grocery title=Groceries"),
        ["rename"] = ("a model's name and its new one", "rename grocery fruit"),
        ["remove"] = ("a model's name", "remove grocery"),
        ["completion"] = ("a shell: bash, zsh, fish or pwsh", "completion bash"),
    };

    /// <summary>What is said of a word that looks like an option and is none.</summary>
    public static string NoOption(Command verb, string word) =>
        $"{Unknown} '{word}': {(verb is RootCommand ? "whatsit" : $"whatsit {verb.Name}")} --help lists them.";

    /// <summary>What is said of a value that is joined to an option which takes none: the library would take it for the next word of the line.</summary>
    public static string? OfSwitch(ParseResult parsed, IEnumerable<string> words) => words.TakeWhile(word => word != "--")
        .Select(word => word.Split(['=', ':'], 2))
        .Where(parts => parts.Length == 2 && !bool.TryParse(parts[1], out _) && parsed.CommandResult.Command.Options.Any(
            option => option.ValueType == typeof(bool) && (option.Name == parts[0] || option.Aliases.Contains(parts[0]))))
        .Select(parts => $"{parts[0]} takes no value, and '{parts[1]}' is one.").FirstOrDefault();

    public static string Of(ParseResult parsed)
    {
        var verb = parsed.CommandResult.Command;
        if (parsed.Errors.FirstOrDefault(error => error.Message.StartsWith(Unknown, StringComparison.Ordinal)) is { } unknown)
        {
            return unknown.Message;
        }

        if (parsed.UnmatchedTokens.FirstOrDefault(word => word.Length > 1 && word[0] == '-') is { } option)
        {
            return NoOption(verb, option);
        }

        if (!Usages.TryGetValue(verb.Name, out var usage))
        {
            return parsed.UnmatchedTokens is [var word, ..] ? NoVerb(verb, word) : OfValue(parsed.Errors[0]);
        }

        (var needs, var example) = usage;
        if (verb.Options.Any(required => required.Required && parsed.GetResult(required) is null or { Implicit: true })
            || verb.Arguments.Any(argument => (parsed.GetResult(argument)?.Tokens.Count ?? 0) < argument.Arity.MinimumNumberOfValues))
        {
            return $"whatsit {verb.Name} needs {needs}.\nFor example: whatsit {example}";
        }

        return parsed.UnmatchedTokens is [var more, ..]
            ? $"'{more}' is too much: whatsit {verb.Name} takes {needs ?? "nothing but options"}.\nFor example: whatsit {example}"
            : OfValue(parsed.Errors[0]);
    }

    private static string NoVerb(Command root, string word)
    {
        var closest = root.Subcommands.Select(verb => verb.Name).MinBy(name => Distance(name, word))!;
        return $"There is no verb '{word}'{(Distance(closest, word) <= 2 ? $"; is '{closest}' meant?" : ":")} whatsit --help lists them.";
    }

    /// <summary>How many letters must be added, taken away or changed (Levenshtein).</summary>
    private static int Distance(string one, string other)
    {
        var row = Enumerable.Range(0, other.Length + 1).ToArray();
        foreach (var letter in one)
        {
            var diagonal = row[0]++;
            for (var at = 1; at <= other.Length; at++)
            {
                (diagonal, row[at]) = (row[at], Math.Min(Math.Min(row[at], row[at - 1]) + 1, diagonal + (other[at - 1] == letter ? 0 : 1)));
            }
        }

        return row[^1];
    }

    private static string OfValue(ParseError error)
    {
        if ((error.SymbolResult as OptionResult ?? error.SymbolResult?.Parent as OptionResult) is { } result)
        {
            var type = Nullable.GetUnderlyingType(result.Option.ValueType) ?? result.Option.ValueType;
            switch (result.Tokens)
            {
                case []:
                    return $"{result.Option.Name} needs a value: {result.Option.Description}";
                case [var token] when type == typeof(int) && !int.TryParse(token.Value, CultureInfo.InvariantCulture, out _):
                    return $"{result.Option.Name} takes a whole number, not '{token.Value}'.";
                case [var token] when type == typeof(double) && !double.TryParse(token.Value, CultureInfo.InvariantCulture, out _):
                    return $"{result.Option.Name} takes a number, not '{token.Value}'.";
            }
        }

        // The library writes values that are allowed below each other.
        return string.Join(' ', error.Message.Split(['\r', '\n', '\t'], StringSplitOptions.RemoveEmptyEntries));
    }
}
