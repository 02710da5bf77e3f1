using System.Globalization;
using System.Numerics;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;

namespace Whatsit.ModelTools.Commands;

/// <summary>Changes one thing in a bundle's <c>model.json</c> and leaves the rest as its maker wrote it, entries that we do not know included.</summary>
internal static partial class ManifestEdit
{
    private static readonly JsonSerializerOptions Options = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly JsonDocumentOptions Lenient = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    /// <summary>Reads, changes, and puts the new file in place at once: the server never sees half of it.</summary>
    public static void Apply(string folder, Action<JsonObject> change)
    {
        var path = Path.Combine(folder, Bundle.ManifestFile);
        JsonObject manifest;
        try
        {
            manifest = JsonNode.Parse(File.ReadAllText(path), documentOptions: Lenient) as JsonObject ?? throw new JsonException("It is no JSON object.");
        }
        catch (JsonException exception)
        {
            throw new InferenceException(InferenceError.ModelNotReady, $"'{path}' is no manifest: {exception.Message}", exception);
        }

        change(manifest);

        // Means and deviations read better on one line.
        var text = NumberList()
            .Replace(manifest.ToJsonString(Options), list => $"[{string.Join(", ", list.Groups[1].Value.Split(',', StringSplitOptions.TrimEntries))}]");
        WholeFile.Write(path, text + "\n");
    }

    /// <summary>An object's member that is an object, added where it is missing.</summary>
    public static JsonObject Member(JsonObject parent, string name)
    {
        if (parent[name] is not JsonObject member)
        {
            parent[name] = member = [];
        }

        return member;
    }

    /// <summary>Says that an answer may change.</summary>
    public static void RaiseVersion(JsonObject manifest) => manifest["version"] = Next((string?)manifest["version"] ?? "1");

    /// <summary>The version after one: the number at its end is raised, whatever stands before it; where there is none it gets one.</summary>
    public static string Next(string version)
    {
        var start = version.AsSpan().TrimEnd("0123456789").Length;
        return start == version.Length ? version.Length == 0 ? "1" : $"{version}.2"
            : version[..start] + (BigInteger.Parse(version.AsSpan(start), NumberStyles.None, CultureInfo.InvariantCulture) + 1)
                .ToString($"D{version.Length - start}", CultureInfo.InvariantCulture);
    }

    [GeneratedRegex(@"\[\s+([-\d.,eE+\s]+?)\s+\]")]
    private static partial Regex NumberList();
}
