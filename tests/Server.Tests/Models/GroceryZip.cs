using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests.Models;

/// <summary>The bundled model with one of its variants, as a folder or as a zip.</summary>
internal static class GroceryZip
{
    private static readonly string Folder = Path.Combine(WhatsitServer.Root, "models/grocery");

    private static readonly string[] Files = ["model.json", "int8.onnx", "labels.txt", "sample.png", "classifier.f32", "abstain.f32"];

    /// <summary>Its bytes.</summary>
    /// <param name="version">The version that it says it has.</param>
    /// <param name="inner">The folder in the zip.</param>
    /// <param name="edit">Changes the manifest.</param>
    /// <param name="change">Changes the zip.</param>
    public static byte[] Of(string version = "1", string inner = "bundle/", Action<JsonNode>? edit = null, Action<ZipArchive>? change = null)
    {
        using var zip = new MemoryStream();
        using (var archive = new ZipArchive(zip, ZipArchiveMode.Update, leaveOpen: true))
        {
            foreach (var (name, content) in Contents(version, edit))
            {
                Add(archive, inner + name, content);
            }

            change?.Invoke(archive);
        }

        return zip.ToArray();
    }

    /// <summary>Writes it as a folder of the models folder.</summary>
    public static void Write(string folder, Action<JsonNode>? edit = null)
    {
        Directory.CreateDirectory(folder);
        foreach (var (name, content) in Contents("1", manifest =>
        {
            manifest["name"] = Path.GetFileName(folder);
            edit?.Invoke(manifest);
        }).Reverse())
        {
            File.WriteAllBytes(Path.Combine(folder, name), content);
        }
    }

    public static void Add(ZipArchive archive, string name, byte[] content)
    {
        using var entry = archive.CreateEntry(name, CompressionLevel.Fastest).Open();
        entry.Write(content);
    }

    private static IEnumerable<(string Name, byte[] Content)> Contents(string version, Action<JsonNode>? edit)
    {
        var manifest = JsonNode.Parse(File.ReadAllText(Path.Combine(Folder, "model.json")))!;
        var int8 = manifest["files"]!["int8"]!;
        foreach (var other in (string[])["fp32", "fp16"])
        {
            manifest["files"]!.AsObject().Remove(other);
        }

        manifest.AsObject().Remove("tfjs");
        manifest["samples"] = new JsonArray();
        manifest["version"] = version;
        edit?.Invoke(manifest);
        foreach (var file in Files.Select(file => file == "int8.onnx" ? (string)int8["file"]! : file).Where(file => File.Exists(Path.Combine(Folder, file))))
        {
            yield return (file, file == "model.json" ? Encoding.UTF8.GetBytes(manifest.ToJsonString()) : File.ReadAllBytes(Path.Combine(Folder, file)));
        }
    }
}
