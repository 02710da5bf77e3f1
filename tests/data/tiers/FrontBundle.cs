using System.Text.Json.Nodes;

namespace Whatsit.Tests;

/// <summary>A bundle as a server before others has it: manifest, labels and samples, and no weights.</summary>
internal static class FrontBundle
{
    /// <summary>Makes one of a bundle with weights.</summary>
    /// <param name="source">That bundle's folder.</param>
    /// <param name="models">The folder of models that it comes into.</param>
    /// <param name="endpoints">The servers that compute.</param>
    public static void Write(string source, string models, IEnumerable<string> endpoints)
    {
        var folder = Directory.CreateDirectory(Path.Combine(models, Path.GetFileName(source))).FullName;
        var manifest = JsonNode.Parse(File.ReadAllText(Path.Combine(source, "model.json")))!.AsObject();
        manifest["files"] = new JsonObject();
        manifest.Remove("tfjs");
        manifest["remote"] = new JsonObject { ["endpoints"] = new JsonArray([.. endpoints.Select(endpoint => (JsonNode)endpoint)]) };
        File.WriteAllText(Path.Combine(folder, "model.json"), manifest.ToJsonString());
        foreach (var file in Directory.GetFiles(source, "*", SearchOption.AllDirectories).Where(file => Path.GetExtension(file) is ".txt" or ".png" or ".f32"))
        {
            var copy = Path.Combine(folder, Path.GetRelativePath(source, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
    }
}
