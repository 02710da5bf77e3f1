using System.Text.Json.Nodes;
using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion;
using Whatsit.ModelTools.Commands.Bench;

namespace Whatsit.ModelTools.Tests.Commands;

public sealed class BenchTests
{
    [Fact]
    public async Task Every_setting_is_measured_under_both_loads()
    {
        var folder = Path.Combine(Bundle.FindCatalog("models"), "grocery");
        var manifest = Bundle.ReadManifest(folder);
        var photo = await File.ReadAllBytesAsync(Path.Combine(folder, manifest.Samples![0].File), TestContext.Current.CancellationToken);
        ServingSettings[] settings = [.. ServingSettings.Of("fp32", 2)];

        var figures = await ModelBenchmark.RunAsync(manifest, folder, settings, [photo], 2, 0.02, _ => { }, TestContext.Current.CancellationToken);

        Assert.Equal(settings, figures.Select(figure => figure.Settings));
        Assert.All(figures, figure =>
        {
            Assert.True(figure is { Decode: > 0, Preprocess: > 0, Compute: > 0, PerSecond: > 0, CpuMs: > 0 }, $"{figure}");
            Assert.InRange(figure.Idle50, figure.Compute, figure.Idle99);
            Assert.InRange(figure.Loaded50, figure.Compute / 2, figure.Loaded99);
        });
    }

    [Theory]
    [InlineData(1, "1 × 1")]
    [InlineData(2, "2 × 1, 1 × 2")]
    [InlineData(8, "8 × 1, 1 × 8, 4 × 2")]
    public void What_is_tried_follows_the_processors(int processors, string expected) =>
        Assert.Equal(expected,
            string.Join(", ", ServingSettings.Of("fp32", processors).Select(setting => $"{setting.Concurrency} × {setting.IntraOpThreads}")));

    [Fact]
    public void The_most_answers_per_second_are_recommended_and_among_equals_the_quickest_one()
    {
        ServingFigures fp32 = Figures("fp32", perSecond: 400, idle: 4), spread = Figures("fp32", perSecond: 395, idle: 3),
            int8 = Figures("int8", perSecond: 900, idle: 2);

        Assert.Equal(int8, BenchCommand.Recommend([fp32, spread, int8], _ => true));
        Assert.Equal(spread, BenchCommand.Recommend([fp32, spread, int8], variant => variant != "int8"));
        Assert.Equal(int8, BenchCommand.Recommend([int8], _ => false));
    }

    [Fact]
    public void Recommended_settings_join_what_a_configuration_file_holds()
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, """{ "Catalog": { "DefaultModel": "mine" }, /* kept as a value, not as a comment */ "Limits": { "MaxBodyBytes": 5 } }""");

            BenchCommand.Write(file, new ServingSettings("int8", 2, 1));

            var root = JsonNode.Parse(File.ReadAllText(file))!;
            Assert.Equal(("mine", "int8"), ((string?)root["Catalog"]!["DefaultModel"], (string?)root["Catalog"]!["Variant"]));
            Assert.Equal((2, 1, 5),
                ((int?)root["Scheduling"]!["Concurrency"], (int?)root["OnnxRuntime"]!["IntraOpThreads"], (int?)root["Limits"]!["MaxBodyBytes"]));

            File.WriteAllText(file, "[1]");
            Assert.Contains("is no configuration file",
                Assert.Throws<ModelFormatException>(() => BenchCommand.Write(file, new ServingSettings("int8", 2, 1))).Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static ServingFigures Figures(string variant, double perSecond, double idle) => new(new(variant, 2, 1), 1, 1, 1, idle, idle, perSecond, 1, 1, 1, 1);
}
