using Whatsit.Inference.Catalog;

namespace Whatsit.Inference.Tests.Catalog;

/// <summary>A bundle is replaced while its model serves.</summary>
public sealed class ReplacingTests : IAsyncLifetime
{
    private readonly TinyCatalog _models = new();

    public async ValueTask InitializeAsync() => await _models.Catalog.StartAsync(TestContext.Current.CancellationToken);

    [Fact]
    public async Task A_look_between_moving_one_bundle_away_and_the_next_one_in_changes_nothing()
    {
        TinyCatalog.Write(_models.PathOf(".next"), "2");
        Directory.Move(_models.PathOf("colors"), _models.PathOf(".old"));

        await _models.LookAsync();
        Assert.Equal("1", _models.Version);

        Directory.Move(_models.PathOf(".next"), _models.PathOf("colors"));
        await _models.LookAsync();
        Assert.Equal("2", _models.Version);

        // Missing now and then is not missing twice.
        Directory.Move(_models.PathOf("colors"), _models.PathOf(".next"));
        await _models.LookAsync();
        Assert.Equal("2", _models.Version);
    }

    [Fact]
    public async Task A_bundle_that_is_missing_twice_is_gone()
    {
        Directory.Delete(_models.PathOf("colors"), recursive: true);
        await _models.LookAsync();
        await _models.LookAsync();
        Assert.Equal(InferenceError.ModelNotFound, Assert.Throws<InferenceException>(() => _models.Catalog.Lease("colors")).Error);
    }

    [Fact]
    public async Task Who_looks_while_a_bundle_is_installed_finds_the_old_one_or_the_new_one()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Only Linux exchanges folders at once.");
        var manifest = Path.Combine(_models.PathOf("colors"), Bundle.ManifestFile);
        var (looked, missing, done) = (0, 0, false);
        using var looking = new ManualResetEventSlim();
        var observer = Task.Factory.StartNew(
            () =>
            {
                while (!Volatile.Read(ref done))
                {
                    missing += File.Exists(manifest) ? 0 : 1;
                    looked++;
                    looking.Set();
                }
            },
            TaskCreationOptions.LongRunning);
        looking.Wait(TestContext.Current.CancellationToken);

        for (var version = 2; version <= 200; version++)
        {
            TinyCatalog.Write(_models.PathOf(".next"), $"{version}");
            Bundle.Install(_models.PathOf(".next"), _models.PathOf("colors"));
        }

        Volatile.Write(ref done, true);
        await observer;
        Assert.Equal(0, missing);
        Assert.True(looked > 0);
        Assert.Equal(["colors"], Directory.GetDirectories(_models.Folder).Select(Path.GetFileName));
        await _models.LookAsync();
        Assert.Equal("200", _models.Version);
    }

    public ValueTask DisposeAsync() => _models.DisposeAsync();
}
