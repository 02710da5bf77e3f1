using System.Text.Json;

namespace Whatsit.Server.Tests.Compatibility;

/// <summary>
/// A picture whose pixels are the bundled model's tensor: 256 pixels on a side, so that it is not resized, and cut down to the 224 in its middle.
/// </summary>
internal static class TensorPicture
{
    private const int Side = 256, Cropped = 224, Margin = (Side - Cropped) / 2;

    static TensorPicture()
    {
        var pixels = new byte[3 * Side * Side];
        new Random(17).NextBytes(pixels);
        // Noise in large patches: the model has something to tell apart.
        for (var index = 0; index < pixels.Length; index++)
        {
            var (x, y) = (index / 3 % Side, index / 3 / Side);
            pixels[index] = (byte)((pixels[index] / 8) + pixels[(3 * ((y / 32 * 32 * Side) + (x / 32 * 32))) + (index % 3)] / 2);
        }

        File = Pictures.Png(Side, Side, pixels);
        for (var row = 0; row < Cropped; row++)
        {
            pixels.AsSpan(3 * (((row + Margin) * Side) + Margin), 3 * Cropped).CopyTo(Tensor.AsSpan(3 * row * Cropped));
        }

        Nested = JsonSerializer.Serialize(
            Enumerable.Range(0, Cropped).Select(row => Enumerable.Range(0, Cropped)
                .Select(column => Tensor.AsSpan(3 * ((row * Cropped) + column), 3).ToArray().Select(value => (int)value))));
    }

    /// <summary>The picture's file.</summary>
    public static byte[] File { get; }

    /// <summary>The tensor, [1, 224, 224, 3].</summary>
    public static byte[] Tensor { get; } = new byte[3 * Cropped * Cropped];

    /// <summary>The tensor as nested JSON arrays, [224, 224, 3].</summary>
    public static string Nested { get; }

    /// <summary>All probabilities as <c>POST /predict</c> answers them, by class index.</summary>
    public static async Task<float[]> ProbabilitiesAsync(WhatsitServer server, byte[] file)
    {
        using var content = HttpAssert.Raw(file);
        var answer = await HttpAssert.OkAsync(await server.Http.PostAsync("/predict?topK=81", content, TestContext.Current.CancellationToken));
        return [.. answer["predictions"]!.AsArray().OrderBy(prediction => (int)prediction!["index"]!).Select(prediction => (float)prediction!["confidence"]!)];
    }
}
