using System.CommandLine;

namespace Whatsit.ModelTools.Commands;

/// <summary>Limits of options.</summary>
internal static class OptionRange
{
    /// <summary>Refuses values for which <paramref name="isValid"/> does not hold, with a sentence that names the limits.</summary>
    public static void Require<T>(this Option<T> option, Func<T?, bool> isValid, string message) => option.Validators.Add(result =>
    {
        if (!isValid(result.GetValue(option)))
        {
            result.AddError(message);
        }
    });
}
