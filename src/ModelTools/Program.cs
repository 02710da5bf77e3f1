using System.CommandLine;
using System.CommandLine.Invocation;
using Spectre.Console;
using Whatsit.Inference;
using Whatsit.Inference.Imaging.Isolation;
using Whatsit.ModelConversion;
using Whatsit.ModelTools.Commands;

if (DecoderProcess.RunIfAsked())
{
    return 0;
}

// A pipe or a file gets plain text.
AnsiConsole.Profile.Capabilities.Ansi &= !Console.IsOutputRedirected;
try
{
    var command = Verbs.All().Parse(args);
    if (args.Length > 0 && command.Action is ParseErrorAction mistake)
    {
        // A screenful of help would push the one sentence out of sight.
        mistake.ShowHelp = false;
    }

    return await command.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (OperationCanceledException)
{
    // Ctrl-C: whoever pressed it knows. 128 + SIGINT, as shells count.
    return 130;
}
catch (Exception exception) when (exception is InferenceException or ModelFormatException or IOException or UnauthorizedAccessException)
{
    // What went wrong is the user's to know, a full or read-only disk too; where in our code is not.
    await Console.Error.WriteLineAsync(exception.Message);
    return 1;
}
