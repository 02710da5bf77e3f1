using System.CommandLine;

namespace Whatsit.ModelTools.Commands;

/// <summary>Options that several verbs share, spelled and completed alike.</summary>
internal static class CommonOptions
{
    /// <summary><c>--models</c>: the folder with the bundles.</summary>
    public static Option<string> Models() => new("--models") { Description = "The folder with the bundles.", DefaultValueFactory = _ => ModelFolder.UsualName };

    /// <summary>An option that takes the name of a bundle in <paramref name="models"/>, and completes it.</summary>
    public static Option<string?> Model(string name, string description, Option<string> models)
    {
        var option = new Option<string?>(name) { Description = description, HelpName = "name" };
        option.CompletionSources.Add(context => ModelFolder.Open(context.ParseResult.GetValue(models) ?? ModelFolder.UsualName).Names);
        return option;
    }

    /// <summary>An argument that is the name of a bundle in <paramref name="models"/>, and completes it.</summary>
    public static Argument<string> ModelArgument(string name, string description, Option<string> models)
    {
        var argument = new Argument<string>(name) { Description = description, HelpName = name };
        argument.CompletionSources.Add(context => ModelFolder.Open(context.ParseResult.GetValue(models) ?? ModelFolder.UsualName).Names);
        return argument;
    }

    /// <summary><c>--json</c>: for scripts.</summary>
    public static Option<bool> Json() => new("--json") { Description = "JSON for scripts instead of a table." };

    /// <summary>Refuses values for which <paramref name="isValid"/> does not hold, with a sentence that names the limits.</summary>
    public static void Require<T>(this Option<T> option, Func<T?, bool> isValid, string message) =>
        option.Require(value => isValid(value) ? null : message);

    /// <summary>Refuses values in which <paramref name="problemOf"/> finds a problem, with that sentence.</summary>
    public static void Require<T>(this Option<T> option, Func<T?, string?> problemOf) => option.Validators.Add(result =>
    {
        T? value;
        try
        {
            value = result.GetValue(option);
        }
        catch (InvalidOperationException)
        {
            return; // What is no T at all has its own sentence.
        }

        if (problemOf(value) is { } problem)
        {
            result.AddError(problem);
        }
    });
}
