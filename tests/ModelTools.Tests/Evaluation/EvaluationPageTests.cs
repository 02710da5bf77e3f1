using System.Text.RegularExpressions;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelTools.Evaluation;
using Whatsit.ModelTools.Tests.Commands;

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
        Assert.DoesNotContain("url(", page.Replace("url('data:", "", StringComparison.Ordinal), StringComparison.Ordinal);
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

    [Fact]
    public void It_looks_like_the_page_whose_colours_it_has()
    {
        var page = Write("photo.jpg", "apple", "pear");
        var styles = File.ReadAllText(Path.Combine(WhatsitCommand.Root, "client/src/styles.css"));

        var tokens = Tokens().Matches(page).Select(match => match.Value).ToArray();
        Assert.True(tokens.Length >= 9, $"Only {tokens.Length} tokens were found.");
        Assert.All(tokens, token => Assert.Contains(token, styles, StringComparison.Ordinal));
    }

    [Fact]
    public void A_built_page_s_typeface_is_inside_and_without_one_there_is_none()
    {
        Assert.Equal("", PageFont.Face(_folder));
        var assets = Directory.CreateDirectory(Path.Combine(_folder, "wwwroot/assets")).FullName;
        File.WriteAllBytes(Path.Combine(assets, "archivo-latin-wght-normal-AbC.woff2"), [1, 2, 3]);
        File.WriteAllBytes(Path.Combine(assets, "archivo-latin-wght-normal-AbC.woff2.br"), [4]);
        Assert.Contains("src: url('data:font/woff2;base64,AQID')", PageFont.Face(_folder), StringComparison.Ordinal);
    }

    [Fact]
    public void A_threshold_can_be_chosen_by_what_it_would_answer_and_how_much_of_that_is_right()
    {
        var page = Write("photo.jpg", "apple", "pear");

        Assert.Contains("Photos that are answered, %</text>", page, StringComparison.Ordinal);
        Assert.Contains("Answers that are right, %</text>", page, StringComparison.Ordinal);
        Assert.Contains("<title>Threshold 0.8: 100.0 % answered, 50.0 % of them right</title>", page, StringComparison.Ordinal);
        Assert.Contains("<title>Now: threshold 0.85: 50.0 % answered, 100.0 % of them right</title>", page, StringComparison.Ordinal);
        Assert.Contains("<td>0.8</td><td>100.0 %</td><td>50.0 %</td><td>1 of 2</td>", page, StringComparison.Ordinal);
        Assert.Contains("<tr class=\"now\"><td>0.85 now</td><td>50.0 %</td><td>100.0 %</td><td>0 of 2</td>", page, StringComparison.Ordinal);
        Assert.Contains("whatsit set shop abstain.threshold=", page, StringComparison.Ordinal);
    }

    [Fact]
    public void The_matrix_names_its_axes_and_mistakes_their_files()
    {
        var page = Write("a folder/photo.jpg", "apple", "pear");

        Assert.Contains(">What the photo shows</text>", page, StringComparison.Ordinal);
        Assert.Contains(">What the model said</text>", page, StringComparison.Ordinal);
        Assert.Equal(2, page.Split(">apple</text>").Length - 1); // A row and a column.
        Assert.Equal(2, page.Split(">pear</text>").Length - 1);
        Assert.Contains("<title>apple → pear: 1 of 2</title>", page, StringComparison.Ordinal);
        Assert.Contains("<small>right one in place 2 · a folder/photo.jpg</small></figcaption>", page, StringComparison.Ordinal);
        Assert.Contains("<h2>1 mistake, the surest first</h2>", page, StringComparison.Ordinal);
    }

    [GeneratedRegex(@"--[a-z-]+: (?:light-dark\([^)]*\)|\d+px);")]
    private static partial Regex Tokens();

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
            Abstain = new AbstainSpec(0.85f),
        };
        var answers = new Answers("fp32", [new(new LabelledPhoto(path, name, 0), [0.9f, 0.1f], false, default),
            new(new LabelledPhoto(path, name, 0), [0.2f, 0.8f], false, default)], [(new LabelledPhoto(path, name, 0), "It is <broken>.")]);
        var figures = new Figures(manifest, classes, answers);
        using var evaluator = new Evaluator();
        return EvaluationPage.Write(new EvaluationResult(manifest, classes, name, "a machine",
            [new VariantRow("fp32", "net", 1, 2, figures, null), new VariantRow("int8", "net", 1, 2, figures, Agreement.Of(answers, answers))]), evaluator);
    }
}
