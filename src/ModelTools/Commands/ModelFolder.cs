using Whatsit.Inference;
using Whatsit.Inference.Catalog;

namespace Whatsit.ModelTools.Commands;

/// <summary>The folder with the bundles, as the command line knows it.</summary>
/// <param name="Path">The folder, absolute.</param>
/// <param name="Names">The bundles in it, in order.</param>
internal sealed record ModelFolder(string Path, IReadOnlyList<string> Names)
{
    /// <summary>The name that the folder has unless <c>--models</c> says otherwise.</summary>
    public const string UsualName = "models";

    // Who answers in this repository, whatever is imported beside it.
    private const string UsualModel = "grocery";

    /// <summary>Looks at the folder, which need not exist.</summary>
    public static ModelFolder Open(string models)
    {
        var path = Bundle.FindCatalog(models);
        return new ModelFolder(path, !Directory.Exists(path) ? [] :
        [
            .. Directory.EnumerateDirectories(path).Where(folder => File.Exists(System.IO.Path.Combine(folder, Bundle.ManifestFile)))
                .Select(folder => System.IO.Path.GetFileName(folder)).Where(name => name[0] != '.').Order(StringComparer.Ordinal),
        ]);
    }

    /// <summary>The model that is meant where nobody names one.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotFound"/>: there is none, or there are several.</exception>
    public string Default(string option) => Names switch
    {
        [var only] => only,
        [] => throw NotFound($"There is no model in the folder '{Path}'. Import one: whatsit import FILE --name NAME"),
        _ when Names.Contains(UsualModel) => UsualModel,
        _ => throw NotFound($"There are several models in the folder '{Path}': {string.Join(", ", Names)}. Say which with {option}."),
    };

    /// <summary>The folder of a bundle.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotFound"/>, with what there is and where it was looked for.</exception>
    public string Find(string name) => Names.Contains(name) ? System.IO.Path.Combine(Path, name) : throw NotFound(Missing(name));

    /// <summary>What there is instead of a model that there is not.</summary>
    public string Missing(string name) =>
        $"There is no model '{name}' in the folder '{Path}'. There is {(Names.Count == 0 ? "none" : string.Join(", ", Names))}.";

    private static InferenceException NotFound(string message) => new(InferenceError.ModelNotFound, message);
}
