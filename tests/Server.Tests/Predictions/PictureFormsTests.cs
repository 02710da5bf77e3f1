namespace Whatsit.Server.Tests.Predictions;

/// <summary>However a picture was written, its label is that of its plain RGB twin.</summary>
public sealed class PictureFormsTests(WhatsitServer server)
{
    [Theory]
    [InlineData("rgb.png", "rgb.jpg", "rgb.webp", "rgb.gif", "rgb.tif", "progressive.jpg", "palette.png", "rgb16.png", "alpha.png", "alpha.webp",
        "alpha-border.png", "cmyk.jpg", "ycck.jpg")]
    [InlineData("rgb-of-gray.png", "gray.jpg", "gray.png", "gray16.png", "gray-alpha.png")]
    public async Task Every_colour_form_gets_the_label_of_its_RGB_twin(string twin, params string[] forms)
    {
        var (label, confidence, _, _) = await PredictAsync(twin);
        foreach (var form in forms)
        {
            var answer = await PredictAsync(form);
            Assert.True(label == answer.Label, $"{form} is {answer.Label}, {twin} is {label}");
            // The same label by more than luck: palettes and JPEG lose a little, a wrong colour space loses a lot.
            Assert.True(Math.Abs(confidence - answer.Confidence) < 0.15, $"{form}: {answer.Confidence}, {twin}: {confidence}");
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public async Task Every_EXIF_orientation_is_upright_before_the_model_sees_it(int orientation)
    {
        var upright = await PredictAsync("tall.png");
        var answer = await PredictAsync($"orientation-{orientation}.jpg");
        Assert.Equal((144, 192), (answer.Width, answer.Height));
        Assert.Equal(upright.Label, answer.Label);
        Assert.Equal(upright.Confidence, answer.Confidence, 0.05);
    }

    [Fact]
    public async Task A_photo_that_lacks_its_end_is_answered_with_a_warning()
    {
        var file = await File.ReadAllBytesAsync(Path.Combine(WhatsitServer.Root, "tests/data/twins/rgb.jpg"), TestContext.Current.CancellationToken);
        using var content = HttpAssert.Raw(file[..^2]);
        var answer = await HttpAssert.OkAsync(await server.Http.PostAsync("/predict", content, TestContext.Current.CancellationToken));

        Assert.Equal("image-end-missing", (string)answer["warnings"]![0]!["code"]!);
        Assert.Equal("The file lacks its end marker, as after an interrupted transfer; all of its pixels are there.",
            (string)answer["warnings"]![0]!["detail"]!);
    }

    private async Task<(string Label, double Confidence, int Width, int Height)> PredictAsync(string file)
    {
        using var content =
            HttpAssert.Raw(await File.ReadAllBytesAsync(Path.Combine(WhatsitServer.Root, "tests/data/twins", file), TestContext.Current.CancellationToken));
        var answer = await HttpAssert.OkAsync(await server.Http.PostAsync("/predict", content, TestContext.Current.CancellationToken));
        var best = answer["predictions"]![0]!;
        return ((string)best["label"]!, (double)best["confidence"]!, (int)answer["image"]!["width"]!, (int)answer["image"]!["height"]!);
    }
}
