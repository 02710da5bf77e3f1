using Microsoft.Extensions.DependencyInjection;
using Whatsit.Inference.Catalog;

namespace Whatsit.Inference.Tests;

/// <summary>The core as services, without a server.</summary>
public sealed class WhatsitServicesTests
{
    [Fact]
    public async Task Bytes_in_labels_out()
    {
        await using var services = new ServiceCollection().AddWhatsit(options => options.Catalog.WatchSeconds = 0).BuildServiceProvider();
        var classifier = services.GetRequiredService<WhatsitClassifier>();
        await classifier.LoadAsync(TestContext.Current.CancellationToken);

        var picture = await File.ReadAllBytesAsync(Path.Combine(services.GetRequiredService<ModelCatalog>().Folder, "grocery/sample.png"),
            TestContext.Current.CancellationToken);
        var answer = await classifier.ClassifyAsync(picture, "grocery", cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(ClassifyOptions.DefaultTopK, answer.Predictions.Count);
        Assert.Equal("Granny Smith apple", answer.Predictions[0].Label);

        var one = await classifier.ClassifyAsync(picture, "grocery", new ClassifyOptions(1), TestContext.Current.CancellationToken);
        Assert.Single(one.Predictions);

        var refused = await Assert.ThrowsAsync<InferenceException>(() =>
            classifier.ClassifyAsync("no picture"u8.ToArray(), "grocery", cancellationToken: TestContext.Current.CancellationToken));
        Assert.Equal(InferenceError.UnsupportedImage, refused.Error);
        var missing = await Assert.ThrowsAsync<InferenceException>(() =>
            classifier.ClassifyAsync(picture, "plums", cancellationToken: TestContext.Current.CancellationToken));
        Assert.Equal(InferenceError.ModelNotFound, missing.Error);
    }

    [Fact]
    public void A_wrong_setting_is_named_where_it_is_made()
    {
        var wrong = Assert.Throws<InferenceException>(() => new ServiceCollection().AddWhatsit(options => options.Scheduling.MaxQueueLength = 0));
        Assert.StartsWith("Scheduling.MaxQueueLength: ", wrong.Message, StringComparison.Ordinal);
    }
}
