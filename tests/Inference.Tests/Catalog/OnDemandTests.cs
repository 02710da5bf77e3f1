using Whatsit.Inference.Catalog;

namespace Whatsit.Inference.Tests.Catalog;

/// <summary>Models that are loaded when they are asked, in room for two.</summary>
public sealed class OnDemandTests : IAsyncLifetime
{
    // Each takes some 8 MB by estimate.
    private const long RoomForTwo = 20_000_000;

    private readonly TinyCatalog _models = new(configure: options => (options.Load, options.MaxMemory) = ("on-demand", RoomForTwo));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync()
    {
        foreach (var name in (string[])["one", "two", "three"])
        {
            TinyCatalog.Write(_models.PathOf(name), "1", manifest => manifest with { Name = name });
        }

        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task At_start_only_the_default_model_is_loaded_and_the_catalog_is_ready()
    {
        await _models.Catalog.StartAsync(Token);

        Assert.True(_models.Catalog.IsReady);
        Assert.Equal(["colors Ready", "one Unloaded", "three Unloaded", "two Unloaded"], States());
        Assert.All(_models.Catalog.Models, model => Assert.Equal(("1", "fp32", true), (model.Manifest!.Version, model.Variant, model.Answers)));
    }

    [Fact]
    public async Task The_first_request_waits_and_says_how_long_and_those_beside_it_wait_for_the_same_load()
    {
        await _models.Catalog.StartAsync(Token);

        var leases = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Task.Run(() => _models.Catalog.LeaseAsync("one", Token).AsTask(), Token)));

        Assert.Contains(leases, lease => lease.Loading > TimeSpan.Zero);
        Assert.All(leases, lease => Assert.Same(leases[0].Model, lease.Model));
        Assert.Single(_models.Log, line => line.StartsWith("Information: Model one version 1 (fp32) is ready", StringComparison.Ordinal));
        using (var later = await _models.Catalog.LeaseAsync("one", Token))
        {
            Assert.Equal(TimeSpan.Zero, later.Loading);
        }

        Array.ForEach(leases, lease => lease.Dispose());
    }

    [Fact]
    public async Task The_one_that_was_not_asked_for_the_longest_time_goes()
    {
        await _models.Catalog.StartAsync(Token);
        await AskAsync("one");
        await AskAsync("colors");
        await AskAsync("two");
        Assert.Equal(["colors Ready", "one Unloaded", "three Unloaded", "two Ready"], States());

        await AskAsync("three");
        Assert.Equal(["colors Unloaded", "one Unloaded", "three Ready", "two Ready"], States());
        Assert.True(_models.Catalog.IsReady);

        Assert.True(await AskAsync("one") > TimeSpan.Zero);
    }

    [Fact]
    public async Task A_model_that_is_being_asked_stays_and_whoever_needs_its_room_waits()
    {
        await _models.Catalog.StartAsync(Token);
        var first = await _models.Catalog.LeaseAsync("colors", Token);
        var second = await _models.Catalog.LeaseAsync("one", Token);

        var third = _models.Catalog.LeaseAsync("two", Token).AsTask();
        Assert.Equal(["colors Ready", "one Ready", "three Unloaded", "two Unloaded"], States());
        Assert.False(third.IsCompleted);

        first.Dispose();
        using var lease = await third;
        Assert.Equal(["colors Unloaded", "one Ready", "three Unloaded", "two Ready"], States());
        second.Dispose();
    }

    [Fact]
    public async Task A_model_that_does_not_fit_even_alone_is_named_with_both_numbers()
    {
        TinyCatalog.Write(_models.PathOf("huge"), "1", manifest => manifest with { Name = "huge" });
        await using var catalog = new TinyCatalog(configure: options => (options.Load, options.MaxMemory) = ("on-demand", 1_000_000));
        await catalog.Catalog.StartAsync(Token);

        Assert.False(catalog.Catalog.IsReady);
        Assert.Matches(@"^The model 'colors' takes [\d,]+ bytes of memory; Catalog:MaxMemory is 1,000,000\.$", catalog.Catalog.Status("colors").Problem);
    }

    [Fact]
    public async Task A_bundle_that_cannot_be_loaded_is_seen_at_start_and_one_that_fails_when_it_is_asked_says_why()
    {
        File.Delete(Path.Combine(_models.PathOf("one"), "model.onnx"));
        TinyCatalog.Write(_models.PathOf("four"), "1",
            manifest => manifest with { Name = "four", Sample = new SampleSpec("labels.txt", [new Prediction("red", 0, 0.9f)]) });
        await _models.Catalog.StartAsync(Token);
        Assert.False(_models.Catalog.IsReady);
        Assert.Equal("The model 'one' lacks its file 'model.onnx', or it is empty.", _models.Catalog.Status("one").Problem);
        Assert.Equal(ModelState.Unloaded, _models.Catalog.Status("four").State);

        var failure = await Assert.ThrowsAsync<InferenceException>(() => AskAsync("four"));
        Assert.Equal(InferenceError.ModelNotReady, failure.Error);
        Assert.Equal((ModelState.Failed, failure.Message), (_models.Catalog.Status("four").State, _models.Catalog.Status("four").Problem));
        // Its room is free again.
        await AskAsync("two");
        Assert.Equal(ModelState.Ready, _models.Catalog.Status("colors").State);
    }

    [Fact]
    public async Task Other_files_of_a_loaded_model_take_its_place_and_of_one_that_is_not_wait_to_be_asked()
    {
        await _models.Catalog.StartAsync(Token);
        await AskAsync("one");
        foreach (var name in (string[])["one", "two"])
        {
            TinyCatalog.Write(_models.PathOf($".{name}"), "2", manifest => manifest with { Name = name });
            Bundle.Install(_models.PathOf($".{name}"), _models.PathOf(name));
        }

        await _models.LookAsync();

        Assert.Equal(["colors Ready", "one Ready", "three Unloaded", "two Unloaded"], States());
        Assert.Equal(["2", "2"], new[] { "one", "two" }.Select(name => _models.Catalog.Status(name).Manifest!.Version));
        Assert.Equal(TimeSpan.Zero, await AskAsync("one"));
    }

    public ValueTask DisposeAsync() => _models.DisposeAsync();

    private IEnumerable<string> States() => _models.Catalog.Models.Select(model => $"{model.Name} {model.State}");

    private async Task<TimeSpan> AskAsync(string name)
    {
        using var lease = await _models.Catalog.LeaseAsync(name, Token);
        return lease.Loading;
    }
}
