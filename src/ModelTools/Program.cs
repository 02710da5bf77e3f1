using System.CommandLine;
using Spectre.Console;
using Whatsit.Inference;
using Whatsit.ModelConversion;
using Whatsit.ModelTools.Commands;
using Whatsit.ModelTools.Commands.Bench;
using Whatsit.ModelTools.Commands.Evaluate;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Commands.Quantize;

// A pipe or a file gets plain text.
AnsiConsole.Profile.Capabilities.Ansi &= !Console.IsOutputRedirected;
var root = new RootCommand("Whatsit: a photo in, labels out.")
{
    BenchCommand.Create(),
    ClassifyCommand.Create(),
    ImportCommand.Create(),
    InspectCommand.Create(),
    InferCommand.Create(),
    EvaluateCommand.Create(),
    QuantizeCommand.Create(),
    ExportCommand.Create(),
};
try
{
    return await root.Parse(args).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (Exception exception) when (exception is InferenceException or ModelFormatException or IOException or UnauthorizedAccessException)
{
    // What went wrong is the user's to know, a full or read-only disk too; where in our code is not.
    await Console.Error.WriteLineAsync(exception.Message);
    return 1;
}
