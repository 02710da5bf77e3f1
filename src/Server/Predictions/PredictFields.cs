using System.Globalization;
using Whatsit.Inference;

namespace Whatsit.Server.Predictions;

/// <summary>What a request asks for beside its pictures, in the query or in fields of its body; the query has precedence.</summary>
internal sealed class PredictFields(string? model, string? topK, string? explain)
{
    private readonly List<Warning> _warnings = [];

    /// <summary>The model's name, or nothing for the default.</summary>
    public string? Model { get; private set; } = model;

    /// <summary>How many labels, as it was written.</summary>
    public string? TopK { get; private set; } = topK;

    /// <summary>Whether the answer is a picture: the one that came, with its best label's map over it.</summary>
    public bool WantsPicture => Explain is "png" or "PNG";

    /// <summary>Whether to add maps, as it was written.</summary>
    public string? Explain { get; private set; } = explain;

    /// <summary>No further fields can come.</summary>
    public bool IsComplete { get; set; }

    /// <summary>Fields that mean nothing here.</summary>
    public IReadOnlyList<Warning> Warnings => _warnings;

    /// <summary>Whether a field of this name is ours.</summary>
    public static bool Knows(string? name) => name is "model" or "topK" or "top_k" or "explain";

    /// <summary>A field of the body.</summary>
    public void Set(string name, string value)
    {
        switch (name)
        {
            case "model":
                Model ??= value;
                break;
            case "topK" or "top_k":
                TopK ??= value;
                break;
            case "explain":
                Explain ??= value;
                break;
            default:
                PassOver(name);
                break;
        }
    }

    /// <summary>A field that is not known, and whose value is not read.</summary>
    public void PassOver(string name)
    {
        var field = Refusal.Shorten(name);
        _warnings.Add(Warning.Of("unknown-field", $"The field '{field}' is not known and was passed over; model, topK and explain are.", ("field", field)));
    }

    /// <summary>As the core takes it.</summary>
    /// <param name="classes">How many classes the model knows.</param>
    /// <exception cref="InferenceException">
    /// <see cref="InferenceError.InvalidRequest"/>: no whole number, no flag. (The range is the model's to check.)
    /// </exception>
    public ClassifyOptions ToOptions(int classes) => new(ParseTopK(TopK, classes), WantsPicture || ParseFlag(Explain, "explain"));

    private static int ParseTopK(string? text, int classes) =>
        string.IsNullOrEmpty(text) ? Math.Min(ClassifyOptions.DefaultTopK, classes)
        : int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var topK) ? topK
        : throw Invalid("topK", text, $"a whole number from 1 to {classes}, the number of classes");

    private static bool ParseFlag(string? text, string name) => text switch
    {
        null or "" or "false" or "False" or "0" => false,
        "true" or "True" or "1" => true,
        _ => throw Invalid(name, text, "true, false or png"),
    };

    private static InferenceException Invalid(string name, string value, string wanted) => new(
        InferenceError.InvalidRequest,
        "invalid-parameter",
        $"{name} is '{Refusal.Shorten(value)}'; it must be {wanted}.",
        ("name", name),
        ("value", Refusal.Shorten(value)));
}
