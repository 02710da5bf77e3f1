using System.Text.RegularExpressions;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Tests.Evaluation;

public sealed partial class EvaluationPageTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("page").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_page_needs_nothing_but_itself_and_shows_mistakes_as_pictures()
    {
        var page = Write("photo.jpg", "apple", "pear");

        Assert.StartsWith("<!doctype html>", page, StringComparison.Ordinal);
        Assert.DoesNotContain("http:", page, StringComparison.Ordinal);
        Assert.DoesNotContain("https:", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<script", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<link", page, StringComparison.Ordinal);
        Assert.DoesNotContain("url(", page, StringComparison.Ordinal);
        var picture = Assert.Single(Sources().Matches(page)).Groups[1].Value;
        Assert.Equal([0xFF, 0xD8, 0xFF], Convert.FromBase64String(picture["data:image/jpeg;base64,".Length..])[..3]);
        Assert.Contains("50.0 %", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Names_from_outside_stay_text()
    {
        const string hostile = "a\"><img src=x onerror=alert(1)>&.jpg";
        var page = Write(hostile, "<b>apple</b>", "\"pear' & more");

        Assert.DoesNotContain("<img src=x", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<b>apple", page, StringComparison.Ordinal);
        Assert.Contains("a&quot;&gt;&lt;img src=x onerror=alert(1)&gt;&amp;.jpg", page, StringComparison.Ordinal);
        Assert.Contains("&lt;b&gt;apple&lt;/b&gt;", page, StringComparison.Ordinal);
        Assert.Contains("&quot;pear&#39; &amp; more", page, StringComparison.Ordinal);
    }

    [GeneratedRegex("src=\"([^\"]*)\"")]
    private static partial Regex Sources();

    /// <summary>Two photos, the second one mistaken.</summary>
    private string Write(string name, string first, string second)
    {
        var path = Path.Combine(_folder, "photo.jpg");
        byte[] pixels = [.. Enumerable.Range(0, 60 * 40 * 3).Select(i => (byte)i)];
        File.WriteAllBytes(path, ImageDecoders.CreateEncoder(new DecodingOptions()).ToJpeg(pixels, 60, 40, 80));
        ClassLabel[] classes = [new(0, first, null), new(1, second, null)];
        var manifest = new ModelManifest
        {
            Name = "shop",
            Title = $"A shop of {first}",
            Files = new Dictionary<string, BundleFile>(),
            Input = new InputSpec("image", InputElementType.UInt8, TensorLayout.Nhwc, 8, 8),
        };
        var answers = new Answers("fp32", [new(new LabelledPhoto(path, name, 0), [0.9f, 0.1f], false, default),
            new(new LabelledPhoto(path, name, 0), [0.2f, 0.8f], false, default)], [(new LabelledPhoto(path, name, 0), "It is <broken>.")]);
        var figures = new Figures(manifest, classes, answers);
        using var evaluator = new Evaluator();
        return EvaluationPage.Write(new EvaluationResult(manifest, classes, name, "a machine",
            [new VariantRow("fp32", "net", 1, 2, figures, null), new VariantRow("int8", "net", 1, 2, figures, Agreement.Of(answers, answers))]), evaluator);
    }
}
