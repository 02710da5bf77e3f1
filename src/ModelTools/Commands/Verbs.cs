using System.CommandLine;
using Whatsit.ModelTools.Commands.Bench;
using Whatsit.ModelTools.Commands.Evaluate;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Commands.Quantize;

namespace Whatsit.ModelTools.Commands;

/// <summary>What <c>whatsit</c> can do: the one place that lists the verbs.</summary>
internal static class Verbs
{
    public static RootCommand All() => new("Whatsit: a photo in, labels out.")
    {
        // Use a model.
        ClassifyCommand.Create(),
        ServeCommand.Create(),

        // Bring one, and take it elsewhere.
        ImportCommand.Create(),
        ExportCommand.Create(),

        // Know it.
        InspectCommand.Create(),
        InferCommand.Create(),
        EvaluateCommand.Create(),
        BenchCommand.Create(),

        // Change it.
        QuantizeCommand.Create(),

        CompletionCommand.Create(),
    };
}
