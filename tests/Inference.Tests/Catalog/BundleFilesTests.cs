using System.Diagnostics;
using Whatsit.Inference.Catalog;

namespace Whatsit.Inference.Tests.Catalog;

/// <summary>A bundle is data from elsewhere, and changes under the server's hands.</summary>
public sealed class BundleFilesTests : IAsyncLifetime
{
    private readonly TinyCatalog _models = new();

    private string Colors => _models.PathOf("colors");

    private string Weights => Path.Combine(Colors, "model.onnx");

    public ValueTask InitializeAsync() => default;

    [Theory]
    [InlineData("model.json")]
    [InlineData("model.onnx")]
    [InlineData("labels.txt")]
    public async Task A_link_in_a_bundle_is_refused_even_to_a_good_file(string file)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows lets administrators alone make symbolic links.");
        var elsewhere = Path.Combine(_models.Folder, file);
        File.Move(Path.Combine(Colors, file), elsewhere);
        File.CreateSymbolicLink(Path.Combine(Colors, file), elsewhere);

        Assert.Contains($"'{file}', which is a symbolic link", await ProblemAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_in_a_folder_that_is_a_link_is_refused()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows lets administrators alone make symbolic links.");
        Rewrite(manifest => manifest with { Labels = "more/labels.txt" });
        Directory.CreateDirectory(_models.PathOf("more"));
        File.Move(Path.Combine(Colors, "labels.txt"), Path.Combine(_models.PathOf("more"), "labels.txt"));
        Directory.CreateSymbolicLink(Path.Combine(Colors, "more"), _models.PathOf("more"));

        Assert.Contains("'more/labels.txt', which is a symbolic link or lies behind one", await ProblemAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("../labels.txt")]
    [InlineData("/etc/passwd")]
    [InlineData("..")]
    [InlineData("more/../../labels.txt")]
    public async Task A_name_that_leads_outside_is_refused(string name)
    {
        File.WriteAllLines(_models.PathOf("labels.txt"), ["red", "green", "blue"]);
        Rewrite(manifest => manifest with { Labels = name });
        Assert.Equal($"The manifest names the file '{name}', which is outside its folder.", await ProblemAsync());
    }

    [Theory]
    [InlineData("model.json")]
    [InlineData("labels.txt")]
    [InlineData("model.onnx")]
    public async Task A_pipe_is_refused_instead_of_waited_for(string file)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "mkfifo makes the pipe.");
        File.Delete(Path.Combine(Colors, file));
        using var making = Process.Start("mkfifo", Path.Combine(Colors, file));
        await making.WaitForExitAsync(TestContext.Current.CancellationToken);

        Assert.Equal($"The model 'colors' lacks its file '{file}', or it is empty.", await ProblemAsync());
    }

    [Fact]
    public async Task A_file_that_was_changed_is_refused_until_it_is_what_it_was()
    {
        await _models.Catalog.StartAsync(TestContext.Current.CancellationToken);
        using var lease = _models.Catalog.Lease(null);
        var files = lease.Model.Files;
        var original = File.ReadAllBytes(Weights);
        Assert.Equal(original, files.Read("model.onnx"));

        File.WriteAllBytes(Weights, original[..100]);
        Assert.Contains("is not the one in its manifest", Assert.Throws<InferenceException>(() => files.Open("model.onnx")).Message, StringComparison.Ordinal);
        File.WriteAllText(Path.Combine(Colors, "labels.txt"), "red\ngreen\nblew\n");
        Assert.Contains("is not the one in its manifest", Assert.Throws<InferenceException>(() => files.Open("labels.txt")).Message, StringComparison.Ordinal);
        File.Delete(Weights);
        Assert.Equal("The model 'colors' lacks its file 'model.onnx', or it is empty.",
            Assert.Throws<InferenceException>(() => files.Open("model.onnx")).Message);

        File.WriteAllBytes(Weights, original);
        Assert.Equal(original, files.Read("model.onnx"));
    }

    [Fact]
    public async Task Another_file_of_the_same_size_and_time_is_refused_and_loaded_anew()
    {
        await _models.Catalog.StartAsync(TestContext.Current.CancellationToken);
        using var lease = _models.Catalog.Lease(null);
        var (other, written) = (File.ReadAllBytes(Weights), File.GetLastWriteTimeUtc(Weights));
        other[^1] ^= 1;
        File.WriteAllBytes(_models.PathOf("other"), other);
        File.SetLastWriteTimeUtc(_models.PathOf("other"), written);
        File.Move(_models.PathOf("other"), Weights, overwrite: true);

        Assert.Throws<InferenceException>(() => lease.Model.Files.Open("model.onnx"));
        await _models.LookAsync();
        Assert.Contains("is not the one in its manifest", _models.Catalog.Status("colors").Problem, StringComparison.Ordinal);
        Assert.Equal("1", _models.Version);
    }

    [Fact]
    public async Task Whoever_reads_a_file_while_it_is_replaced_reads_the_one_that_was_checked()
    {
        await _models.Catalog.StartAsync(TestContext.Current.CancellationToken);
        using var lease = _models.Catalog.Lease(null);
        var original = File.ReadAllBytes(Weights);
        var (stream, _) = lease.Model.Files.Open("model.onnx");
        using (stream)
        {
            TinyCatalog.Write(_models.PathOf(".next"), "2");
            File.WriteAllBytes(Path.Combine(_models.PathOf(".next"), "model.onnx"), new byte[original.Length]);
            Bundle.Install(_models.PathOf(".next"), Colors);

            var read = new byte[original.Length];
            stream.ReadExactly(read);
            Assert.Equal(original, read);
        }
    }

    [Fact]
    public async Task What_the_manifest_does_not_name_is_nobodys_business()
    {
        await _models.Catalog.StartAsync(TestContext.Current.CancellationToken);
        using var lease = _models.Catalog.Lease(null);
        File.WriteAllText(Path.Combine(Colors, "notes.txt"), "private");
        Assert.False(lease.Model.Files.Names("notes.txt"));
        Assert.False(lease.Model.Files.Names("model.json"));
        Assert.True(lease.Model.Files.Names("labels.txt"));
    }

    [Fact]
    public async Task Labels_of_gigabytes_and_manifests_with_thousands_of_files_are_refused_unread()
    {
        var labels = Path.Combine(Colors, "labels.txt");
        using (var file = File.OpenWrite(labels))
        {
            // It takes no room on the disk.
            file.SetLength(3_000_000_000);
        }

        await _models.LookAsync();
        Assert.Equal("The file 'labels.txt' of the model 'colors' has 3,000,000,000 bytes; labels and pictures have up to 67,108,864.",
            _models.Catalog.Status("colors").Problem);

        Directory.Delete(Colors, recursive: true);
        var tiny = new BundleFile("model.onnx", 1, "");
        TinyCatalog.Write(Colors, "2", manifest => manifest with
        {
            Files = manifest.Files.Concat(Enumerable.Range(0, 1000).Select(at => KeyValuePair.Create($"v{at}", tiny))).ToDictionary(),
        });
        await _models.LookAsync();
        Assert.Equal("The manifest of the model 'colors' names 1,001 files; up to 1,000 are possible.", _models.Catalog.Status("colors").Problem);
    }

    public ValueTask DisposeAsync() => _models.DisposeAsync();

    private void Rewrite(Func<ModelManifest, ModelManifest> edit)
    {
        Directory.Delete(Colors, recursive: true);
        TinyCatalog.Write(Colors, "1", edit);
    }

    private async Task<string> ProblemAsync()
    {
        await _models.Catalog.StartAsync(TestContext.Current.CancellationToken);
        var status = _models.Catalog.Status("colors");
        Assert.Equal(ModelState.Failed, status.State);
        return status.Problem!;
    }
}
