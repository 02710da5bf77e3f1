// A peer for the benchmarks: the same model.onnx in ML.NET's image pipeline, with prediction engines in a pool, as its documentation advises for web servers.
// Usage: MlNetPeer <port> <model.onnx> <labels.txt> <size>
using System.Globalization;
using Microsoft.Extensions.ObjectPool;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;
using Microsoft.ML.Transforms.Onnx;

var (port, model, labelsFile, size) = (args[0], args[1], args[2], int.Parse(args[3], CultureInfo.InvariantCulture));
string[] labels = [.. File.ReadLines(labelsFile).Select(line => line.Split('\t')[0])];

var context = new MLContext();
var pipeline = context.Transforms
    .ResizeImages("resized", size, size, nameof(Picture.Image), ImageResizingEstimator.ResizingKind.Fill)
    .Append(context.Transforms.ExtractPixels("image", "resized", orderOfExtraction: ImagePixelExtractingEstimator.ColorsOrder.ARGB,
        interleavePixelColors: true, outputAsFloatArray: false))
    // Requests run at once: threads within a run would only compete.
    .Append(context.Transforms.ApplyOnnxModel(new OnnxOptions
    {
        ModelFile = model,
        InputColumns = ["image"],
        OutputColumns = ["probabilities"],
        ShapeDictionary = new Dictionary<string, int[]> { ["image"] = [1, size, size, 3], ["probabilities"] = [1, labels.Length] },
        IntraOpNumThreads = 1,
        InterOpNumThreads = 1,
    }));
var trained = pipeline.Fit(context.Data.LoadFromEnumerable<Picture>([]));
var engines = new DefaultObjectPoolProvider().Create(new Engines(context, trained));

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.UseUrls($"http://127.0.0.1:{port}").ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = 20 * 1024 * 1024);
var app = builder.Build();
app.MapGet("/ready", () => Results.Ok());
app.MapPost("/predict", async (HttpRequest request) =>
{
    using var file = new MemoryStream();
    await request.Body.CopyToAsync(file);
    file.Position = 0;
    MLImage image;
    try
    {
        image = MLImage.CreateFromStream(file);
    }
    catch (ArgumentException exception)
    {
        return Results.Problem(exception.Message, statusCode: 422);
    }

    using (image)
    {
        var engine = engines.Get();
        try
        {
            var scores = engine.Predict(new Picture { Image = image }).Probabilities;
            return Results.Ok(new
            {
                Predictions = Enumerable.Range(0, scores.Length).OrderByDescending(index => scores[index]).Take(5)
                    .Select(index => new { Label = labels[index], Index = index, Confidence = scores[index] }),
            });
        }
        finally
        {
            engines.Return(engine);
        }
    }
});
app.Run();

public sealed class Picture
{
    [ImageType(1, 1)]
    public MLImage? Image { get; set; }
}

public sealed class Scores
{
    [ColumnName("probabilities")]
    public float[] Probabilities { get; set; } = [];
}

internal sealed class Engines(MLContext context, ITransformer model) : PooledObjectPolicy<PredictionEngine<Picture, Scores>>
{
    public override PredictionEngine<Picture, Scores> Create() => context.Model.CreatePredictionEngine<Picture, Scores>(model);

    public override bool Return(PredictionEngine<Picture, Scores> obj) => true;
}
