using Microsoft.Extensions.Time.Testing;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;

namespace Whatsit.Inference.Tests.Catalog;

/// <summary>What can happen to the files of a model that serves, and what comes of it.</summary>
public sealed class FaultsTests : IAsyncDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly TinyCatalog _models;

    public FaultsTests() => _models = new TinyCatalog(time: _time);

    private string Colors => _models.PathOf("colors");

    [Theory]
    [InlineData("model.onnx", false, "The model 'colors' lacks its file 'model.onnx', or it is empty.")]
    [InlineData("model.onnx", true, "The file 'model.onnx' of the model 'colors' is not the one in its manifest (size or SHA-256 differs).")]
    [InlineData("labels.txt", false, "The model 'colors' lacks its file 'labels.txt', or it is empty.")]
    [InlineData("labels.txt", true, "The model 'colors' is not what its manifest says: labels.txt has 2 labels, but the model answers 3 classes.")]
    [InlineData("model.json", true, "colors/model.json is no manifest: ")]
    public async Task A_model_whose_file_goes_or_is_cut_off_goes_on_serving_and_says_what_is_wrong(string file, bool isCutOff, string problem)
    {
        await StartAsync();
        var path = Path.Combine(Colors, file);
        if (isCutOff)
        {
            using var stream = File.OpenWrite(path);
            stream.SetLength(5);
        }
        else
        {
            File.Delete(path);
        }

        await _models.LookAsync();
        var status = _models.Catalog.Status("colors");
        Assert.Equal(ModelState.Ready, status.State);
        Assert.StartsWith(problem, status.Problem, StringComparison.Ordinal);
        Assert.Equal("1", _models.Version);
        Assert.True(_models.Catalog.IsReady);
    }

    [Fact]
    public async Task A_models_folder_that_is_away_for_a_while_unloads_nothing_and_is_named_once()
    {
        await StartAsync();
        Directory.Move(_models.Folder, _models.Folder + ".away");
        await _models.LookAsync();
        await _models.LookAsync();
        await _models.LookAsync();
        Assert.Equal("1", _models.Version);
        Assert.Single(_models.Log, line => line == $"Warning: The models folder {_models.Folder} cannot be listed; what serves goes on serving");

        Directory.Move(_models.Folder + ".away", _models.Folder);
        await _models.LookAsync();
        Assert.Null(_models.Catalog.Status("colors").Problem);
    }

    [Fact]
    public async Task A_models_folder_that_is_not_there_stops_no_start_and_serves_once_it_is()
    {
        Directory.Move(_models.Folder, _models.Folder + ".away");
        await StartAsync();
        Assert.False(_models.Catalog.IsReady);
        Assert.Equal("There is no model 'colors'. There is none.", Assert.Throws<InferenceException>(() => _models.Catalog.Lease(null)).Message);

        Directory.Move(_models.Folder + ".away", _models.Folder);
        await _models.LookAsync();
        Assert.Equal("1", _models.Version);
        Assert.True(_models.Catalog.IsReady);
    }

    [Fact]
    public async Task What_did_not_load_is_tried_again_more_and_more_seldom_and_named_once()
    {
        // Its labels lie where no look sees them come.
        Directory.Delete(Colors, recursive: true);
        TinyCatalog.Write(Colors, "1", manifest => manifest with { Labels = "more/labels.txt" });
        var (labels, later) = (Path.Combine(Colors, "labels.txt"), _models.PathOf(".labels.txt"));
        File.Move(labels, later);
        await StartAsync();
        Assert.False(_models.Catalog.IsReady);

        // Two seconds, then four.
        _time.Advance(TimeSpan.FromSeconds(2));
        await _models.LookAsync();
        Directory.CreateDirectory(Path.Combine(Colors, "more"));
        File.Move(later, Path.Combine(Colors, "more", "labels.txt"));
        _time.Advance(TimeSpan.FromSeconds(3.9));
        await _models.LookAsync();
        Assert.Equal(ModelState.Failed, _models.Catalog.Status("colors").State);

        _time.Advance(TimeSpan.FromSeconds(0.1));
        await _models.LookAsync();
        Assert.Equal("1", _models.Version);
        Assert.True(_models.Catalog.IsReady);
        Assert.Single(_models.Log, line => line.StartsWith("Error: Model colors does not serve", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Another_default_model_than_there_is_keeps_the_server_from_being_ready()
    {
        Directory.Move(Colors, _models.PathOf("colours"));
        File.WriteAllText(
            Path.Combine(_models.PathOf("colours"), Bundle.ManifestFile),
            File.ReadAllText(Path.Combine(_models.PathOf("colours"), Bundle.ManifestFile)).Replace("colors", "colours", StringComparison.Ordinal));
        await StartAsync();
        Assert.Equal(ModelState.Ready, _models.Catalog.Status("colours").State);
        Assert.False(_models.Catalog.IsReady);
    }

    [Fact]
    public async Task A_model_that_fails_whatever_it_is_asked_is_not_ready_until_it_answers_again()
    {
        var decoder = new BreakableDecoder();
        await using var models = new TinyCatalog(decoder: decoder);
        Directory.Delete(models.PathOf("colors"), recursive: true);
        TinyCatalog.Write(models.PathOf("colors"), "1",
            manifest => manifest with { Sample = new SampleSpec("labels.txt", [new Prediction("red", 0, 1f / 3)]) });
        await models.Catalog.StartAsync(TestContext.Current.CancellationToken);
        Assert.True(models.Catalog.IsReady);

        decoder.Failure = new DllNotFoundException("no libvips");
        for (var request = 0; request < 3; request++)
        {
            Assert.True(models.Catalog.IsReady);
            using var lease = models.Catalog.Lease(null);
            var failure = await Assert.ThrowsAsync<InferenceException>(() =>
                models.Classifier.ClassifyAsync(lease.Model, new byte[1], new ClassifyOptions(1), TestContext.Current.CancellationToken));
            Assert.Same(decoder.Failure, failure.InnerException);
        }

        Assert.False(models.Catalog.IsReady);
        await models.LookAsync();
        Assert.False(models.Catalog.IsReady);
        Assert.Equal((ModelState.Failed, "The model 'colors' fails whatever it is asked; it is tried again."),
            (models.Catalog.Status(null).State, models.Catalog.Status(null).Problem));
        Assert.Contains("Error: Model colors fails whatever it is asked", models.Log);

        decoder.Failure = null;
        await models.LookAsync();
        Assert.True(models.Catalog.IsReady);
    }

    [Fact]
    public async Task Pictures_that_are_none_do_not_make_a_model_fail()
    {
        var decoder = new BreakableDecoder { Failure = new InferenceException(InferenceError.InvalidImage, "broken") };
        await using var models = new TinyCatalog(decoder: decoder);
        await models.Catalog.StartAsync(TestContext.Current.CancellationToken);
        using var lease = models.Catalog.Lease(null);
        for (var request = 0; request < 10; request++)
        {
            await Assert.ThrowsAsync<InferenceException>(() =>
                models.Classifier.ClassifyAsync(lease.Model, new byte[1], new ClassifyOptions(1), TestContext.Current.CancellationToken));
        }

        Assert.True(models.Catalog.IsReady);
    }

    public ValueTask DisposeAsync() => _models.DisposeAsync();

    private Task StartAsync() => _models.Catalog.StartAsync(TestContext.Current.CancellationToken);

    /// <summary>Every file is a black pixel, unless it is told to fail.</summary>
    private sealed class BreakableDecoder : IImageDecoder
    {
        public Exception? Failure { get; set; }

        public EncodedImage Open(ReadOnlyMemory<byte> file, (int Width, int Height)? shrinkTo = null) => new(new(1, false), _ => Decode());

        private RgbImage Decode()
        {
            if (Failure is { } failure)
            {
                throw failure;
            }

            var image = new RgbImage(1, 1) { OriginalWidth = 1, OriginalHeight = 1, Format = "png" };
            image.Pixels.Clear();
            return image;
        }
    }
}
