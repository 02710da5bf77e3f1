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
    var mistake = Mistake.OfSwitch(command, args) ?? (args.Length > 0 && command.Action is ParseErrorAction ? Mistake.Of(command) : null);
    if (mistake is not null)
    {
        // A screenful of help would push the one sentence out of sight.
        await Console.Error.WriteLineAsync(mistake);
        return 1;
    }

    // The library's own handling would begin only when the verb first waits for something.
    using var interruption = command.Action is AsynchronousCommandLineAction ? new Interruption() : null;
    return await command.InvokeAsync(
        new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null }, interruption?.Token ?? default);
}
catch (OperationCanceledException)
{
    await Console.Error.WriteLineAsync("Ended before it was done.");
    return Interruption.ExitCode;
}
catch (Exception exception) when (exception is InferenceException or ModelFormatException or IOException or UnauthorizedAccessException)
{
    // What went wrong is the user's to know, a full or read-only disk too; where in our code is not.
    await Console.Error.WriteLineAsync(exception.Message);
    return 1;
}
