using System.CommandLine;
using Whatsit.ModelTools.Commands.Abstain;
using Whatsit.ModelTools.Commands.Bench;
using Whatsit.ModelTools.Commands.Classify;
using Whatsit.ModelTools.Commands.Evaluate;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Commands.Preprocessing;
using Whatsit.ModelTools.Commands.Quantize;
using Whatsit.ModelTools.Commands.Train;

namespace Whatsit.ModelTools.Commands;

/// <summary>What <c>whatsit</c> can do: the one place that lists the verbs.</summary>
internal static class Verbs
{
    public static RootCommand All()
    {
        var root = List();
        foreach (var verb in root.Subcommands)
        {
            foreach (var argument in verb.Arguments)
            {
                RefuseOptions(verb, argument);
            }
        }

        return root;
    }

    /// <summary>What looks like an option is no file and no model, or a misspelled option would be looked for on the disk.</summary>
    private static void RefuseOptions(Command verb, Argument argument) => argument.Validators.Add(result =>
    {
        if (result.Tokens.FirstOrDefault(token => token.Value.Length > 1 && token.Value[0] == '-' && !Path.Exists(token.Value)) is { } unknown)
        {
            result.AddError(Mistake.NoOption(verb, unknown.Value));
        }
    });

    private static RootCommand List() => new("Whatsit: a photo in, labels out.")
    {
        // Use a model.
        ClassifyCommand.Create(),
        ServeCommand.Create(),

        // Bring or make one, and take it elsewhere.
        ImportCommand.Create(),
        TrainCommand.Create(),
        ExportCommand.Create(),

        // Know it.
        InspectCommand.Create(),
        InferCommand.Create(),
        EvaluateCommand.Create(),
        BenchCommand.Create(),
        DiffCommand.Create(),

        // Change it.
        QuantizeCommand.Create(),
        AbstainCommand.Create(),
        PreprocessingCommand.Create(),

        // Keep order.
        ListCommand.Create(),
        LabelsCommand.Create(),
        SetCommand.Create(),
        RenameCommand.Create(),
        RemoveCommand.Create(),

        CompletionCommand.Create(),
    };
}
