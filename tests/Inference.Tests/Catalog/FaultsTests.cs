using Microsoft.Extensions.Time.Testing;
using Whatsit.Inference.Catalog;

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

    public ValueTask DisposeAsync() => _models.DisposeAsync();

    private Task StartAsync() => _models.Catalog.StartAsync(TestContext.Current.CancellationToken);
}
