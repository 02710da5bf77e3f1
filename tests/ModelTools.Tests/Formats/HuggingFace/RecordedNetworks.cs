using System.Text.Json;
using Whatsit.ModelTools.Commands;
using Whatsit.ModelTools.Commands.Import;

namespace Whatsit.ModelTools.Tests.Formats.HuggingFace;

/// <summary>Folders as repositories have them, with what PyTorch answered for a picture (<c>expected.json</c>).</summary>
internal static class RecordedNetworks
{
    /// <summary>Imports one, and compares the bundle's answer to pixels with what is recorded.</summary>
    public static ImportReport Import(string folder, string models)
    {
        using var expected = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "expected.json")));
        (var height, var width) = (expected.RootElement.GetProperty("height").GetInt32(), expected.RootElement.GetProperty("width").GetInt32());
        var pixels = new byte[height * width * 3];
        for (var i = 0; i < pixels.Length; i++)
        {
            (var y, var x, var c) = (i / 3 / width, i / 3 % width, i % 3);
            pixels[i] = (byte)((x * 31) + (y * 17) + (c * 71) + (x * y * (c + 1)));
        }

        var report = ModelImporter.Import(new ImportRequest(folder, "leaves", models), _ => { });
        Assert.Equal((width, height), (report.Manifest.Input.Width, report.Manifest.Input.Height));
        float[] wanted = [.. expected.RootElement.GetProperty("logits").EnumerateArray().Select(logit => logit.GetSingle())];
        var logits = InferCommand.Run(ModelSource.Find("leaves", models), pixels)["logits"].ToFloats();
        Assert.Equal(wanted.Length, logits.Length);
        Assert.All(logits.Zip(wanted), logit => Assert.InRange(logit.First - logit.Second, -1e-4f, 1e-4f));
        return report;
    }
}
