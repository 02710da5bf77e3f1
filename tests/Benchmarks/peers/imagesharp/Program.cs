// A peer for the benchmarks: the same model.onnx behind ASP.NET Core's minimal API, with ImageSharp and ONNX Runtime, as a .NET programmer would write it.
// Usage: ImageSharpPeer <port> <model.onnx> <labels.txt> <size>
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.PixelFormats;
using SixLabors.ImageSharp.Processing;

var (port, model, labelsFile, size) = (args[0], args[1], args[2], int.Parse(args[3], System.Globalization.CultureInfo.InvariantCulture));
string[] labels = [.. File.ReadLines(labelsFile).Select(line => line.Split('\t')[0])];
// Requests run at once: threads within a run would only compete.
using var options = new Microsoft.ML.OnnxRuntime.SessionOptions { IntraOpNumThreads = 1, InterOpNumThreads = 1 };
using var session = new InferenceSession(model, options);
var input = session.InputMetadata.Keys.First();

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.UseUrls($"http://127.0.0.1:{port}").ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = 20 * 1024 * 1024);
var app = builder.Build();
app.MapGet("/ready", () => Results.Ok());
app.MapPost("/predict", async (HttpRequest request) =>
{
    Image<Rgb24> image;
    try
    {
        image = await Image.LoadAsync<Rgb24>(request.Body);
    }
    catch (Exception exception) when (exception is ImageFormatException or NotSupportedException)
    {
        return Results.Problem(exception.Message, statusCode: 422);
    }

    using (image)
    {
        image.Mutate(picture => picture.AutoOrient().Resize(size, size, KnownResamplers.Triangle));
        var pixels = new byte[size * size * 3];
        image.CopyPixelDataTo(pixels);
        NamedOnnxValue[] inputs = [NamedOnnxValue.CreateFromTensor(input, new DenseTensor<byte>(pixels, [1, size, size, 3]))];
        using var outputs = session.Run(inputs, ["probabilities"]);
        var scores = outputs[0].AsTensor<float>().ToArray();
        return Results.Ok(new
        {
            Predictions = Enumerable.Range(0, scores.Length).OrderByDescending(index => scores[index]).Take(5)
                .Select(index => new { Label = labels[index], Index = index, Confidence = scores[index] }),
        });
    }
});
app.Run();
